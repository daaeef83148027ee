import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exit, Problem } from '../problem/problem.js';
import { serveClient, type PATIENCE } from './client.js';
import type { TwinDevice } from './device.js';

/** Milliseconds that a second client is kept waiting for the first to go: one that ended may not be seen to have gone yet. */
const TURN_MS = 1000;
/** Clients that may wait; more are turned away at once. */
const MAX_WAITING = 4;

/** Serves one function on a socket of its own, to one client after another. */
export class TwinServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #serving: Promise<string | undefined> | undefined;
  #waiting = 0;
  #closed = false;

  private constructor(
    readonly device: TwinDevice,
    readonly path: string,
    private readonly notice: (text: string) => void,
    private readonly patience: typeof PATIENCE | undefined,
  ) {
    this.#server = createServer((socket) => void this.#turn(socket));
    this.#server.on('error', (error) => notice(`${path}: ${error.message}`));
  }

  /**
   * @param path of the socket, in a folder that nobody else may enter
   * @throws Problem `twin-socket`, exit 3
   */
  static async listen(
    device: TwinDevice,
    path: string,
    notice: (text: string) => void,
    patience?: typeof PATIENCE,
  ): Promise<TwinServer> {
    const server = new TwinServer(device, path, notice, patience);
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error) => {
        reject(new Problem('twin-socket', `${path} cannot be served: ${error.message}`, { exit: Exit.outside }));
      };
      server.#server.once('error', failed);
      server.#server.listen(path, () => {
        server.#server.off('error', failed);
        resolve();
      });
    });
    return server;
  }

  /** Ends every connection; the socket's file is gone afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Between seeing that nobody is served and serving there is nothing to wait for, so two never are at once. */
  async #turn(socket: Socket): Promise<void> {
    socket.on('error', () => undefined);
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    const late = Date.now() + TURN_MS;
    while (this.#serving) {
      const left = late - Date.now();
      if (left <= 0 || this.#waiting >= MAX_WAITING) {
        this.notice(`${this.path}: a client was turned away, because another one is connected`);
        socket.destroy();
        return;
      }
      this.#waiting++;
      await Promise.race([this.#serving, sleep(left, undefined, { ref: false })]);
      this.#waiting--;
    }
    if (socket.destroyed || this.#closed) return;
    this.#serving = serveClient(socket, this.device, this.patience);
    const reason = await this.#serving;
    this.#serving = undefined;
    if (reason) this.notice(`${this.path}: a client was given up: ${reason}`);
  }
}
