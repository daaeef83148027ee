import { formatSize } from '../address/format.js';
import { GiB } from '../address/kinds.js';
import { parseGuests, predict } from '../guests/predict.js';
import type { SizeAnswer } from './answer.js';
import { armAnswers } from './arm.js';
import { machineWith } from './machine.js';
import { windowNeed, windowOf, type DeviceNeed } from './need.js';
import { pcAnswers } from './pc.js';
import { portAnswers } from './ports.js';

export interface SizeOptions {
  readonly devices: readonly DeviceNeed[];
  /** Of the guest, bytes. */
  readonly ram: bigint;
  /** Of the host, where they are known. */
  readonly hostBits?: number;
  readonly iommuBits?: number;
}

export interface Sizes {
  readonly answers: readonly SizeAnswer[];
  /** What no option changes. */
  readonly notes: readonly string[];
}

/** What each stack has to be told for these devices, each behind a root port of its own. Pure. */
export function sizesFor({ devices, ram, hostBits, iommuBits }: SizeOptions): Sizes {
  const answers = [
    ...armAnswers(devices, ram),
    ...pcAnswers(devices, ram),
    ...portAnswers(devices),
    ...vmware(devices),
  ];
  return { answers, notes: [...below4G(devices, ram), ...widths(answers, hostBits, iommuBits)] };
}

/**
 * VMware's rule, as its documentation has it: all 64-bit BARs together, to the next power of two above. Not tried.
 */
function vmware(devices: readonly DeviceNeed[]): SizeAnswer[] {
  const total = devices
    .flatMap(({ bars }) => bars)
    .reduce((sum, { type, size }) => (type === 'mem64' ? sum + size : sum), 0n);
  if (total === 0n) return [];
  let value = GiB;
  while (value <= total) value *= 2n;
  return [
    {
      stack: 'vmware',
      option: 'pciPassthru.64bitMMIOSizeGB',
      where: 'vSphere, with pciPassthru.use64bitMMIO=TRUE and EFI',
      value: String(value / GiB),
      why: `the next power of two above ${formatSize(total)}, all 64-bit BARs together: the rule of its documentation`,
      by: 'rule',
    },
  ];
}

/** 32-bit BARs: no option of a board makes room for them. */
function below4G(devices: readonly DeviceNeed[], ram: bigint): string[] {
  const low = devices.reduce((sum, one) => sum + windowNeed(one, 'memory').size, 0n);
  if (low === 0n) return [];
  const lacking = (['aarch64', 'x86_64'] as const).filter((arch) => {
    const machine = machineWith(devices, {
      arch,
      ram,
      ...(arch === 'aarch64' ? { properties: { 'highmem-mmio-size': '2048T' } } : {}),
    });
    const guest = arch === 'aarch64' ? 'linux-6.12' : 'seabios';
    const result = predict(machine, parseGuests(guest));
    return (
      result.stopped !== undefined ||
      result.unplaced.some(({ id, bar }) => {
        const device = devices.find((one) => one.id === id);
        let index = 0;
        return device?.bars.some((own) => {
          const at = index;
          index += own.type === 'mem64' ? 2 : 1;
          return at === bar && windowOf(own) === 'memory';
        });
      })
    );
  });
  return lacking.map(
    (arch) =>
      `on ${arch === 'aarch64' ? 'virt (aarch64)' : 'q35'} the BARs that must lie below 4 GiB, ${formatSize(low)} in all, do not fit, and no option makes that window larger`,
  );
}

/** Address bits that an answer asks for, beside those that the host has. */
function widths(answers: readonly SizeAnswer[], hostBits: number | undefined, iommuBits: number | undefined): string[] {
  const wanted = answers.filter(({ stack }) => stack === 'cpu');
  return wanted.flatMap(({ where, value }) => {
    const bits = Number(value ?? 0);
    return [
      ...(hostBits !== undefined && bits > hostBits
        ? [`${where}: ${bits} address bits are asked for, and the host's CPU has ${hostBits}`]
        : []),
      ...(iommuBits !== undefined && bits > iommuBits
        ? [
            `${where}: ${bits} address bits are asked for, and the host's IOMMU translates ${iommuBits}: devices reach nothing above 2^${iommuBits}`,
          ]
        : []),
    ];
  });
}
