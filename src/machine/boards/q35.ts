import { FOUR_GIB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { Board } from './board.js';

/** QEMU `q35`, hw/i386/pc_q35.c, pc_q35_init: from here on RAM gives way to the ECAM and the 32-bit PCI hole. */
const MOST_LOW_RAM = 0xb000_0000n;
/** What stays below 4 GiB then; the rest goes on at 4 GiB. */
const LOW_RAM = 0x8000_0000n;

/** RAM only: which windows are used is up to the firmware, so a machine file says them. */
export const q35: Board = {
  name: 'q35',
  arch: 'x86_64',
  properties: [],
  map: ({ ram }) => ({
    ram:
      ram < MOST_LOW_RAM
        ? [AddressRange.sized(0n, ram)]
        : [AddressRange.sized(0n, LOW_RAM), AddressRange.sized(FOUR_GIB, ram - LOW_RAM)],
    hostBridge: { id: 'pcie.0', segment: 0, buses: [0, 255] },
  }),
};
