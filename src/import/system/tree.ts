/**
 * The files of a Linux system, running or copied, as far as they are read here. Paths begin with a slash and are the
 * system's own; whoever implements this never leaves the copy, and never writes.
 */
export interface SystemTree {
  /** Where it stands, for messages: `/`, or the folder of a copy. */
  readonly name: string;
  /** Whether it is the running system. */
  readonly live: boolean;
  /** The names in a folder, in order; none where it is not there or must not be read. */
  list(path: string): readonly string[];
  /** The first `most` bytes of an ordinary file. */
  read(path: string, most: number): Uint8Array | NotRead;
  /** What a symbolic link leads to, as it stands; undefined where there is none. */
  link(path: string): string | undefined;
  /** A path without symbolic links; undefined where nothing is there, or where it leads out of the tree. */
  resolve(path: string): string | undefined;
}

/** Why a file was not read. `denied`: it is there, and only somebody else may read it. */
export type NotRead = 'absent' | 'denied';

/** The last name of a path. */
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

const decoder = new TextDecoder();

/** A text file; undefined where it was not read. Bytes of zero, with which some copies fill up, end it. */
export function textOf(tree: SystemTree, path: string, most = 4096): string | undefined {
  const bytes = tree.read(path, most);
  if (typeof bytes === 'string') return undefined;
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** A number that stands alone in a file, decimal or with `0x`; undefined where there is none. */
export function numberOf(tree: SystemTree, path: string): number | undefined {
  const text = textOf(tree, path, 64)?.trim();
  return text !== undefined && /^(?:0x[0-9a-f]{1,8}|-?[0-9]{1,9})$/i.test(text) ? Number(text) : undefined;
}
