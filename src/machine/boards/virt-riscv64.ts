import { alignUp } from '../../address/align.js';
import { GiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { Board } from './board.js';

/** QEMU `virt`, hw/riscv/virt.c: virt_memmap. All are CPU addresses. */
const RAM_BASE = 0x8000_0000n;
const HIGH_WINDOW_SIZE = 16n * GiB;

export const virtRiscv64: Board = {
  name: 'virt',
  arch: 'riscv64',
  properties: [],
  map: ({ ram }) => {
    // hw/riscv/virt.c: the 64-bit window is the first multiple of its size above RAM.
    const high = alignUp(RAM_BASE + ram, HIGH_WINDOW_SIZE);
    return {
      ram: [AddressRange.sized(RAM_BASE, ram)],
      hostBridge: {
        id: 'pcie.0',
        segment: 0,
        buses: [0, 255],
        windows: [
          { type: 'io', base: 0n, size: 0x1_0000n, cpuBase: 0x300_0000n },
          { type: 'mem32', base: 0x4000_0000n, size: GiB, cpuBase: 0x4000_0000n },
          { type: 'mem64', base: high, size: HIGH_WINDOW_SIZE, cpuBase: high },
        ],
      },
    };
  },
};
