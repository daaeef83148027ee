import { AddressRange } from '../address/range.js';
import { hex } from '../address/format.js';
import type { ConfigAccess } from '../pci/config-access.js';
import { formatBdf } from '../pci/bdf.js';
import { Exit, Problem } from '../problem/problem.js';
import type { IoreqRequest, IoreqServer, IoreqServers } from '../sim/memory/ioreq.js';
import type { Channel } from './channel.js';
import { functionAt, PROTOCOL_VERSION, requestMessage, type Message, type MessageType } from './message.js';

/** Milliseconds that an access waits. Xen waits without end. */
export const PATIENCE_MS = 10_000;

export interface AttachOptions {
  readonly name: string;
  readonly patience?: number;
}

/** An IOREQ server at the other end of a channel, as the machine has it. */
export interface RemoteServer {
  readonly name: string;
  /** Resolves when it is enabled for the first time, or is detached before. */
  readonly enabled: Promise<void>;
  /** Resolves when it is detached, with the reason: it asked for it, or is given up. */
  readonly detached: Promise<string>;
  /**
   * Asks it as the machine does, whether or not it is enabled and has claimed anything: a way into its config space for whoever
   * prepares the machine. @throws Problem `ioreq-lost`, exit 3
   */
  readonly config: ConfigAccess;
  detach(): void;
}

interface Waiting {
  readonly resolve: (value: bigint) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Attaches the server at the other end of a channel to a machine. What is wrong with it never reaches the guest as anything but an
 * access that nobody answers: a server that ends, that breaks the protocol, or that has left an access unanswered for `patience`
 * milliseconds is detached, all its claims are gone at once, and every access that waits for it goes to what lies below: another
 * server, a background region, or nobody, which is a data abort. It is not asked again.
 * @throws Problem `ioreq-limit`
 */
export function attachServer(
  servers: IoreqServers,
  channel: Channel,
  { name, patience = PATIENCE_MS }: AttachOptions,
): RemoteServer {
  const waiting = new Map<number, Waiting>();
  let last = 0;
  let greeted = false;
  let reason: string | undefined;
  let enabled: () => void = () => undefined;
  let detached: (reason: string) => void = () => undefined;
  const whenEnabled = new Promise<void>((resolve) => (enabled = resolve));
  const whenDetached = new Promise<string>((resolve) => (detached = resolve));

  const ask = (request: IoreqRequest): Promise<bigint> =>
    new Promise((resolve, reject) => {
      if (reason !== undefined) {
        reject(lost(name, reason));
        return;
      }
      last = (last % 0xffff_ffff) + 1;
      const number = last;
      const late = () => end(`it has not answered ${requestText(request)} within ${patience / 1000} s`);
      waiting.set(number, { resolve, reject, timer: setTimeout(late, patience) });
      channel.send(requestMessage(number, request));
    });
  const server: IoreqServer = servers.create(name, ask);

  function end(why: string): void {
    if (reason !== undefined) return;
    reason = why;
    // First the claims: what waits is answered by what lies below.
    server.destroy();
    channel.close();
    for (const { timer, reject } of waiting.values()) {
      clearTimeout(timer);
      reject(lost(name, why));
    }
    waiting.clear();
    enabled();
    detached(why);
  }

  const answer = ({ number, second }: Message) => {
    const one = waiting.get(number);
    if (!one) {
      end(`it answered an access that it was not asked for (${number})`);
      return;
    }
    waiting.delete(number);
    clearTimeout(one.timer);
    one.resolve(second);
  };

  channel.listen({
    closed: (why) => end(why),
    message: (message) => {
      if (message.type === 'answer') {
        answer(message);
        return;
      }
      const act = wishes[message.type];
      if (!act || greeted === (message.type === 'hello')) {
        end(`it sent ${message.type} where that has no place`);
        return;
      }
      greeted = true;
      const reply = (type: MessageType) => channel.send({ ...message, type, width: 0 });
      try {
        act(server, message);
      } catch (error) {
        if (!(error instanceof Problem) && !(error instanceof RangeError)) throw error;
        reply('refused');
        if (message.type === 'hello') end(`it speaks version ${message.first} of the protocol`);
        return;
      }
      reply('done');
      if (message.type === 'enable') enabled();
      if (message.type === 'detach') end('it has detached');
    },
  });

  return {
    name,
    enabled: whenEnabled,
    detached: whenDetached,
    config: {
      source: 'sim',
      writable: true,
      batch: async (ops) => {
        const values: number[] = [];
        for (const op of ops) values.push(Number(await ask({ space: 'config', op })));
        return values;
      },
    },
    detach: () => end('it was told to'),
  };
}

const memory = ({ first, second }: Message) => AddressRange.of(first, second);

/** What a server may ask for. A refusal is thrown, and changes nothing. */
const wishes: Partial<Record<MessageType, (server: IoreqServer, message: Message) => void>> = {
  hello: (_, { first }) => {
    if (first !== PROTOCOL_VERSION) throw new RangeError('another version of the protocol');
  },
  claimMemory: (server, message) => server.claimMemory(memory(message)),
  releaseMemory: (server, message) => server.releaseMemory(memory(message)),
  claimFunction: (server, { first }) => server.claimFunction(functionAt(first)),
  releaseFunction: (server, { first }) => server.releaseFunction(functionAt(first)),
  enable: (server) => server.enable(),
  disable: (server) => server.disable(),
  detach: () => undefined,
};

const lost = (name: string, why: string) =>
  new Problem('ioreq-lost', `IOREQ server ${name} is detached: ${why}`, { exit: Exit.outside });

function requestText(request: IoreqRequest): string {
  if (request.space === 'memory') return `the ${request.access.kind} at ${hex(request.access.address)}`;
  const { kind, at, register } = request.op;
  return `the ${kind} of ${formatBdf(at)}, register ${hex(register)}`;
}
