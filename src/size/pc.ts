import { alignUp, maxOf } from '../address/align.js';
import { formatSize, hex } from '../address/format.js';
import { FOUR_GIB, GiB, KiB, MiB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { ovmfBoard } from '../guests/boards.js';
import { edk2 } from '../guests/edk2/edk2.js';
import { parseGuests, predict } from '../guests/predict.js';
import { eachFunction, type Machine } from '../machine/model.js';
import type { SizeAnswer } from './answer.js';
import { wideBars } from './arm.js';
import { machineWith } from './machine.js';
import { windowNeed, type DeviceNeed } from './need.js';

/** PlatformGetFirstNonAddress (OvmfPkg/Library/PlatformInitLib/MemDetect.c): more is ignored. */
const MOST_OVMF = 1n << 44n;
/** PlatformAddressWidthFromCpuid: OVMF uses no more address bits (2022.11: 47; later ones 46, with four levels of page tables). */
const OVMF_BITS = 46;
const LEAST_BITS = 36;
/** Of x86. */
const MOST_BITS = 52;
/** PcdPciMmio64Size in OvmfPkg/OvmfPkgX64.dsc. */
const BUILT_IN = 32n * GiB;

/** Whose address bits OVMF believes (PlatformAddressWidthFromCpuid): 40 is what QEMU says without being told. */
const vendors = [
  {
    name: 'Intel',
    believes: (bits: number) => bits === 36 || bits === 39 || bits >= 41,
    said: '36, 39, and 41 or more',
  },
  { name: 'AMD', believes: (bits: number) => bits >= 40, said: '40 or more' },
] as const;
type Vendor = (typeof vendors)[number];

const powerOfTwoDown = (value: bigint) => 1n << BigInt(value.toString(2).length - 1);
const bitsFor = (end: bigint) => (end - 1n).toString(2).length;

/** Where memory ends above 4 GiB: hw/i386/pc_q35.c puts what is over 2 GiB there, from 2.75 GiB on. */
const memoryEnd = ({ ram }: Machine): bigint => ram.reduce((end, { limit }) => maxOf(end, limit + 1n), FOUR_GIB);

/** OVMF's aperture of `size` bytes where it is told one: it starts at a multiple of the power of two at or below its size. */
const aperture = (machine: Machine, size: bigint): AddressRange =>
  AddressRange.sized(alignUp(alignUp(memoryEnd(machine), GiB), powerOfTwoDown(size)), size);

/** Whether OVMF finds a place for every 64-bit prefetchable BAR. */
function ovmfPlaces(machine: Machine, wide: ReadonlySet<string>, high: AddressRange): boolean {
  const result = edk2(machine, { ...ovmfBoard(machine, true), high, highHotplug: high.size });
  if (result.status !== 'done') return false;
  for (const { fn } of eachFunction(machine.hostBridges[0]?.functions ?? [])) {
    const own = result.registers.get(fn);
    const lacks = fn.bars.some(({ index }) => wide.has(`${fn.id} ${index}`) && own?.bars.get(index) === undefined);
    if (own?.givenUp || lacks) return false;
  }
  return true;
}

/** The smallest whole number of GiB that `works`, which works for all larger ones up to `most`; undefined: none does. */
function smallest(from: bigint, most: bigint, works: (size: bigint) => boolean): bigint | undefined {
  let low = maxOf(1n, from / GiB) - 1n;
  let high = low + 1n;
  while (!works(high * GiB)) {
    low = high;
    high *= 2n;
    if (high * GiB > most) return undefined;
  }
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (works(middle * GiB)) high = middle;
    else low = middle;
  }
  return high * GiB;
}

/** What a PC (q35) has to be told: QEMU, OVMF, the CPU, libvirt. */
export function pcAnswers(devices: readonly DeviceNeed[], ram: bigint): SizeAnswer[] {
  const wide = wideBars(devices);
  const machine = machineWith(devices, { arch: 'x86_64', ram });
  return [...ovmfAnswers(devices, ram, machine, wide), ...holeAnswers(devices, machine)];
}

function ovmfAnswers(
  devices: readonly DeviceNeed[],
  ram: bigint,
  machine: Machine,
  wide: ReadonlySet<string>,
): SizeAnswer[] {
  const total = devices.reduce((sum, one) => sum + windowNeed(one, 'prefetchable').size, 0n);
  if (total === 0n) return [];
  const works = (size: bigint) => ovmfPlaces(machine, wide, aperture(machine, size));
  const size = smallest(total, MOST_OVMF, works);
  const widths = vendors.map((vendor) => ({ vendor, bits: bitsForOvmf(devices, ram, wide, vendor) }));
  const where = 'OVMF, machine q35';
  const option = '-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string';
  const enough = [...new Set(widths.map(({ bits }) => bits))].filter((bits) => bits !== undefined);
  const eighth =
    enough.length === 0
      ? 'no number of address bits makes its default aperture large enough'
      : `OVMF 2022.11 and later need no such option with ${Math.max(41, ...enough)} address bits or more: they take the last eighth of the address space`;
  const seabios = bitsForSeabios(devices, ram);
  return [
    size === undefined
      ? { stack: 'ovmf', option, where, value: null, why: `its 16 TiB do not hold these BARs; ${eighth}`, by: 'model' }
      : size <= BUILT_IN
        ? { stack: 'ovmf', option, where, value: null, why: 'the aperture that is built in, 32 GiB, does', by: 'model' }
        : {
            stack: 'ovmf',
            option,
            where,
            value: String(size / MiB),
            why: `${formatSize(size)} from ${aperture(machine, size).toString()}: the BARs at multiples of their sizes, and what OVMF keeps at every hot-plug port (1/256 of it where it is more than 32 GiB). With it the guest needs ${bitsFor(aperture(machine, size).limit + 1n)} address bits. It counts where it is more than an eighth of the address space; ${eighth}`,
            smaller: { value: String((size - GiB) / MiB), fails: 'a BAR finds no place; OVMF rounds up to whole GiB' },
            by: 'model',
          },
    ...(enough.length === 1 ? widths.slice(0, 1) : widths).flatMap(({ vendor, bits }) =>
      bits === undefined ? [] : widthAnswers(vendor, bits, enough.length === 1),
    ),
    {
      stack: 'cpu',
      option: '-cpu …,phys-bits',
      where: 'SeaBIOS',
      value: typeof seabios === 'number' ? String(seabios) : null,
      why:
        typeof seabios === 'number'
          ? `SeaBIOS needs to be told nothing: it takes what it needs, up to 1.16.2 right above RAM, later below the end of the address space; its last BAR ends at 2^${seabios} or below`
          : `SeaBIOS cannot place them: ${seabios}`,
      ...(typeof seabios === 'number' && seabios > LEAST_BITS
        ? {
            smaller: {
              value: String(seabios - 1),
              fails: `BARs end above 2^${seabios - 1}, and Linux takes none there`,
            },
          }
        : {}),
      by: 'model',
    },
  ];
}

/** How to say that OVMF has enough with so many address bits. */
function widthAnswers({ name, believes, said }: Vendor, bits: number, anyVendor: boolean): SizeAnswer[] {
  const where = `OVMF 2022.11 and later, nothing else said, ${anyVendor ? 'any CPU' : `an ${name} CPU`}`;
  const isEighth = 1n << BigInt(bits - 3) > BUILT_IN;
  const fails =
    anyVendor || believes(bits - 1)
      ? `an eighth of 2^${bits - 1} is too small`
      : `OVMF takes ${said} for true of this CPU, and makes do with the 32 GiB that are built in`;
  return [
    {
      stack: 'cpu',
      option: '-cpu …,phys-bits',
      where,
      value: String(bits),
      why: `${isEighth ? `an eighth of 2^${bits}` : 'the aperture of 32 GiB that is built in'} holds all; with -cpu host, host-phys-bits-limit must not be below, nor the host IOMMU's width where devices are passed through`,
      ...(isEighth ? { smaller: { value: String(bits - 1), fails } } : {}),
      by: 'model',
    },
    {
      stack: 'libvirt',
      option: '<cpu><maxphysaddr mode="emulate" bits="…"/>',
      where,
      value: String(bits),
      why: 'the same as phys-bits',
      by: 'source',
    },
  ];
}

/** The fewest address bits with which OVMF's own aperture does. */
function bitsForOvmf(
  devices: readonly DeviceNeed[],
  ram: bigint,
  wide: ReadonlySet<string>,
  { believes }: Vendor,
): number | undefined {
  for (let bits = LEAST_BITS + 1; bits <= OVMF_BITS; bits++) {
    const eighth = 1n << BigInt(bits - 3);
    let machine: Machine;
    try {
      machine = machineWith(devices, { arch: 'x86_64', ram, physicalAddressBits: bits });
    } catch {
      // The board refuses so few.
      continue;
    }
    const end = 1n << BigInt(bits);
    // PlatformDynamicMmioWindow: an eighth, where it is more than the aperture that is built in.
    const high =
      believes(bits) && eighth > BUILT_IN ? AddressRange.sized(end - eighth, eighth) : aperture(machine, BUILT_IN);
    if (high.base < memoryEnd(machine) || high.limit >= end) continue;
    if (ovmfPlaces(machine, wide, high)) return bits;
  }
  return undefined;
}

/** The fewest address bits that reach all that SeaBIOS places, whatever its version; or why it cannot. */
function bitsForSeabios(devices: readonly DeviceNeed[], ram: bigint): number | string {
  let failure = 'no number of address bits does';
  for (let bits = LEAST_BITS; bits <= MOST_BITS; bits++) {
    let machine: Machine;
    try {
      machine = machineWith(devices, { arch: 'x86_64', ram, physicalAddressBits: bits });
    } catch {
      // The board refuses so few.
      continue;
    }
    const results = (['seabios', 'seabios-1.16.3'] as const).map((name) => predict(machine, parseGuests(name)));
    const stopped = results.find((result) => result.stopped !== undefined)?.stopped;
    if (stopped !== undefined) failure = stopped;
    const end = results
      .flatMap(({ functions }) => functions)
      .flatMap(({ bars }) => bars)
      .reduce((top, bar) => maxOf(top, bar.address + bar.size), 0n);
    if (stopped === undefined && end <= 1n << BigInt(bits)) return bits;
  }
  return failure;
}

/**
 * `pci-hole64-size`: what QEMU's ACPI tables offer the guest above what firmware has used (hw/pci-host/q35.c,
 * q35_host_get_pci_hole64_end, in whole GiB). Firmware does not look at it, so it is for devices that are plugged in later, and of
 * those for ports whose windows the guest opens. Tried: with ACPI hotplug Linux leaves a port's window as it is.
 */
function holeAnswers(devices: readonly DeviceNeed[], machine: Machine): SizeAnswer[] {
  const needs = devices.map((one) => windowNeed(one, 'prefetchable')).filter(({ size }) => size > 0n);
  if (needs.length === 0) return [];
  const start = alignUp(memoryEnd(machine), GiB);
  const top = needs.reduce((at, { size, align }) => alignUp(at, maxOf(align, MiB)) + alignUp(size, MiB), start);
  const size = alignUp(top - start, GiB);
  const isDefault = size <= 32n * GiB;
  const why = `devices that are there at the boot need none: firmware places them, and the guest's window follows what it did; so it is with room that pref64-reserve keeps. Where the guest itself opens the windows of empty ports (PCI Express hotplug: ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off), all of them need ${formatSize(size)} from ${hex(start)} on, with each BAR at a multiple of its size`;
  const smaller = isDefault
    ? {}
    : { smaller: { value: `${(size - GiB) / GiB}G`, fails: 'the last device that is plugged in finds no place' } };
  return [
    {
      stack: 'qemu',
      option: '-global q35-pcihost.pci-hole64-size',
      where: 'machine q35, devices plugged in later, PCI Express hotplug',
      value: isDefault ? null : `${size / GiB}G`,
      why: isDefault ? `${why}: the default is 32 GiB` : why,
      ...smaller,
      by: 'source',
    },
    {
      stack: 'libvirt',
      option: '<controller type="pci" model="pcie-root"><pcihole64 unit="KiB">…</pcihole64>',
      where: 'machine q35, devices plugged in later, PCI Express hotplug',
      value: isDefault ? null : String(size / KiB),
      why: 'the same as pci-hole64-size',
      by: 'source',
    },
  ];
}
