import { Problem } from '../../problem/problem.js';

/** Where a socket of QEMU's listens. */
export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const FORMS =
  'write the path of a UNIX socket, or HOST:PORT; unix:PATH and tcp:HOST:PORT, as QEMU writes them, will do';

/**
 * Reads the argument of `--qmp`, `--qtest` or `--gdb`: a path, `HOST:PORT`, or one of them as QEMU's own options have it
 * (`unix:PATH,server=on,wait=off`, `tcp::1234`; what follows a comma is for the side that listens).
 * @throws Problem `socket-address`
 */
export function parseSocketAddress(option: string, text: string): SocketAddress {
  const wrong = (what: string) =>
    new Problem('socket-address', `${option} ${text.slice(0, 120)}: ${what}`, {
      hint: FORMS,
      facts: { option, text: text.slice(0, 200) },
    });
  const [, scheme, rest = ''] = /^(unix|tcp):([^,]*)/.exec(text) ?? [];
  if (scheme === 'unix' || (scheme === undefined && !/:\d*$/.test(text)) || text.startsWith('/')) {
    const path = scheme === 'unix' ? rest : text;
    if (path === '') throw wrong('the path is missing');
    if (path.includes('\0')) throw wrong('a path has no zero byte');
    const bytes = Buffer.byteLength(path);
    // sockaddr_un.sun_path, unix(7): 108 bytes, the last of them zero.
    if (bytes > 107) throw wrong(`a UNIX socket's path has 107 bytes at most, and this one has ${bytes}`);
    return { path };
  }
  const [, bracketed, plain, digits = ''] =
    /^(?:\[([^\]]*)\]|([^:]*)):(\d*)$/.exec(scheme === 'tcp' ? rest : text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw wrong('it is neither a path nor HOST:PORT');
  const port = Number(digits);
  if (digits === '' || port < 1 || port > 65535) throw wrong(`"${digits}" is no port, which is 1 to 65535`);
  return { host: host === '' ? 'localhost' : host, port };
}

/** As messages have it. */
export const sayAddress = (address: SocketAddress): string =>
  'path' in address
    ? address.path
    : `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
