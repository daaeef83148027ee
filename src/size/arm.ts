import { formatQemuSize, formatSize } from '../address/format.js';
import { predict, parseGuests } from '../guests/predict.js';
import type { Prediction } from '../guests/prediction.js';
import { DEFAULT_HIGH_MMIO_SIZE } from '../machine/boards/virt-aarch64.js';
import type { SizeAnswer } from './answer.js';
import { machineWith } from './machine.js';
import type { DeviceNeed } from './need.js';

/** Who places on the Arm board: Linux by itself, and EDK2 before it. */
const guests = ['linux-6.12', 'edk2-2022.11', 'edk2-2022.11,linux-6.12'] as const;

/** 64-bit BARs that a guest leaves without a place. */
const left = ({ unplaced }: Prediction, wide: ReadonlySet<string>) =>
  unplaced.filter(({ id, bar }) => wide.has(`${id} ${bar}`));

/** BARs that may lie above 4 GiB behind a port. */
export function wideBars(devices: readonly DeviceNeed[]): Set<string> {
  const names = new Set<string>();
  for (const { id, bars } of devices) {
    let index = 0;
    for (const { type, prefetchable } of bars) {
      if (type === 'mem64' && prefetchable) names.add(`${id} ${index}`);
      index += type === 'mem64' ? 2 : 1;
    }
  }
  return names;
}

/**
 * `highmem-mmio-size` of QEMU's virt board for Arm, and the address bits that the guest's CPU then needs: the 64-bit window lies
 * at the first multiple of its size above RAM (hw/arm/virt.c, virt_set_high_memmap).
 */
export function armAnswers(devices: readonly DeviceNeed[], ram: bigint): SizeAnswer[] {
  const wide = wideBars(devices);
  const failing = (size: bigint) => {
    const properties = { 'highmem-mmio-size': formatQemuSize(size) };
    const machine = machineWith(devices, { arch: 'aarch64', ram, properties });
    for (const guest of guests) {
      const [first] = left(predict(machine, parseGuests(guest)), wide);
      if (first) return { guest, ...first };
    }
    return undefined;
  };
  const where = 'machine virt, aarch64, QEMU 10.0 and later';
  const option = 'highmem-mmio-size';
  let reason = 'QEMU takes nothing below 512 GiB';
  for (let size = DEFAULT_HIGH_MMIO_SIZE; size <= 1n << 51n; size *= 2n) {
    const first = failing(size);
    if (first) {
      reason = `${first.guest} leaves ${first.id} BAR ${first.bar} (${formatSize(first.size)}) without a place`;
      continue;
    }
    const machine = machineWith(devices, { arch: 'aarch64', ram, properties: { [option]: formatQemuSize(size) } });
    const end = machine.hostBridges[0]?.windows.reduce(
      (most, w) => (w.cpuBase + w.size > most ? w.cpuBase + w.size : most),
      0n,
    );
    const bits = (end ?? 1n).toString(2).length - 1;
    const isDefault = size === DEFAULT_HIGH_MMIO_SIZE;
    return [
      {
        stack: 'qemu',
        option,
        where,
        value: isDefault ? null : formatQemuSize(size),
        why: `${isDefault ? 'the default, 512 GiB,' : 'it'} holds all 64-bit prefetchable BARs for Linux by itself and for EDK2; the value is a power of two, and the window lies at a multiple of it`,
        ...(isDefault ? {} : { smaller: { value: formatQemuSize(size / 2n), fails: reason } }),
        by: 'model',
      },
      {
        stack: 'cpu',
        option: 'physical address bits',
        where: 'machine virt, aarch64',
        value: String(bits),
        why: `the 64-bit window ends at 2^${bits}: the guest's CPU needs as many, and with passed-through devices the host's IOMMU as well`,
        by: 'source',
      },
    ];
  }
  return [{ stack: 'qemu', option, where, value: null, why: `no value helps: ${reason}`, by: 'model' }];
}
