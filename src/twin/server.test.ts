import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { accessPayload, fields, versionPayload, VfioUserClient } from '../../test/support/vfio-user-client.js';
import { loadCapture } from '../import/capture/load.js';
import { formatBdf } from '../pci/bdf.js';
import { TwinDevice } from './device.js';
import { twinFunction } from './function.js';
import { parseLateRule } from './late.js';
import { commands, encodeCommand, errno, MAX_DATA, MAX_DMA_MAPS, Refusal } from './protocol.js';
import { makeRegion, PageBudget } from './region.js';
import { answer, type DmaMaps } from './requests.js';
import { parseRegionRule } from './rules.js';
import { serveTwins } from './serve.js';

const capture = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
const GPU = '0009:03:00.0';

async function served({ address = GPU, rules = [] as string[], late = [] as string[], memory = 1 << 24 } = {}) {
  const notices: string[] = [];
  const functions = capture.functions.filter((fn) => formatBdf(fn.address) === address);
  const twins = await serveTwins(functions, {
    rules: rules.map(parseRegionRule),
    late: late.map(parseLateRule),
    additions: [],
    memory,
    notice: (text) => notices.push(text),
  });
  onTestFinished(twins.close);
  twins.late.followClients();
  const [{ socket, device }] = twins.list as [(typeof twins.list)[0]];
  return { socket, device, notices, twins, ready: () => VfioUserClient.ready(socket) };
}

describe('a twin over vfio-user', () => {
  it('takes of a client’s capabilities what it has, and no other major version', async () => {
    const { socket } = await served();
    const client = await VfioUserClient.connect(socket);
    const reply = await client.ask(
      commands.version,
      versionPayload(
        { max_msg_fds: 8, write_multiple: true, migration: { pgsize: 4096 }, max_data_xfer_size: 1 << 20 },
        0,
        9,
      ),
    );
    expect(reply?.payload.readUInt32LE(0)).toBe(0);
    expect(JSON.parse(reply!.payload.toString('utf8', 4).replace('\0', ''))).toEqual({
      capabilities: { max_msg_fds: 16, write_multiple: true, max_data_xfer_size: MAX_DATA },
    });
    await client.close();
    const other = await VfioUserClient.connect(socket);
    expect((await other.ask(commands.version, versionPayload({}, 1)))?.errno).toBe(errno.EINVAL);
    await other.closed;
  });

  it('says what it is: regions of the BARs’ sizes, interrupts by its capabilities', async () => {
    const client = await (await served()).ready();
    const info = await client.ask(commands.deviceGetInfo, fields(16, 0, 0, 0));
    expect([4, 8, 12].map((at) => info!.payload.readUInt32LE(at))).toEqual([3, 9, 3]);
    const sizes = [];
    for (let index = 0; index < 9; index++) {
      const reply = await client.ask(commands.deviceGetRegionInfo, fields(32, 0, index, 0, 0n, 0n));
      sizes.push(reply!.payload.readBigUInt64LE(16));
    }
    expect(sizes).toEqual([1n << 24n, 0n, 1n << 38n, 0n, 1n << 25n, 0n, 0n, 4096n, 0n]);
    expect((await client.ask(commands.deviceGetRegionInfo, fields(32, 0, 9, 0, 0n, 0n)))?.errno).toBe(errno.EINVAL);
    const msix = await client.ask(commands.deviceGetIrqInfo, fields(16, 0, 2, 0));
    expect(msix!.payload.readUInt32LE(12)).toBe(2);
    expect((await client.ask(commands.deviceGetIrqInfo, fields(16, 0, 3, 0)))?.errno).toBe(errno.EINVAL);
  });

  it('has config space that behaves: BARs can be sized, read-only bits stay, a reset clears', async () => {
    const client = await (await served()).ready();
    expect(await client.config(0)).toBe(0x2342_10de);
    expect((await client.config(4)) & 0xffff).toBe(0);
    expect(await client.config(0x18)).toBe(0xc);
    for (const register of [0x18, 0x1c]) await client.writeConfig(register, 0xffff_ffff);
    expect([await client.config(0x18), await client.config(0x1c)]).toEqual([0xc, 0xffff_ffc0]);
    await client.writeConfig(0, 0);
    await client.writeConfig(4, 0xffff_ffff);
    expect(await client.config(0)).toBe(0x2342_10de);
    expect((await client.config(4)) & 0xffff).toBe(0x0547);
    expect((await client.ask(commands.deviceReset))?.errno).toBe(0);
    expect([await client.config(4), await client.config(0x1c)]).toEqual([0x0010_0000, 0]);
  });

  it('keeps what is written to a BAR of 256 GiB, and a new client finds it', async () => {
    const { ready } = await served();
    const first = await ready();
    const data = Buffer.from('across a page’s end');
    await first.write(2, (1n << 37n) - 7n, data);
    expect(await first.read(2, (1n << 37n) - 7n, data.length)).toEqual(data);
    expect(await first.read(2, 0n, 4)).toEqual(Buffer.alloc(4));
    void first.close();
    const second = await ready();
    expect(await second.read(2, (1n << 37n) - 7n, data.length)).toEqual(data);
  });

  it('takes no memory for what is not written, up to 512 GiB', () => {
    const SIZE = 1n << 39n;
    const pages = new PageBudget(2 * 4096);
    const before = process.memoryUsage().arrayBuffers;
    const region = makeRegion(SIZE, { kind: 'memory' }, pages);
    const bytes = Buffer.alloc(8);
    for (let at = 0n; at < SIZE; at += SIZE >> 14n) region.read(at, bytes);
    expect(bytes).toEqual(Buffer.alloc(8));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    // Nor has it taken any of the two pages that may be kept.
    for (const at of [0n, SIZE - 8n]) region.write(at, fields(at + 1n));
    for (const at of [0n, SIZE - 8n]) {
      region.read(at, bytes);
      expect(bytes).toEqual(fields(at + 1n));
    }
  });

  it('takes as many DMA mappings as it says, and no more', () => {
    const device = new TwinDevice(
      twinFunction(
        capture.functions.find(({ address }) => formatBdf(address) === GPU)!,
        () => undefined,
      ),
      () => undefined,
      new PageBudget(0),
    );
    const maps: DmaMaps = new Map();
    const map = (n: number) => () => answer(device, maps, commands.dmaMap, fields(32, 3, 0n, BigInt(n) << 12n, 4096n));
    for (let n = 0; n < MAX_DMA_MAPS; n++) map(n)();
    expect(maps.size).toBe(MAX_DMA_MAPS);
    for (const n of [MAX_DMA_MAPS, MAX_DMA_MAPS + 1]) expect(map(n)).toThrow(new Refusal(errno.ENOSPC));
    expect(maps.size).toBe(MAX_DMA_MAPS);
    answer(device, maps, commands.dmaUnmap, fields(24, 0, 0n, 4096n));
    map(MAX_DMA_MAPS)();
    expect(maps.size).toBe(MAX_DMA_MAPS);
  });

  it('refuses what lies outside a region, and every size that does not fit', async () => {
    const client = await (await served()).ready();
    const end = 1n << 38n;
    const cases: [number, Buffer][] = [
      [commands.regionRead, accessPayload(2, end - 3n, 4)],
      [commands.regionRead, accessPayload(2, (1n << 64n) - 1n, 4)],
      [commands.regionRead, accessPayload(1, 0n, 4)],
      [commands.regionRead, accessPayload(0xffff_ffff, 0n, 4)],
      [commands.regionRead, accessPayload(2, 0n, MAX_DATA + 1)],
      [commands.regionRead, accessPayload(2, 0n, 4).subarray(0, 15)],
      [commands.regionWrite, Buffer.concat([accessPayload(2, 0n, 4), Buffer.alloc(3)])],
      [commands.regionWrite, Buffer.concat([accessPayload(2, 0n, 4), Buffer.alloc(5)])],
      [commands.regionWrite, Buffer.concat([accessPayload(7, 4093n, 4), Buffer.alloc(4)])],
      [commands.regionWriteMulti, fields(2n, 0n, 2, 4, 0n)],
      [commands.regionWriteMulti, fields(1n << 63n)],
      [commands.regionWriteMulti, fields(1n, 0n, 2, 9, 0n)],
      [commands.deviceSetIrqs, fields(20, 0x24, 2, 2, 1)],
      [commands.deviceSetIrqs, fields(20, 0x24, 2, 0xffff_ffff, 0xffff_ffff)],
      [commands.deviceGetInfo, fields(15, 0, 0, 0)],
      [commands.dmaMap, fields(32, 3, 0n, 0n, 0n)],
      [commands.version, versionPayload({})],
    ];
    for (const [command, payload] of cases) {
      expect(`${command}: ${(await client.ask(command, payload))?.errno}`).toBe(`${command}: ${errno.EINVAL}`);
    }
    for (const command of [0, 11, 12, 14, 16, 17, 0xffff]) {
      expect((await client.ask(command))?.errno).toBe(errno.EOPNOTSUPP);
    }
    expect(await client.config(0)).toBe(0x2342_10de);
  });

  it('carries out several writes at once, or none', async () => {
    const client = await (await served()).ready();
    const write = (offset: bigint, value: bigint) => fields(offset, 4, 8, value);
    const done = await client.ask(commands.regionWriteMulti, Buffer.concat([fields(2n), write(0n, 1n), write(8n, 2n)]));
    expect(done!.payload.readBigUInt64LE(0)).toBe(2n);
    const bad = Buffer.concat([fields(2n), write(0n, 3n), write(1n << 25n, 4n)]);
    expect((await client.ask(commands.regionWriteMulti, bad))?.errno).toBe(errno.EINVAL);
    expect(await client.read(4, 0n, 16)).toEqual(fields(1n, 2n));
  });

  it('keeps DMA mappings by the book', async () => {
    const client = await (await served()).ready();
    const map = fields(32, 3, 0n, 0x4000_0000n, 0x1000n);
    const unmap = (size: bigint, flags = 0) => fields(24, flags, 0x4000_0000n, size);
    const asked = async (command: number, payload: Buffer) => (await client.ask(command, payload))?.errno;
    expect(await asked(commands.dmaMap, map)).toBe(0);
    expect(await asked(commands.dmaMap, map)).toBe(errno.EEXIST);
    expect(await asked(commands.dmaUnmap, unmap(0x2000n))).toBe(errno.ENOENT);
    expect(await asked(commands.dmaUnmap, unmap(0x1000n))).toBe(0);
    expect(await asked(commands.dmaUnmap, unmap(0x1000n))).toBe(errno.ENOENT);
    expect(await asked(commands.dmaMap, map)).toBe(0);
    expect(await asked(commands.dmaUnmap, unmap(0n, 2))).toBe(0);
    expect(await asked(commands.dmaMap, map)).toBe(0);
  });

  it('answers no command that wants no reply', async () => {
    const client = await (await served()).ready();
    client.socket.write(encodeCommand(77, commands.regionRead, accessPayload(7, 0n, 4), false));
    client.socket.write(encodeCommand(78, commands.regionRead, accessPayload(7, 0n, 4)));
    expect((await client.reply())?.id).toBe(78);
  });

  it('serves one client after another; who comes in between waits, and is turned away', async () => {
    const { socket, ready, notices } = await served();
    const first = await ready();
    const second = await VfioUserClient.connect(socket);
    expect(await second.ask(commands.version, versionPayload({}))).toBeUndefined();
    expect(notices.join()).toContain('another one is connected');
    const third = VfioUserClient.ready(socket);
    await first.close();
    expect(await (await third).config(0)).toBe(0x2342_10de);
  });

  it('reads by rule: echo, constant', async () => {
    const { ready } = await served({ rules: [`${GPU}/bar0=constant:0x1badcafe`, `${GPU}/bar2=echo`] });
    const client = await ready();
    expect((await client.read(0, 0x1002n, 4)).toString('hex')).toBe('ad1bfeca');
    await client.write(2, 0x10n, Buffer.from('ff', 'hex'));
    expect((await client.read(2, 0x3f_ffff_fff8n, 8)).readBigUInt64LE(0)).toBe(0x3f_ffff_fff8n);
    expect((await client.read(2, 0x11n, 8)).toString('hex')).toBe('0000000000000018');
  });

  it('keeps no more of what is written than it may, says so once, and has it back after a reset', async () => {
    const { ready, notices } = await served({ memory: 2 * 4096 });
    const client = await ready();
    for (let page = 0n; page < 4n; page++) await client.write(2, page << 20n, Buffer.from([1]));
    const first = async () =>
      Promise.all([0n, 1n, 2n, 3n].map(async (page) => (await client.read(2, page << 20n, 1))[0]));
    expect(await first()).toEqual([1, 1, 0, 0]);
    expect(notices.filter((text) => text.includes('--memory'))).toHaveLength(1);
    await client.ask(commands.deviceReset);
    await client.write(2, 3n << 20n, Buffer.from([1]));
    expect(await first()).toEqual([0, 0, 0, 1]);
  });

  it('is absent from a client’s reset on until its time has come, and there again for the next client before', async () => {
    const { ready, device, notices } = await served({ late: [`${GPU}@0.3`] });
    const first = await ready();
    expect(await first.config(0)).toBe(0x2342_10de);
    device.client!.left();
    await first.ask(commands.deviceReset);
    expect([await first.config(0), await first.config(0x18)]).toEqual([0xffff_ffff, 0xffff_ffff]);
    await first.writeConfig(4, 0x0006);
    expect(await first.read(2, 0n, 4)).toEqual(Buffer.from('ffffffff', 'hex'));
    await expect.poll(() => notices).toEqual([`${GPU} has appeared`]);
    expect([await first.config(0), await first.config(4)]).toEqual([0x2342_10de, 0x0010_0000]);
    await first.ask(commands.deviceReset);
    expect(await first.config(0)).toBe(0x2342_10de);
  });

  it('appears when it is told to', async () => {
    const { ready, device } = await served({ late: [GPU] });
    const client = await ready();
    await client.ask(commands.deviceReset);
    expect(device.absent).toBe(true);
    process.emit('SIGUSR2');
    expect(await client.config(0)).toBe(0x2342_10de);
  });

  it.each([
    ['0009:05:00.0', 'is not served'],
    [`${GPU}@soon`, 'does not say when'],
    [`${GPU}@1@2`, 'does not say when'],
    [`${GPU}@99999999999`, 'does not say when'],
  ])('cannot have %s appear late', async (rule, why) => {
    await expect(served({ late: [rule] })).rejects.toThrow(why);
  });

  it('leaves no folder behind', async () => {
    const { socket, twins, ready } = await served();
    const client = await ready();
    expect(existsSync(socket)).toBe(true);
    await twins.close();
    await client.closed;
    expect(existsSync(socket.replace(/\/[^/]*$/, ''))).toBe(false);
  });
});
