/** The program of a thread that is an IOREQ server: claims what it was told to at once, and is enabled at the first message. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { AddressRange } from '../address/range.js';
import { deviceModel } from '../sim/memory/device-model.js';
import { portChannel } from './channel.js';
import type { Order } from './order.js';
import { serveIoreq } from './serve.js';

const { hostBridges, ecam, claims, port } = workerData as Order;
const enable = parentPort ? once(parentPort, 'message') : Promise.resolve();
const machine = await serveIoreq(portChannel(port), deviceModel({ hostBridges }, ecam).handler);
for (const { base, limit } of claims) await machine.claimMemory(AddressRange.of(base, limit));
await enable;
await machine.enable();
