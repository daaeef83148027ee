/** A stream that text, or a binary result, goes to. */
export interface Output {
  write(data: string | Uint8Array): void;
  readonly isTTY: boolean;
  /** Width of the terminal in characters; 80 or more where it is no terminal. */
  readonly columns: number;
}

/** All that a command has of the process; tests hand in their own. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Standard input, as it comes. */
  readonly stdin: () => AsyncIterable<Uint8Array>;
}

/** Colour and other decoration, as far as `output` shows it. NO_COLOR: https://no-color.org */
export function styleFor(output: Output, env: Io['env']): Style {
  const colour = output.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const paint = (code: string) => (text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    bold: paint('1'),
    dim: paint('2'),
    red: paint('31'),
    green: paint('32'),
    yellow: paint('33'),
    cyan: paint('36'),
    unicode: /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''),
  };
}

type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
  /** False: only ASCII may be drawn. */
  readonly unicode: boolean;
}
