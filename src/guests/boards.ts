import { hex } from '../address/format.js';
import { AddressRange } from '../address/range.js';
import { GiB } from '../address/kinds.js';
import type { BarType, HostBridge, Machine } from '../machine/model.js';
import type { Edk2Board } from './edk2/edk2.js';
import type { HighSpace, SeabiosBoard } from './seabios/seabios.js';
import type { UbootRegions } from './uboot/uboot.js';

const FOUR_GIB = 4n * GiB;

/** The first address above RAM that is not below 4 GiB. */
const aboveRam = ({ ram }: Machine): bigint =>
  ram.reduce((end, { limit }) => (limit + 1n > end ? limit + 1n : end), FOUR_GIB);

/** RAM below 4 GiB, bytes. */
const lowRam = ({ ram }: Machine): bigint =>
  ram.reduce((end, { base, limit }) => (base < FOUR_GIB && limit + 1n > end ? limit + 1n : end), 0n);

/** SeaBIOS up to 1.16.2, and the releases after which it places otherwise. */
export type SeabiosVersion = '1.16.2' | '1.16.3' | '1.17.0';

/** Where SeaBIOS places things on QEMU's boards (src/fw/pciinit.c: mch_mem_addr_setup, i440fx_mem_addr_setup). */
export function seabiosBoard(machine: Machine, version: SeabiosVersion): SeabiosBoard {
  const board = fixedSpace(machine);
  return version === '1.16.2' ? board : { ...board, high: highSpace(machine, version) };
}

/** pci_setup of 1.16.3 and 1.17.0. A CPU without long mode or address bits is not taken into account. */
function highSpace(machine: Machine, version: Exclude<SeabiosVersion, '1.16.2'>): HighSpace {
  const bits = machine.physicalAddressBits ?? 40;
  const ramAbove = machine.ram.reduce((sum, { base, size }) => (base >= FOUR_GIB ? sum + size : sum), 0n);
  const huge = version === '1.17.0' && ramAbove >= 1n << 40n;
  const most = huge ? 64 : version === '1.17.0' ? 44 : 46;
  return {
    top: 1n << BigInt(Math.min(bits, most)),
    padded: ramAbove > 0n && (version === '1.17.0' || bits >= 36),
    padding: version === '1.17.0' ? 'raises' : 'replaces',
    used: [...machine.ram, ...machine.reserved.map(({ range }) => range)],
  };
}

function fixedSpace(machine: Machine): SeabiosBoard {
  const highStart = aboveRam(machine);
  const end = 0xfec00000n;
  if (machine.board !== 'pc') return { memory: [0xc0000000n, end], portsEnd: 0x10000n, highStart };
  const low = lowRam(machine);
  const start = low <= 0x80000000n ? 0x80000000n : low <= 0xc0000000n ? 0xc0000000n : 0xe0000000n;
  return { memory: [start, end], portsEnd: 0xa000n, highStart };
}

/**
 * OVMF: I/O and memory below 4 GiB as fixed for QEMU's boards, above 4 GiB the last eighth of the address space (2022.11 and later:
 * OvmfPkg/Library/PlatformInitLib, PlatformDynamicMmioWindow).
 */
export function ovmfBoard(machine: Machine, keepsPorts: boolean): Edk2Board & { readonly high: AddressRange } {
  const bits = BigInt(machine.physicalAddressBits ?? 40);
  const size = 1n << (bits - 3n);
  return {
    io: machine.board === 'pc' ? AddressRange.of(0xc000n, 0xffffn) : AddressRange.of(0x6000n, 0xffffn),
    memory: AddressRange.of(machine.board === 'pc' ? 0x80000000n : 0xc0000000n, 0xfbffffffn),
    high: AddressRange.sized((1n << bits) - size, size),
    highHotplug: size,
    keepsPorts,
    degradesRoms: false,
  };
}

/** Where OVMF has its ECAM on q35 since 2023 (PcdPciExpressBaseAddress). */
const ECAM = 0xe0000000n;

/**
 * OVMF since 2023 (OvmfPkg/Library/PlatformInitLib: PlatformMemMapInitialization, PlatformQemuUc32BaseInitialization,
 * PlatformReservationConflictCB): below 4 GiB from a power of two above low RAM to the ECAM; above 4 GiB as before, moved down
 * off what the firmware's memory map reserves, as QEMU's does below 1 TiB for AMD's CPUs. No ports are kept for hotplug.
 */
export function laterOvmfBoard(machine: Machine): Edk2Board {
  const bits = Math.min(machine.physicalAddressBits ?? 40, 46);
  const older = ovmfBoard({ ...machine, physicalAddressBits: bits }, false);
  const { size } = older.high;
  const base = machine.reserved.reduce(
    (at, { range }) => (at >= size && range.overlaps(AddressRange.sized(at, size)) ? (range.base - size) & -size : at),
    older.high.base,
  );
  const free = FOUR_GIB - min(lowRam(machine), FOUR_GIB);
  const hole = 1n << BigInt(free.toString(2).length - 1);
  const low = hole < FOUR_GIB / 2n ? FOUR_GIB - hole : FOUR_GIB / 2n;
  const last = machine.board === 'pc' ? older.memory.limit : ECAM - 1n;
  return {
    ...older,
    memory: AddressRange.of(min(low, last), last),
    high: base < FOUR_GIB ? null : AddressRange.sized(base, size),
  };
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/**
 * Why OVMF cannot come up on a machine that QEMU does not make: RAM lies where the firmware takes its window for BARs below
 * 4 GiB to be, or what is reserved leaves it none above.
 */
export function ovmfStops({ ram }: Machine, { memory, high }: Edk2Board): string | undefined {
  const over = ram.find((range) => range.overlaps(memory));
  if (over)
    return `RAM at ${over.toString()} reaches into its window for BARs below 4 GiB, which ends at ${hex(memory.limit)}`;
  return high ? undefined : 'what is reserved leaves no room for its window above 4 GiB';
}

/** EDK2 on boards that describe themselves: what the host bridges' windows cover. */
export function describedBoard(machine: Machine, keepsPorts: boolean): Edk2Board {
  const hull = (type: BarType): AddressRange | null =>
    machine.hostBridges
      .flatMap(({ windows }) => windows)
      .filter((window) => window.type === type)
      .map(({ base, size }) => AddressRange.sized(base, size))
      .reduce<AddressRange | null>((all, one) => (all ? all.hull(one) : one), null);
  return {
    io: hull('io'),
    memory: hull('mem32') ?? AddressRange.of(0n, 0n),
    high: hull('mem64'),
    highHotplug: 0n,
    keepsPorts,
    degradesRoms: machine.arch === 'riscv64',
  };
}

/**
 * U-Boot on boards that describe themselves: of several windows of a kind the last, and none above 4 GiB, because Debian's builds
 * for `virt` are without CONFIG_SYS_PCI_64BIT.
 */
export function ubootRegions({ windows }: HostBridge): UbootRegions {
  const last = (type: BarType): AddressRange | null => {
    const found = windows.findLast((window) => window.type === type && window.base < FOUR_GIB);
    return found ? AddressRange.sized(found.base, found.size) : null;
  };
  return { io: last('io'), memory: last('mem32') ?? last('mem64'), prefetchable: null };
}
