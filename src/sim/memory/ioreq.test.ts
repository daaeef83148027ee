import { describe, expect, it } from 'vitest';
import { AddressRange } from '../../address/range.js';
import type { MemoryAccess } from './access.js';
import { AddressSpace } from './address-space.js';
import { ecamRegion } from './ecam-region.js';
import { IoreqServers, MAX_RANGES, MAX_SERVERS, type IoreqHandler, type IoreqRequest } from './ioreq.js';

const read = (address: bigint, width: 1 | 2 | 4 | 8 = 4): MemoryAccess => ({ kind: 'read', address, width });
const range = (base: bigint, size = 0x1000n) => AddressRange.sized(base, size);

function setUp() {
  const space = new AddressSpace();
  const servers = new IoreqServers();
  space.add(servers.region());
  space.addBackground(range(0n, 0x1_0000n), ~0n);
  return { space, servers };
}

const says =
  (value: bigint, heard: IoreqRequest[] = []): IoreqHandler =>
  (request) => {
    heard.push(request);
    return Promise.resolve(value);
  };

describe('an IOREQ server', () => {
  it('is asked once it is enabled, about accesses that lie whole in what it claims', async () => {
    const { space, servers } = setUp();
    const heard: IoreqRequest[] = [];
    const server = servers.create('a', says(0x5_1234_5678n, heard));
    server.claimMemory(range(0x1000n, 6n));
    expect(await space.access(read(0x1000n))).toMatchObject({ value: 0xffff_ffffn });
    server.enable();
    expect(await space.access(read(0x1000n))).toEqual({ status: 'done', value: 0x1234_5678n, by: 'a' });
    expect(await space.access(read(0x1004n))).toMatchObject({ by: 'background 0x0-0xffff' });
    expect(await space.access(read(0x1004n, 2))).toMatchObject({ by: 'a' });
    const stored: MemoryAccess = { kind: 'write', address: 0x1000n, width: 4, value: 7n };
    expect(await space.access(stored)).toEqual({ status: 'done', value: 0n, by: 'a' });
    expect(heard.map((request) => request.space === 'memory' && request.access)).toEqual([
      read(0x1000n),
      read(0x1004n, 2),
      stored,
    ]);
    server.disable();
    expect(await space.access(read(0x1000n))).toMatchObject({ value: 0xffff_ffffn });
  });

  it('gives up what it releases, of joined claims, too', async () => {
    const { space, servers } = setUp();
    const server = servers.create('a', says(1n));
    server.enable();
    server.claimMemory(range(0x1000n));
    server.claimMemory(range(0x2000n));
    expect(await space.access(read(0x1ff8n, 8))).toMatchObject({ by: 'a' });
    server.releaseMemory(range(0x1800n));
    expect(await space.access(read(0x17f8n, 8))).toMatchObject({ by: 'a' });
    expect(await space.access(read(0x1800n, 8))).toMatchObject({ by: 'background 0x0-0xffff' });
    expect(await space.access(read(0x2800n, 8))).toMatchObject({ by: 'a' });
    expect(() => server.releaseMemory(range(0x1000n))).toThrow('has not claimed 0x1000-0x1fff, or not all of it');
    expect(() => server.claimMemory(range(0x0n, 0x1001n))).toThrow('has claimed some of 0x0-0x1000 before');
  });

  it('yields to the machine’s own devices, and to a server with a higher number', async () => {
    const { space, servers } = setUp();
    for (const name of ['first', 'second']) {
      const server = servers.create(name, says(1n));
      server.claimMemory(range(0x1000n));
      server.enable();
    }
    expect(await space.access(read(0x1000n))).toMatchObject({ by: 'second' });
    space.add({ name: 'uart', range: range(0x1000n, 8n), priority: 0, answer: () => ({ value: 0n, by: 'uart' }) });
    expect(await space.access(read(0x1000n))).toMatchObject({ by: 'uart' });
    expect(await space.access(read(0x1008n))).toMatchObject({ by: 'second' });
  });

  it('answers config space of the functions that it claims, all else is not its own', async () => {
    const { space, servers } = setUp();
    const ecam = { segment: 0, base: 0x1_0000_0000n, firstBus: 0, lastBus: 1 };
    space.add(ecamRegion(ecam, [servers.config]));
    const heard: IoreqRequest[] = [];
    const server = servers.create('a', says(0x1af4n, heard));
    server.claimFunction({ segment: 0, bus: 1, device: 2, fn: 3 });
    server.enable();
    const at = ecam.base + (1n << 20n) + (((2n << 3n) | 3n) << 12n);
    expect(await space.access(read(at + 0x100n, 2))).toEqual({ status: 'done', value: 0x1af4n, by: 'a' });
    expect(heard).toEqual([
      {
        space: 'config',
        op: { kind: 'read', at: { segment: 0, bus: 1, device: 2, fn: 3 }, register: 0x100, width: 2 },
      },
    ]);
    expect(await space.access(read(at + 0x1000n))).toMatchObject({ status: 'abort' });
    server.releaseFunction({ segment: 0, bus: 1, device: 2, fn: 3 });
    expect(await space.access(read(at))).toMatchObject({ status: 'abort' });
  });

  it('that is destroyed leaves nothing: what waits for it goes to what lies below, server or background', async () => {
    const { space, servers } = setUp();
    const lower = servers.create('lower', says(3n));
    lower.claimMemory(range(0x1000n));
    lower.enable();
    const silent = servers.create('silent', () => new Promise(() => undefined));
    silent.claimMemory(range(0x1000n, 0x2000n));
    silent.enable();
    const waiting = [space.access(read(0x1000n)), space.access(read(0x2000n))];
    silent.destroy();
    silent.destroy();
    expect(await Promise.all(waiting)).toMatchObject([{ by: 'lower', value: 3n }, { value: 0xffff_ffffn }]);
    expect(await space.access(read(0x2000n))).toMatchObject({ value: 0xffff_ffffn });
    expect(() => silent.enable()).toThrow('IOREQ server silent is detached');
    expect(() => silent.claimMemory(range(0n))).toThrow('is detached');
  });

  it('whose handler fails is destroyed, and without anything below it the access faults', async () => {
    const { space, servers } = setUp();
    const server = servers.create('broken', () => Promise.reject(new Error('its socket is gone')));
    server.claimMemory(range(0x10_0000n));
    server.enable();
    expect(await space.access(read(0x10_0000n))).toMatchObject({ status: 'abort', abort: { cause: 'external' } });
    expect(() => server.enable()).toThrow('is detached');
  });

  it('there are no more of than Xen has, with no more ranges, and numbers are used again', () => {
    const { servers } = setUp();
    const all = Array.from({ length: MAX_SERVERS }, (_, i) => servers.create(`s${i}`, says(0n)));
    expect(() => servers.create('one more', says(0n))).toThrow('there are 8 IOREQ servers');
    all[3]!.destroy();
    const again = servers.create('again', says(0n));
    for (let i = 0; i < MAX_RANGES; i++) again.claimMemory(range(BigInt(i) * 0x2000n));
    expect(() => again.claimMemory(range(0x1000_0000n))).toThrow('claims more than 256 ranges');
    again.claimMemory(range(0x1000n));
  });
});
