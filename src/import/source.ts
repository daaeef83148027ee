/** The line a fact was read from; `line` counts from 1, and is 0 where the file as a whole is meant. */
export interface Source {
  readonly file: string;
  readonly line: number;
}
