import type { AddressRange } from '../address/range.js';
import type { Bdf } from '../pci/bdf.js';
import { Exit, Problem } from '../problem/problem.js';
import type { IoreqHandler } from '../sim/memory/ioreq.js';
import type { Channel } from './channel.js';
import { functionNumber, messageRequest, PROTOCOL_VERSION, type Wish } from './message.js';

/** The machine, as an IOREQ server sees it. What it refuses is a Problem `ioreq-refused`; without a machine, `ioreq-lost`. */
export interface ServedMachine {
  claimMemory(range: AddressRange): Promise<void>;
  releaseMemory(range: AddressRange): Promise<void>;
  claimFunction(at: Bdf): Promise<void>;
  releaseFunction(at: Bdf): Promise<void>;
  /** From then on the guest reaches everything that was claimed before, at once. */
  enable(): Promise<void>;
  disable(): Promise<void>;
  /** Ends it: the claims are gone, and the channel is closed. */
  detach(): Promise<void>;
  /** Resolves when the channel is closed, with the reason. */
  readonly closed: Promise<string>;
}

/** Speaks for an IOREQ server: says hello, and has `handler` answer what the machine asks. An answer that fails ends the channel. */
export async function serveIoreq(channel: Channel, handler: IoreqHandler): Promise<ServedMachine> {
  const waiting = new Map<number, { resolve: () => void; reject: (error: Error) => void; wish: Wish }>();
  let last = 0;
  let reason: string | undefined;
  let over: (reason: string) => void = () => undefined;
  const closed = new Promise<string>((resolve) => (over = resolve));

  const end = (why: string) => {
    if (reason !== undefined) return;
    reason = why;
    channel.close();
    for (const { reject } of waiting.values()) reject(gone(why));
    waiting.clear();
    over(why);
  };

  const wish = (type: Wish, first = 0n, second = 0n): Promise<void> =>
    new Promise((resolve, reject) => {
      if (reason !== undefined) {
        reject(gone(reason));
        return;
      }
      last = (last % 0xffff_ffff) + 1;
      waiting.set(last, { resolve, reject, wish: type });
      channel.send({ type, width: 0, number: last, first, second });
    });

  channel.listen({
    closed: end,
    message: (message) => {
      const asked = waiting.get(message.number);
      if (message.type === 'done' || message.type === 'refused') {
        waiting.delete(message.number);
        if (message.type === 'done') asked?.resolve();
        else asked?.reject(new Problem('ioreq-refused', `the machine refuses: ${asked.wish}`, { exit: Exit.outside }));
        return;
      }
      const request = messageRequest(message);
      if (!request) {
        end(`the machine sent ${message.type} where that has no place`);
        return;
      }
      handler(request).then(
        (value) =>
          channel.send({
            type: 'answer',
            width: message.width,
            number: message.number,
            first: 0n,
            second: BigInt.asUintN(64, value),
          }),
        (error: unknown) => end(error instanceof Error ? error.message : String(error)),
      );
    },
  });

  await wish('hello', PROTOCOL_VERSION);
  return {
    claimMemory: ({ base, limit }) => wish('claimMemory', base, limit),
    releaseMemory: ({ base, limit }) => wish('releaseMemory', base, limit),
    claimFunction: (at) => wish('claimFunction', functionNumber(at)),
    releaseFunction: (at) => wish('releaseFunction', functionNumber(at)),
    enable: () => wish('enable'),
    disable: () => wish('disable'),
    detach: async () => {
      // The machine may have closed the channel before its answer is here.
      await wish('detach').catch(() => undefined);
      end('it was detached');
    },
    closed,
  };
}

const gone = (why: string) => new Problem('ioreq-lost', `the machine is gone: ${why}`, { exit: Exit.outside });
