import type { MessagePort } from 'node:worker_threads';
import type { Machine } from '../machine/model.js';
import type { EcamWindow } from '../pci/ecam.js';

/** What a thread that is an IOREQ server is to emulate: plain data, which a thread can be given. */
export interface Order {
  readonly hostBridges: Machine['hostBridges'];
  readonly ecam: readonly EcamWindow[];
  readonly claims: readonly { readonly base: bigint; readonly limit: bigint }[];
  readonly port: MessagePort;
}
