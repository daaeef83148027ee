/** One entry of a cpio archive. Paths are relative, without a leading slash; folders come before what they hold. */
export type CpioEntry =
  | { readonly path: string; readonly kind: 'folder' }
  | { readonly path: string; readonly kind: 'file'; readonly content: Uint8Array; readonly executable?: boolean }
  | { readonly path: string; readonly kind: 'link'; readonly target: string }
  | { readonly path: string; readonly kind: 'character-device'; readonly major: number; readonly minor: number };

const TYPE = { folder: 0o040755, file: 0o100644, link: 0o120777, 'character-device': 0o020600 } as const;

/**
 * A cpio archive in the "newc" format that Linux unpacks as its initial RAM file system
 * (Linux, Documentation/driver-api/early-userspace/buffer-format.rst). Several may follow each other in one file.
 * Everything belongs to root and is dated 1970: the same entries give the same bytes.
 */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const chunks = entries.flatMap((entry, index) => record(entry.path, index + 1, entry));
  return Buffer.concat([...chunks, ...record('TRAILER!!!', 0, undefined)]);
}

function record(path: string, inode: number, entry: CpioEntry | undefined): Buffer[] {
  const content = entry?.kind === 'file' ? entry.content : Buffer.from(entry?.kind === 'link' ? entry.target : '');
  const mode = entry === undefined ? 0 : TYPE[entry.kind] | (entry.kind === 'file' && entry.executable ? 0o111 : 0);
  const device = entry?.kind === 'character-device' ? [entry.major, entry.minor] : [0, 0];
  const name = Buffer.from(`${path}\0`);
  // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
  const numbers = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, ...device, name.length, 0];
  const header = Buffer.from('070701' + numbers.map((n) => n.toString(16).padStart(8, '0')).join(''));
  return [header, name, padding(header.length + name.length), Buffer.from(content), padding(content.length)];
}

const padding = (length: number) => Buffer.alloc(-length & 3);
