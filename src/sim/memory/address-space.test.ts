import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressRange } from '../../address/range.js';
import { abortText, type MemoryAccess, type MemoryResult, type MemoryWidth } from './access.js';
import { AddressSpace, type MemoryRegion } from './address-space.js';

const read = (address: bigint, width: MemoryWidth = 4): MemoryAccess => ({ kind: 'read', address, width });
const write = (address: bigint, value: bigint, width: MemoryWidth = 4): MemoryAccess => ({
  kind: 'write',
  address,
  width,
  value,
});
const region = (name: string, base: bigint, size: bigint, priority = 0, more: Partial<MemoryRegion> = {}) => ({
  name,
  range: AddressRange.sized(base, size),
  priority,
  answer: () => ({ value: 0x1122_3344_5566_7788n, by: name }),
  ...more,
});
const by = (result: MemoryResult) => (result.status === 'done' ? result.by : result.abort.cause);

describe('an address space', () => {
  it('aborts where nobody is, as an Arm CPU reports it, and as Xen does', async () => {
    const abort = async (space: AddressSpace, access: MemoryAccess) => {
      const result = await space.access(access);
      return result.status === 'abort' ? result.abort.syndrome.toString(16) : result;
    };
    const arm = new AddressSpace();
    expect(await abort(arm, read(0x1000n))).toBe('96000010');
    expect(await abort(arm, write(0x1000n, 1n))).toBe('96000050');
    expect(await abort(arm, read(0x1002n))).toBe('96000021');
    const xen = new AddressSpace('xen');
    expect(await abort(xen, read(0x1000n))).toBe('96000000');
    expect(await abort(xen, write(0x1000n, 1n))).toBe('96000000');
    expect(await abort(xen, write(0x1002n, 1n))).toBe('96000061');
    const result = await arm.access(read(0xff00_0000n));
    expect(result.status === 'abort' && abortText(result.abort)).toBe(
      'the read of 4 bytes at 0xff000000 ends in a data abort (ESR 0x96000010): nothing answers there',
    );
  });

  it('asks the highest priority first, and of equals the one that was added last', async () => {
    const space = new AddressSpace();
    space.add(region('low', 0n, 0x3000n, -1));
    space.add(region('one', 0n, 0x1000n));
    const removeTwo = space.add(region('two', 0n, 0x1000n));
    space.add(region('high', 0x2000n, 0x1000n, 7));
    expect(by(await space.access(read(0n)))).toBe('two');
    expect(by(await space.access(read(0x1000n)))).toBe('low');
    expect(by(await space.access(read(0x2000n)))).toBe('high');
    expect(by(await space.access(read(0x3000n)))).toBe('external');
    removeTwo();
    expect(by(await space.access(read(0n)))).toBe('one');
  });

  it('gives an access to a region that holds all of it, and no more bits than were asked for', async () => {
    const space = new AddressSpace();
    space.addBackground(AddressRange.sized(0n, 0x100n), 0x0123_4567_89ab_cdefn);
    space.add(region('short', 0n, 6n));
    expect(await space.access(read(4n, 2))).toEqual({ status: 'done', value: 0x7788n, by: 'short' });
    expect(by(await space.access(read(4n)))).toBe('background 0x0-0xff');
    const widths = [1, 2, 4, 8] as const;
    const values = await Promise.all(widths.map((width) => space.access(read(0x10n, width))));
    expect(values.map((one) => one.status === 'done' && one.value)).toEqual([
      0xefn,
      0xcdefn,
      0x89ab_cdefn,
      0x0123_4567_89ab_cdefn,
    ]);
    expect(await space.access(write(0x10n, 5n))).toMatchObject({ status: 'done', value: 0n });
    expect(await space.access(read(0x10n, 1))).toMatchObject({ value: 0xefn });
  });

  it('reaches the last byte of 64 bits', async () => {
    const space = new AddressSpace();
    space.add(region('top', (1n << 64n) - 8n, 8n));
    expect(by(await space.access(read((1n << 64n) - 8n, 8)))).toBe('top');
    expect(by(await space.access(read((1n << 64n) - 1n, 1)))).toBe('top');
  });

  it('goes on below a region that has nothing there, at once or later', async () => {
    const space = new AddressSpace();
    space.addBackground(AddressRange.sized(0n, 0x1000n), ~0n);
    space.add(region('now', 0n, 0x1000n, 1, { answer: () => null }));
    space.add(region('later', 0n, 0x1000n, 2, { answer: () => Promise.resolve(null) }));
    expect(await space.access(read(0n, 2))).toEqual({ status: 'done', value: 0xffffn, by: 'background 0x0-0xfff' });
  });

  it('keeps background regions below everything, however low its priority', async () => {
    const space = new AddressSpace();
    space.add(region('lowest', 0n, 0x1000n, Number.MIN_SAFE_INTEGER));
    const remove = space.addBackground(AddressRange.sized(0n, 0x2000n), 1n);
    space.addBackground(AddressRange.sized(0x1800n, 0x800n), 2n);
    expect(by(await space.access(read(0n)))).toBe('lowest');
    expect(await space.access(read(0x1000n))).toMatchObject({ value: 1n });
    expect(await space.access(read(0x1800n))).toMatchObject({ value: 2n });
    remove();
    expect(by(await space.access(read(0x1000n)))).toBe('external');
    expect(() => space.add(region('under', 0n, 1n, -Infinity))).toThrow(RangeError);
  });

  it('chooses when the access is made: what is added while it waits has no part in it', async () => {
    const space = new AddressSpace();
    let answer: (value: null) => void = () => undefined;
    space.addBackground(AddressRange.sized(0n, 0x1000n), 9n);
    space.add(region('slow', 0n, 8n, 1, { answer: () => new Promise((resolve) => (answer = resolve)) }));
    const waiting = space.access(read(0n));
    space.add(region('late', 0n, 8n));
    answer(null);
    expect(await waiting).toMatchObject({ value: 9n });
  });

  it('agrees with a list of bytes that is searched from the top', async () => {
    const regions = fc.array(
      fc.record({ base: fc.nat({ max: 40 }), size: fc.integer({ min: 1, max: 24 }), priority: fc.nat({ max: 3 }) }),
      { maxLength: 8 },
    );
    const accesses = fc.array(fc.record({ slot: fc.nat({ max: 31 }), width: fc.constantFrom(1, 2, 4, 8) }));
    await fc.assert(
      fc.asyncProperty(regions, accesses, async (list, asked) => {
        const space = new AddressSpace();
        list.forEach(({ base, size, priority }, i) =>
          space.add(region(String(i), BigInt(base), BigInt(size), priority)),
        );
        for (const { slot, width } of asked) {
          const address = slot * 2 - ((slot * 2) % width);
          const holders = list
            .map((one, i) => ({ ...one, i }))
            .filter(({ base, size }) => base <= address && address + width <= base + size);
          const top = Math.max(...holders.map(({ priority }) => priority));
          const expected = holders.findLast(({ priority }) => priority === top)?.i;
          expect(by(await space.access(read(BigInt(address), width)))).toBe(
            expected === undefined ? 'external' : String(expected),
          );
        }
      }),
    );
  });
});
