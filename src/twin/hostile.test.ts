import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { accessPayload, fields, versionPayload, VfioUserClient } from '../../test/support/vfio-user-client.js';
import { loadCapture } from '../import/capture/load.js';
import { TwinDevice } from './device.js';
import { PrivateFolder } from './folder.js';
import { twinFunction } from './function.js';
import { commands, encodeCommand, MAX_DATA } from './protocol.js';
import { PageBudget } from './region.js';
import { TwinServer } from './server.js';

const capture = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
const gpu = capture.functions.find(({ device }) => device === 0x2342)!;

const MEMORY = 1 << 20;

async function served(patience?: { version: number; message: number }) {
  const notices: string[] = [];
  const device = new TwinDevice(
    twinFunction(gpu, () => undefined),
    () => undefined,
    new PageBudget(MEMORY),
  );
  const folder = await PrivateFolder.make();
  const path = `${folder.path}/twin`;
  const server = await TwinServer.listen(device, path, (text) => notices.push(text), patience as never);
  onTestFinished(async () => {
    await server.close();
    await folder.remove();
  });
  return { path, notices };
}

/** A well-behaved client still gets what it should. */
async function expectServes(path: string): Promise<void> {
  const client = await VfioUserClient.ready(path);
  expect(await client.config(0)).toBe(0x2342_10de);
  await client.close();
}

/** What QEMU says when it makes its machine, and while the guest enumerates. */
const dialogue: [command: number, payload: Buffer][] = [
  [commands.version, versionPayload({ max_msg_fds: 8, write_multiple: true })],
  [commands.dmaMap, fields(32, 3, 0n, 0x4000_0000n, 0x2000_0000n)],
  [commands.deviceGetInfo, fields(16, 0, 0, 0)],
  ...Array.from({ length: 9 }, (_, index): [number, Buffer] => [
    commands.deviceGetRegionInfo,
    fields(32, 0, index, 0, 0n, 0n),
  ]),
  [commands.deviceGetIrqInfo, fields(16, 0, 2, 0)],
  [commands.regionRead, accessPayload(7, 0n, 4096)],
  [commands.deviceSetIrqs, fields(20, 0x24, 2, 0, 1)],
  [commands.regionWrite, Buffer.concat([accessPayload(7, 0x10n, 4), fields(0xffff_ffff)])],
  [commands.regionWriteMulti, fields(1n, 0n, 2, 4, 0n)],
  [commands.deviceReset, Buffer.alloc(0)],
  [commands.dmaUnmap, fields(24, 0, 0x4000_0000n, 0x2000_0000n)],
];

const anyMessage = fc
  .record({
    id: fc.nat(0xffff),
    command: fc.oneof(fc.integer({ min: 1, max: 18 }), fc.nat(0xffff)),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc
        .tuple(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.nat(9), fc.nat(5000), fc.uint8Array({ maxLength: 64 }))
        .map(([offset, region, count, data]) => Buffer.concat([accessPayload(region, offset, count), data])),
      fc.constantFrom(...dialogue.map(([, payload]) => payload)),
    ),
    wantsReply: fc.boolean(),
    /** What the header says of its size and flags, where that is not the truth. */
    size: fc.option(fc.nat(0xffff_ffff), { freq: 20 }),
    flags: fc.option(fc.nat(0xffff_ffff), { freq: 20 }),
  })
  .map(({ id, command, payload, wantsReply, size, flags }) => {
    const bytes = encodeCommand(id, command, payload, wantsReply);
    if (size !== null) bytes.writeUInt32LE(size, 4);
    if (flags !== null) bytes.writeUInt32LE(flags, 8);
    return bytes;
  });

describe('a twin among hostile clients', () => {
  it('serves on whatever it is sent, whole or cut', async () => {
    const { path } = await served();
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyMessage, { maxLength: 12 }),
        fc.boolean(),
        fc.nat(200),
        async (messages, polite, cut) => {
          const client = polite ? await VfioUserClient.ready(path) : await VfioUserClient.connect(path);
          const bytes = Buffer.concat(messages);
          client.socket.end(bytes.subarray(0, Math.max(0, bytes.length - cut)));
          await client.closed;
          await expectServes(path);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('serves on when a client is killed at each message, and in the midst of it', async () => {
    const { path } = await served();
    for (let n = 0; n <= dialogue.length; n++) {
      for (const part of [0, 1, 16, 20]) {
        const client = await VfioUserClient.connect(path);
        for (const [command, payload] of dialogue.slice(0, n)) {
          expect((await client.ask(command, payload))?.errno).toBe(0);
        }
        const [command, payload] = dialogue[n] ?? [commands.regionRead, accessPayload(7, 0n, 4)];
        client.socket.write(encodeCommand(1, command, payload).subarray(0, part));
        await client.close();
      }
      await expectServes(path);
    }
  });

  it('serves a client that sends a byte at a time', async () => {
    const { path } = await served();
    const client = await VfioUserClient.connect(path);
    client.socket.setNoDelay();
    const bytes = Buffer.concat([
      encodeCommand(1, commands.version, versionPayload({})),
      encodeCommand(2, commands.regionRead, accessPayload(7, 0n, 4)),
    ]);
    for (const byte of bytes) {
      client.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([await client.reply(), await client.reply()].map((reply) => reply?.errno)).toEqual([0, 0]);
  });

  it.each<[string, (client: VfioUserClient) => void, string]>([
    ['says nothing', () => undefined, 'did not say its version'],
    [
      'leaves a message half said',
      (client) =>
        client.socket.write(
          Buffer.concat([
            encodeCommand(1, commands.version, versionPayload({})),
            encodeCommand(2, commands.deviceGetInfo, fields(16, 0, 0, 0)).subarray(0, 20),
          ]),
        ),
      'did not finish a message',
    ],
  ])('gives a client up that %s', async (_, act, why) => {
    const { path, notices } = await served({ version: 100, message: 100 });
    const client = await VfioUserClient.connect(path);
    act(client);
    await client.closed;
    await expect.poll(() => notices.join()).toContain(why);
    await expectServes(path);
  });

  it.each<[string, Parameters<typeof served>[0], Buffer, Buffer, string]>([
    [
      'its version',
      { version: 150, message: 20_000 },
      Buffer.alloc(0),
      encodeCommand(1, commands.version, versionPayload({})),
      'did not say its version',
    ],
    [
      'a message',
      { version: 20_000, message: 150 },
      encodeCommand(1, commands.version, versionPayload({})),
      encodeCommand(2, commands.regionWrite, Buffer.concat([accessPayload(2, 0n, 1024), Buffer.alloc(1024)])),
      'did not finish a message',
    ],
  ])('gives a client up that dribbles %s', async (_, patience, before, bytes, why) => {
    const { path, notices } = await served(patience);
    const client = await VfioUserClient.connect(path);
    client.socket.write(before);
    let at = 0;
    const dribble = setInterval(() => client.socket.write(bytes.subarray(at, ++at)), 15);
    onTestFinished(() => clearInterval(dribble));
    await client.closed;
    clearInterval(dribble);
    expect(at).toBeLessThan(bytes.length);
    await expect.poll(() => notices.join()).toContain(why);
    await expectServes(path);
  });

  it('gives messages that come in pieces, one after the other, their time each', async () => {
    const { path } = await served({ version: 20_000, message: 1500 });
    const client = await VfioUserClient.ready(path);
    for (let id = 1; id <= 6; id++) {
      const bytes = encodeCommand(id, commands.regionRead, accessPayload(7, 0n, 4));
      // Each write has the end of a message and the beginning of the next.
      client.socket.write(bytes.subarray(id === 1 ? 0 : 5));
      client.socket.write(encodeCommand(id + 1, commands.regionRead, accessPayload(7, 0n, 4)).subarray(0, 5));
      expect((await client.reply())?.errno).toBe(0);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    await client.close();
  });

  it('does not pile up replies that a client does not take', async () => {
    const { path, notices } = await served({ version: 5000, message: 300 });
    const client = await VfioUserClient.ready(path);
    client.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    // 64 GiB of replies, for 2 MiB of commands.
    const one = encodeCommand(1, commands.regionRead, accessPayload(2, 0n, MAX_DATA));
    client.socket.write(Buffer.concat(Array.from({ length: 65_536 }, () => one)));
    await expect.poll(() => notices.join(), { timeout: 5000 }).toContain('did not take its replies');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MAX_DATA);
    await client.close();
    await expectServes(path);
  });
});
