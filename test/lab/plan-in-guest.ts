import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { output, readFunctions, type Boot, type GuestFunction } from './console.js';
import { pinbar } from './pinbar.js';

/** A plan as `--plan-out` writes it, as far as it is compared here. */
export interface WrittenPlan {
  readonly bridges: readonly { readonly id: string; readonly secondary: number; readonly subordinate: number }[];
  readonly functions: readonly {
    readonly id: string;
    readonly address: string;
    readonly bars: readonly WrittenBar[];
    readonly rom?: { readonly size: string; readonly address: string };
  }[];
}

interface WrittenBar {
  readonly index: number;
  readonly type: 'io' | 'mem32' | 'mem64';
  readonly prefetchable: boolean;
  readonly size: string;
  readonly address: string;
  readonly pinned: boolean;
}

export const readPlan = (path: string): WrittenPlan => JSON.parse(readFileSync(path, 'utf8')) as WrittenPlan;

/** The index of the ROM in sysfs `resource` (include/linux/pci.h, PCI_ROM_RESOURCE). */
const ROM = 6;

/** Where a plan has BARs and ROMs: `dev0 2 0x6b8000000000-0x6b8fffffffff`. */
export function planned(plan: WrittenPlan): string[] {
  return plan.functions.flatMap(({ id, bars, rom }) =>
    [...bars.map(({ index, ...rest }) => ({ index, ...rest })), ...(rom ? [{ index: ROM, ...rom }] : [])].map(
      ({ index, address, size }) => line(id, index, BigInt(address), BigInt(address) + BigInt(size) - 1n),
    ),
  );
}

/**
 * Where a guest has them, in the same words: by its sysfs `resource` files, and by the registers themselves. On `virt` bus
 * and CPU addresses of memory are the same, and Linux numbers the ports of its first host bridge as the bus does.
 */
export function inGuest(plan: WrittenPlan, boot: Boot | undefined): { sysfs: string[]; registers: string[] } {
  const functions = readFunctions(output(boot, 'pci'));
  const ids = new Map(plan.functions.map(({ id, address }) => [address, id]));
  const sysfs = [...functions.values()].flatMap(({ address, resources }) =>
    resources
      .slice(0, ROM + 1)
      .flatMap(({ base, limit, flags }, index) =>
        flags === 0n ? [] : [line(ids.get(address) ?? address, index, base, limit)],
      ),
  );
  const registers = plan.functions.flatMap(({ id, address, bars }) =>
    bars.map(({ index, type, size }) => {
      const base = barRegister(functions.get(address), index, type);
      return line(id, index, base, base + BigInt(size) - 1n);
    }),
  );
  return { sysfs, registers };
}

/** Fails where a boot does not have every BAR and ROM of the plan, or has one more. `pci_functions` is its section `pci`. */
export function expectPlanInGuest(plan: WrittenPlan, boot: Boot | undefined): void {
  const { sysfs, registers } = inGuest(plan, boot);
  expect(sysfs.toSorted()).toEqual(planned(plan).toSorted());
  const bars = planned({ ...plan, functions: plan.functions.map(({ id, address, bars }) => ({ id, address, bars })) });
  expect(registers).toEqual(bars);
}

/** Where a BAR of a function is, by sysfs. */
export const barOf = (boot: Boot | undefined, address: string, index: number): bigint | undefined =>
  readFunctions(output(boot, 'pci')).get(address)?.resources[index]?.base;

/** The guest's shell commands for all that `pinbar verify` reads. */
export const listings = `
section pci pci_functions
section lspci lspci -vvv
section iomem cat /proc/iomem
section ioports cat /proc/ioports
section resource grep . /sys/bus/pci/devices/*/resource
section dmesg dmesg
`;

/** Lets `pinbar verify` compare a plan with every listing of a boot. */
export function verify(folder: string, plan: string, boot: Boot | undefined) {
  const files = ['lspci', 'iomem', 'ioports', 'resource', 'dmesg'].map((section) => {
    const file = join(folder, `${section}.txt`);
    writeFileSync(file, output(boot, section));
    return file;
  });
  return pinbar(['verify', plan, '--json', ...files.flatMap((file) => ['--guest', file])]);
}

const line = (id: string, index: number, base: bigint, limit: bigint) =>
  `${id} ${index === ROM ? 'ROM' : index} 0x${base.toString(16)}-0x${limit.toString(16)}`;

/** PCI Local Bus 3.0 §6.2.5.1: type bits below, the upper half of a 64-bit BAR in the next register. */
function barRegister(fn: GuestFunction | undefined, index: number, type: WrittenBar['type']): bigint {
  if (!fn) return -1n;
  const view = new DataView(fn.config.buffer, fn.config.byteOffset);
  const low = view.getUint32(0x10 + 4 * index, true);
  const high = type === 'mem64' ? view.getUint32(0x14 + 4 * index, true) : 0;
  return (BigInt(high) << 32n) | BigInt((low & (type === 'io' ? ~0b11 : ~0b1111)) >>> 0);
}
