/** An IOREQ server in a thread or process of its own, for tests; ioreq-bundle.ts makes a program of it. */
import { Socket } from 'node:net';
import { parentPort, type MessagePort } from 'node:worker_threads';
import { portChannel, streamChannel, type Channel } from '../../src/ioreq/channel.js';
import { serveIoreq } from '../../src/ioreq/serve.js';
import { deviceModel } from '../../src/sim/memory/device-model.js';
import { ecam, topologies } from './race.js';

export interface Order {
  readonly port: MessagePort;
  readonly topology: string;
}

async function attach(channel: Channel, topology: string): Promise<void> {
  const model = deviceModel(topologies[topology]!, [ecam]);
  const machine = await serveIoreq(channel, model.handler);
  for (const range of model.ranges) await machine.claimMemory(range);
  await machine.enable();
}

if (parentPort) parentPort.on('message', ({ port, topology }: Order) => void attach(portChannel(port), topology));
else {
  const [topology = '', delay = '0'] = process.argv.slice(2);
  const socket = new Socket({ fd: 3 });
  setTimeout(() => void attach(streamChannel(socket), topology), Number(delay));
}
