import fc from 'fast-check';
import { MessageChannel } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { socketPair } from '../../test/support/socket-pair.js';
import { AddressRange } from '../address/range.js';
import { AddressSpace } from '../sim/memory/address-space.js';
import { ecamRegion } from '../sim/memory/ecam-region.js';
import { IoreqServers, type IoreqHandler, type IoreqRequest } from '../sim/memory/ioreq.js';
import { portChannel, streamChannel, type Channel } from './channel.js';
import {
  decodeMessage,
  encodeMessage,
  messageRequest,
  requestMessage,
  type Message,
  type MessageType,
} from './message.js';
import { attachServer } from './remote.js';
import { serveIoreq } from './serve.js';

const range = AddressRange.sized(0x1000n, 0x1000n);
const ecam = { segment: 2, base: 0x1_0000_0000n, firstBus: 0, lastBus: 1 };

function machine(patience = 5000) {
  const space = new AddressSpace();
  const servers = new IoreqServers();
  space.add(servers.region());
  space.add(ecamRegion(ecam, [servers.config]));
  space.addBackground(AddressRange.sized(0n, 0x1_0000n), ~0n);
  const attach = (channel: Channel) => attachServer(servers, channel, { name: 'far', patience });
  return { space, attach, read: (address = 0x1000n) => space.access({ kind: 'read', address, width: 4 }) };
}

const channels = {
  'two ports': () => {
    const { port1, port2 } = new MessageChannel();
    return Promise.resolve([portChannel(port1), portChannel(port2)] as const);
  },
  'a socket': async () => {
    const [near, far] = await socketPair();
    return [streamChannel(near), streamChannel(far)] as const;
  },
};

describe.each(Object.entries(channels))('an IOREQ server behind %s', (_, pair) => {
  async function connected(handler: IoreqHandler, patience?: number) {
    const { space, attach, read } = machine(patience);
    const [near, far] = await pair();
    const remote = attach(near);
    return { space, read, remote, served: await serveIoreq(far, handler) };
  }

  it('claims, is asked, answers, releases and detaches', async () => {
    const heard: IoreqRequest[] = [];
    const { space, read, remote, served } = await connected((request) => {
      heard.push(request);
      return Promise.resolve(0x1_0000_002an);
    });
    await served.claimMemory(range);
    await served.claimFunction({ segment: 2, bus: 1, device: 3, fn: 7 });
    expect(await read()).toMatchObject({ value: 0xffff_ffffn });
    await served.enable();
    await remote.enabled;
    expect(await read()).toEqual({ status: 'done', value: 0x2an, by: 'far' });
    await space.access({ kind: 'write', address: 0x1ff8n, width: 8, value: ~0n & ((1n << 64n) - 1n) });
    const at = ecam.base + (1n << 20n) + (31n << 12n);
    expect(await read(at + 0xffcn)).toMatchObject({ value: 0x2an });
    expect(heard).toEqual([
      { space: 'memory', access: { kind: 'read', address: 0x1000n, width: 4 } },
      { space: 'memory', access: { kind: 'write', address: 0x1ff8n, width: 8, value: (1n << 64n) - 1n } },
      {
        space: 'config',
        op: { kind: 'read', at: { segment: 2, bus: 1, device: 3, fn: 7 }, register: 0xffc, width: 4 },
      },
    ]);
    await served.releaseMemory(range);
    expect(await read()).toMatchObject({ value: 0xffff_ffffn });
    await served.releaseFunction({ segment: 2, bus: 1, device: 3, fn: 7 });
    expect(await read(at)).toMatchObject({ status: 'abort' });
    await served.detach();
    expect(await remote.detached).toBe('it has detached');
  });

  it('has its claims in effect before the access is answered that led to them', async () => {
    const { read, served } = await connected(async ({ space, ...request }) => {
      if (space === 'memory' && 'access' in request && request.access.address === 0x1000n) {
        void served.claimMemory(AddressRange.sized(0x4000n, 0x1000n));
      }
      return Promise.resolve(1n);
    });
    await served.claimMemory(range);
    await served.enable();
    expect(await read(0x4000n)).toMatchObject({ value: 0xffff_ffffn });
    await read();
    expect(await read(0x4000n)).toMatchObject({ by: 'far' });
  });

  it('answers in any order', async () => {
    const answers: (() => void)[] = [];
    const { read, served } = await connected(
      (request) =>
        new Promise((resolve) => {
          const { address } = (request as Extract<IoreqRequest, { space: 'memory' }>).access;
          answers.unshift(() => resolve(address));
          if (answers.length === 3) for (const answer of answers) answer();
        }),
    );
    await served.claimMemory(range);
    await served.enable();
    expect(await Promise.all([0x1000n, 0x1004n, 0x1008n].map((address) => read(address)))).toMatchObject([
      { value: 0x1000n },
      { value: 0x1004n },
      { value: 0x1008n },
    ]);
  });

  it('is refused what cannot be, and stays', async () => {
    const { read, served } = await connected(() => Promise.resolve(7n));
    await served.claimMemory(range);
    await expect(served.claimMemory(range)).rejects.toThrow('the machine refuses: claimMemory');
    await expect(served.releaseFunction({ segment: 0, bus: 0, device: 0, fn: 0 })).rejects.toThrow('refuses');
    await served.enable();
    expect(await read()).toMatchObject({ value: 7n });
  });

  it('that stalls is detached: the access waits as long as was said, and goes to the background', async () => {
    const { read, remote, served } = await connected(() => new Promise(() => undefined), 50);
    await served.claimMemory(range);
    await served.enable();
    expect(await Promise.all([read(), read(0x1004n)])).toMatchObject([
      { by: 'background 0x0-0xffff' },
      { by: 'background 0x0-0xffff' },
    ]);
    expect(await remote.detached).toBe('it has not answered the read at 0x1000 within 0.05 s');
    expect(await read()).toMatchObject({ value: 0xffff_ffffn });
    expect(await served.closed).toBe('it has ended');
    await expect(served.enable()).rejects.toThrow('the machine is gone: it has ended');
  });

  it('that fails, or goes away, is detached', async () => {
    const failing = await connected(() => Promise.reject(new Error('a bug')));
    await failing.served.claimMemory(range);
    await failing.served.enable();
    expect(await failing.read()).toMatchObject({ value: 0xffff_ffffn });
    expect(await failing.served.closed).toBe('a bug');
    expect(await failing.remote.detached).toBe('it has ended');

    const told = await connected(() => Promise.resolve(0n));
    told.remote.detach();
    expect(await told.served.closed).toBe('it has ended');
    await expect(
      told.remote.config.batch([{ kind: 'read', at: { segment: 0, bus: 0, device: 0, fn: 0 }, register: 0, width: 4 }]),
    ).rejects.toThrow('IOREQ server far is detached: it was told to');
  });
});

describe('a peer that does not keep to the protocol is given up, and nothing else happens', () => {
  const message = (type: MessageType, more: Partial<Message> = {}): Uint8Array =>
    encodeMessage({ type, width: 0, number: 1, first: 0n, second: 0n, ...more });
  const hello = message('hello', { first: 1n });

  it.each<[string, Uint8Array[], string]>([
    ['a claim before hello', [message('claimMemory')], 'it sent claimMemory where that has no place'],
    ['hello twice', [hello, hello], 'it sent hello where that has no place'],
    ['another version', [message('hello', { first: 2n })], 'it speaks version 2 of the protocol'],
    ['an answer to nothing', [hello, message('answer')], 'it answered an access that it was not asked for (1)'],
    ['what only the machine says', [hello, message('read')], 'it sent read where that has no place'],
    ['an unknown type', [hello, new Uint8Array(24).fill(99)], 'it sent what is no message'],
  ])('%s', async (_, sent, reason) => {
    for (const step of [1, 3, 24, 1000]) {
      const [near, far] = await socketPair();
      const { attach, read } = machine();
      const remote = attach(streamChannel(near));
      const bytes = Buffer.concat(sent);
      for (let at = 0; at < bytes.length; at += step) far.write(bytes.subarray(at, at + step));
      expect(await remote.detached).toBe(reason);
      expect(await read()).toMatchObject({ value: 0xffff_ffffn });
    }
  });

  it('any bytes at all, after a greeting or without one, in any pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 12 }),
        async (polite, chunks) => {
          const [near, far] = await socketPair();
          const { attach, read } = machine(20);
          const remote = attach(streamChannel(near));
          if (polite) far.write(hello);
          for (const chunk of chunks) far.write(chunk);
          far.end();
          expect(await remote.detached).toMatch(/^it /);
          expect(await read()).toMatchObject({ value: 0xffff_ffffn });
        },
      ),
    );
  });

  it('a server that asks and asks and does not read what it is told', async () => {
    const [near, far] = await socketPair();
    const remote = machine().attach(streamChannel(near));
    far.pause();
    far.write(hello);
    const wishes = Buffer.concat(Array.from({ length: 2000 }, () => message('disable')));
    let given = '';
    void remote.detached.then((reason) => (given = reason));
    for (let i = 0; i < 2000 && given === ''; i++) {
      far.write(wishes);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(given).toBe('it does not read what it is sent');
    far.destroy();
  });

  it('a port that sends something else than bytes', async () => {
    const { port1, port2 } = new MessageChannel();
    const remote = machine().attach(portChannel(port1));
    port2.postMessage({ type: 'enable' });
    expect(await remote.detached).toBe('it sent what is no message');
  });

  it('a machine that asks for what cannot be is left', async () => {
    const [near, far] = await socketPair();
    const serving = serveIoreq(streamChannel(far), () => Promise.resolve(0n));
    near.write(message('done'));
    const served = await serving;
    near.write(message('readConfig', { width: 4, first: 0xffen }));
    expect(await served.closed).toBe('the machine sent readConfig where that has no place');
  });
});

it('a message is the same after writing and reading, and so is the access in it', () => {
  const u64 = fc.bigInt(0n, (1n << 64n) - 1n);
  const width = fc.constantFrom<(1 | 2 | 4 | 8)[]>(1, 2, 4, 8);
  fc.assert(
    fc.property(width, u64, u64, fc.nat({ max: 0xffff_ffff }), (bytes, address, any, number) => {
      const value = BigInt.asUintN(8 * bytes, any);
      for (const access of [
        { kind: 'read', address, width: bytes },
        { kind: 'write', address, width: bytes, value },
      ] as const) {
        const asked = requestMessage(number, { space: 'memory', access });
        expect(decodeMessage(encodeMessage(asked))).toEqual(asked);
        expect(messageRequest(asked)).toEqual({ space: 'memory', access });
      }
      for (const length of [0, 23, 25]) expect(decodeMessage(new Uint8Array(length).fill(1))).toBeUndefined();
    }),
  );
});
