import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Between pinbar and a socket of QEMU's: passes everything on, and stops once, at a line from pinbar that a test chooses. */
export class Relay {
  /** Resolves when the line has come; it and what follows is not passed on until `release`. */
  readonly held: Promise<void>;
  #hold: () => void = () => undefined;
  #release: () => void = () => undefined;
  readonly #released: Promise<void>;
  readonly #sockets: Socket[] = [];

  private constructor(
    path: string,
    private readonly target: string,
    private readonly line: RegExp,
    private count: number,
  ) {
    this.held = new Promise((resolve) => (this.#hold = resolve));
    this.#released = new Promise((resolve) => (this.#release = resolve));
    const server = createServer((socket) => void this.#serve(socket).catch(() => undefined)).listen(path);
    onTestFinished(() => {
      this.cut();
      server.close();
    });
  }

  /** Listens at `path` for what goes to `target`, and holds the `count`th line from pinbar that matches. */
  static at(path: string, target: string, line: RegExp, count = 1): Relay {
    return new Relay(path, target, line, count);
  }

  release(): void {
    this.#release();
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async #serve(socket: Socket): Promise<void> {
    const peer = createConnection(this.target);
    for (const one of [socket, peer]) {
      this.#sockets.push(one);
      one.on('error', () => undefined);
    }
    peer.on('data', (chunk) => socket.write(chunk));
    peer.on('close', () => socket.destroy());
    socket.on('close', () => peer.destroy());
    let rest = '';
    for await (const chunk of socket.setEncoding('latin1') as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (this.line.test(line) && --this.count === 0) {
          this.#hold();
          await this.#released;
        }
        if (!peer.write(`${line}\n`, 'latin1')) await once(peer, 'drain').catch(() => undefined);
      }
    }
  }
}
