import { expect, it } from 'vitest';
import { formatSize } from '../address/format.js';
import type { Headroom } from '../place/headroom.js';
import { renderHeadroom } from './render/headroom.js';
import { styleFor } from './io.js';

const MiB = 1n << 20n;
const plain = styleFor({ isTTY: false, columns: 80, write: () => undefined }, {});

const closest = (least: bigint | undefined, size: bigint, used: number): string => {
  const window = { id: 'pcie.0', type: 'mem32', base: 0x1000_0000n, size, free: 0n, largest: 0n, least } as const;
  const headroom: Headroom = {
    windows: [window],
    buses: [{ id: 'pcie.0', used: [0, used], range: [0, 15] }],
    ports: [],
  };
  return /^Closest to failing: (.*)\.$/m.exec(renderHeadroom(headroom, plain))?.[1] ?? '';
};

it.each([
  [9n * MiB, 9n * MiB, 2, 'pcie.0 mem32; were the window 4 KiB smaller, there would be no plan'],
  [0x80_1000n, 9n * MiB, 2, `pcie.0 mem32; it could lose ${formatSize(1020n * 1024n)} (11 %) and there would still be`],
  [0x80_1000n, 9n * MiB, 15, 'the bus numbers of pcie.0; 0 of 16 are left'],
  [undefined, 9n * MiB, 14, 'the bus numbers of pcie.0; 1 of 16 are left'],
  [0n, 9n * MiB, 0, ''],
])('least size %s of %s, bus %i the last in use', (least, size, used, text) => {
  expect(closest(least, size, used)).toContain(text);
  expect(closest(least, size, used) === '').toBe(text === '');
});
