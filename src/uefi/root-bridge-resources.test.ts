import { describe, expect, it } from 'vitest';
import { concat } from '../acpi/bytes.js';
import { decodeAddressSpaces, qwordMemory, resourceTemplate } from '../acpi/resources.js';
import { AddressRange } from '../address/range.js';
import { withRanges } from './root-bridge-resources.js';

const range = (base: bigint, size: bigint) => AddressRange.sized(base, size);
const listed = resourceTemplate(qwordMemory(0x1000_0000n, 0x105f_ffffn), qwordMemory(0xc0_0000_0000n, 0xc0_0410_3fffn));
const lists = (bytes: Uint8Array) =>
  decodeAddressSpaces(bytes).map(({ base, limit }) => AddressRange.of(base, limit).toString());
const own = ['0x10000000-0x105fffff', '0xc000000000-0xc004103fff'];

describe('what a root bridge lists', () => {
  it('has a range more below 4 GiB and one above, which hold what was added', () => {
    const ranges = [range(0x2000_0000n, 0x1000n), range(0x6b_8000_0000n, 0x1000n), range(0x8b_4000_0000n, 0x400_0000n)];
    expect(lists(withRanges(listed, ranges, false))).toEqual([
      ...own,
      '0x20000000-0x20000fff',
      '0x6b80000000-0x8b43ffffff',
    ]);
    expect(lists(withRanges(listed, [], false))).toEqual(own);
  });

  it('has nothing more beyond what is mapped', () => {
    const ranges = [range(0xff_f000_0000n, 0x1000_0000n), range(0x100_0000_0000n, 0x1000n)];
    expect(lists(withRanges(listed, ranges, true))).toEqual([...own, '0xfff0000000-0xffffffffff']);
    expect(lists(withRanges(listed, ranges, false))).toEqual([...own, '0xfff0000000-0x10000000fff']);
    // Without an address above 4 GiB of its own, 36 bits.
    const low = resourceTemplate(qwordMemory(0x1000_0000n, 0x105f_ffffn));
    const more = [range(0x8_0000_0000n, 0x1000n), range(0x10_0000_0000n, 0x1000n)];
    expect(lists(withRanges(low, more, true))).toEqual([own[0], '0x800000000-0x800000fff']);
  });

  it('is taken without what follows it in memory, and nothing that is no list is', () => {
    const more = withRanges(concat(listed, new Uint8Array(100).fill(0xaa)), [], false);
    expect(more).toEqual(listed);
    expect(() => withRanges(new Uint8Array(512), [], false)).toThrow(
      expect.objectContaining({ code: 'acpi-resources', exit: 3 }) as Error,
    );
    expect(() => withRanges(listed.subarray(0, 60), [], false)).toThrow(/cut off/);
  });
});
