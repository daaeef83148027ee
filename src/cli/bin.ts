import { main } from './main.js';
import type { Io, Output } from './io.js';

/** The only file that touches `process`' streams and exit code. */

function output(stream: NodeJS.WriteStream): Output {
  // A reader that goes away (`pinbar plan … | head`) is no failure.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    write: (data) => stream.write(data),
    get isTTY() {
      return stream.isTTY;
    },
    get columns() {
      return stream.isTTY ? stream.columns : 120;
    },
  };
}

const lazy = (name: 'stdout' | 'stderr'): Output => {
  // The streams are made on first use: `pinbar run` leaves standard output to QEMU and must not touch it.
  let made: Output | undefined;
  const get = () => (made ??= output(process[name]));
  return {
    write: (data) => get().write(data),
    get isTTY() {
      return get().isTTY;
    },
    get columns() {
      return get().columns;
    },
  };
};

const io: Io = {
  stdout: lazy('stdout'),
  stderr: lazy('stderr'),
  env: process.env,
  stdin: () => process.stdin,
};

process.exitCode = await main(process.argv.slice(2), io);
