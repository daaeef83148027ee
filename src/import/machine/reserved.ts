import { ascending } from '../../address/align.js';
import { hex } from '../../address/format.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Capture, CapturedFunction } from '../capture/model.js';
import { sizeText } from './endpoint.js';

interface ReservedInput {
  readonly base: string;
  readonly size: string;
  readonly reason: string;
}

/**
 * What the host's IOMMU keeps for itself in the groups of these functions: DMA to it does not reach the guest's memory.
 * `direct-relaxable` regions are not among it: VFIO gives them free (drivers/vfio/vfio_iommu_type1.c,
 * vfio_iommu_resv_exclude).
 */
export function reservedOf(capture: Capture, chosen: readonly CapturedFunction[]) {
  const notes: string[] = [];
  const groups = new Set(chosen.flatMap(({ iommuGroup }) => iommuGroup ?? []));
  const known = capture.iommuGroups.filter(({ group }) => groups.has(group));
  const regions = new Map<string, { base: bigint; size: bigint; type: string; groups: number[] }>();
  for (const { group, reserved } of known) {
    for (const { range, type } of reserved) {
      if (type === 'direct-relaxable') continue;
      const key = `${range.toString()} ${type}`;
      const region = regions.get(key) ?? { base: range.base, size: range.size, type, groups: [] };
      region.groups.push(group);
      regions.set(key, region);
    }
  }
  if (known.every(({ reserved }) => reserved.length === 0)) {
    notes.push(
      'what the host’s IOMMU reserves was not shown, so nothing is kept free for it; grep . /sys/kernel/iommu_groups/*/reserved_regions on the host shows it, to be imported with the rest',
    );
  }
  for (const group of groups) {
    const named = new Set(chosen);
    const others = capture.functions.filter((fn) => fn.iommuGroup === group && !named.has(fn) && !fn.buses);
    if (others.length === 0) continue;
    const list = others.map(({ address }) => formatBdf(address)).join(', ');
    notes.push(
      `IOMMU group ${group} also holds ${list}: the host can use none of them while the group is passed through`,
    );
  }
  const reserved = [...regions.values()]
    .sort((a, b) => ascending(a.base, b.base))
    .map(({ base, size, type, groups: own }): ReservedInput => ({
      base: hex(base),
      size: sizeText(size),
      reason: `the host’s IOMMU, ${type}, group${own.length > 1 ? 's' : ''} ${list(own)}`,
    }));
  return { reserved, notes };
}

/** Many numbers, short. */
const list = (numbers: readonly number[]): string =>
  numbers.length > 8 ? `${numbers.slice(0, 8).join(', ')} and ${numbers.length - 8} more` : numbers.join(', ');
