import { AddressRange } from '../../address/range.js';
import type { HostWindow } from '../../machine/model.js';
import type { Hit, Space } from '../decode.js';
import type { SimulatedMachine } from '../simulate.js';
import { onesOf, type MemoryAccess, type MemoryWidth } from './access.js';
import { priority, type MemoryRegion } from './address-space.js';

/** What lies behind BARs and ROMs. */
export interface DeviceMemory {
  read(hit: Hit, width: MemoryWidth): bigint;
  write(hit: Hit, width: MemoryWidth, value: bigint): void;
}

/** Every aligned 8 bytes are their own offset in the BAR, little-endian: shows where an access has arrived. */
export const echo: DeviceMemory = {
  read: ({ offset }, width) => ((offset & ~7n) >> (8n * (offset & 7n))) & onesOf(width),
  write: () => undefined,
};

/** One BAR, ROM or VF BAR is meant by both, whole. */
const same = (a: Hit, b: Hit | undefined) =>
  a.id === b?.id &&
  a.region.kind === b.region.kind &&
  (a.region.kind === 'rom' || b.region.kind === 'rom' || a.region.index === b.region.index) &&
  (a.region.kind !== 'vf' || b.region.kind !== 'vf' || a.region.vf === b.region.vf);

const nameOf = ({ id, region }: Hit): string => {
  switch (region.kind) {
    case 'rom':
      return `${id} ROM`;
    case 'bar':
      return `${id} BAR ${region.index}`;
    case 'vf':
      return `${id} VF ${region.vf} BAR ${region.index}`;
    default:
      return region satisfies never;
  }
};

/**
 * A host bridge's window: what is decoded behind it answers, by the Command registers, BARs and bridge windows as they stand at
 * the moment of the access. Where nothing decodes an address, what lies below the window answers. Where several do, a read gives
 * all ones and a write reaches them all.
 */
export function pciWindow(
  window: HostWindow,
  machine: Pick<SimulatedMachine, 'decode'>,
  memory: DeviceMemory = echo,
): MemoryRegion {
  const space: Space = window.type === 'io' ? 'io' : 'memory';
  const hitsOf = ({ address, width }: MemoryAccess): Hit[] => {
    const hits = machine.decode(space, address);
    if (width === 1 || hits.length === 0) return hits;
    // A BAR takes the access if it holds all of it; the smallest are 4 bytes of ports.
    const last = machine.decode(space, address + BigInt(width - 1));
    return hits.filter((hit) => last.some((other) => same(hit, other)));
  };
  return {
    name: `${window.type} window`,
    range: AddressRange.sized(window.cpuBase, window.size),
    priority: priority.device,
    answer: (access) => {
      const hits = hitsOf(access);
      const [first, ...others] = hits;
      if (!first) return null;
      const by = hits.map(nameOf).join(' and ');
      if (access.kind === 'write') {
        for (const hit of hits) memory.write(hit, access.width, access.value);
        return { value: 0n, by };
      }
      return { value: others.length > 0 ? onesOf(access.width) : memory.read(first, access.width), by };
    },
  };
}
