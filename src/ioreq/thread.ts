import { MessageChannel, Worker } from 'node:worker_threads';
import { portChannel, type Channel } from './channel.js';
import type { Order } from './order.js';

/** A thread that is an IOREQ server. */
export interface ServerThread {
  readonly channel: Channel;
  /** Lets it enable itself. */
  enable(): void;
  /** Ends the thread. */
  end(): Promise<void>;
}

/** The program, as scripts/build.mjs puts it beside the folder of chunks that this is in. */
const program = new URL('../ioreq-worker.js', import.meta.url);

/** Starts a thread that emulates these host bridges. A thread that fails closes its channel. */
export function startServerThread(order: Omit<Order, 'port'>, file: URL = program): ServerThread {
  const { port1, port2 } = new MessageChannel();
  const workerData: Order = { ...order, port: port2 };
  const worker = new Worker(file, { workerData, transferList: [port2] });
  // The port's end tells; without somebody who hears it, an error would end pinbar.
  worker.on('error', () => port1.close());
  return {
    channel: portChannel(port1),
    enable: () => worker.postMessage('enable'),
    end: async () => {
      await worker.terminate();
    },
  };
}
