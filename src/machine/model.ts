import type { AddressRange } from '../address/range.js';
import type { BusAddress, CpuAddress, Size } from '../address/kinds.js';
import type { Bdf, Slot } from '../pci/bdf.js';
import type { QemuRelease } from './boards/release.js';

/**
 * A machine as `place` sees it: plain data, every default filled in, sizes and addresses as bigint. The machine file
 * (`load.ts`) is one source of it, a topology found by `enumerate` another.
 */
export interface Machine {
  readonly arch: Arch;
  readonly board: string;
  /** The QEMU that the board is one of; undefined: the newest that is known. */
  readonly qemu?: QemuRelease;
  /** Guest RAM, as CPU addresses, in ascending order. */
  readonly ram: readonly AddressRange[];
  /** Bits of a guest physical address; undefined where nothing limits it below 64. */
  readonly physicalAddressBits: number | undefined;
  /** Board properties that move the map (`highmem-mmio-size`, …), as the board understands them. */
  readonly properties: Readonly<Record<string, string | bigint | boolean>>;
  /** Allows a non-prefetchable `mem64` BAR in a prefetchable window (PCI Express Base 6.0 §7.5.1.2.1, implementation note). */
  readonly allowNonPrefetchableInPrefetchable: boolean;
  readonly reserved: readonly Reserved[];
  readonly hostBridges: readonly HostBridge[];
}

export const arches = ['aarch64', 'riscv64', 'x86_64'] as const;
export type Arch = (typeof arches)[number];

/** A range that nothing may use, as bus address and as CPU address, and why. */
export interface Reserved {
  readonly range: AddressRange;
  readonly reason: string;
}

export const barTypes = ['io', 'mem32', 'mem64'] as const;
export type BarType = (typeof barTypes)[number];

/** `mem32`: an address below 4 GiB; `mem64`: any. `io`: ports. A host bridge window or a BAR is one of them. */
export interface HostWindow {
  readonly type: BarType;
  readonly base: BusAddress;
  readonly size: Size;
  /** Where the CPU sees `base`. */
  readonly cpuBase: CpuAddress;
}

export interface HostBridge {
  readonly id: string;
  /** PCI domain, 0 to 0xffff. */
  readonly segment: number;
  /** First and last bus number that it may use; the first is its root bus. */
  readonly buses: readonly [number, number];
  readonly windows: readonly HostWindow[];
  readonly functions: readonly MachineFunction[];
}

export interface MachineFunction {
  readonly id: string;
  readonly slot: Slot;
  readonly vendor?: number;
  readonly device?: number;
  /** Class code, subclass and programming interface: 24 bits. */
  readonly class?: number;
  /** The function of the host that is passed through here. Nothing is placed by it: configurations are written with it. */
  readonly hostAddress?: Bdf;
  /** What QEMU has here, as -device takes it, without `id`, `bus`, `addr` and `multifunction`; likewise. */
  readonly qemuDevice?: string;
  /** In ascending order of index. */
  readonly bars: readonly Bar[];
  readonly rom?: Rom;
  readonly sriov?: Sriov;
  readonly bridge?: Bridge;
}

export interface Bar {
  /** Register number, 0 to 5 (0 or 1 in a bridge); `mem64` takes this one and the next. */
  readonly index: number;
  readonly type: BarType;
  readonly prefetchable: boolean;
  /** A power of two; it is the alignment as well. For a VF BAR the size of one VF's. */
  readonly size: Size;
  readonly pin?: BusAddress;
  readonly resizable?: Resizable;
}

/** Of a Resizable BAR or VF Resizable BAR capability, PCI Express Base 6.0 §7.8.6 and §9.3.7.5. */
export interface Resizable {
  /** What the capability offers, ascending: powers of two from 1 MiB. The present size is one of them. */
  readonly sizes: readonly Size[];
  /** What a plan is to make of it; `largest`: as large as fits. */
  readonly to: 'keep' | 'largest' | Size;
}

export interface Rom {
  readonly size: Size;
  readonly pin?: BusAddress;
}

/** Single Root I/O Virtualization, PCI Express Base 6.0 §9.3.3. VF n (from 1) has routing id PF + offset + (n-1) x stride. */
export interface Sriov {
  readonly totalVfs: number;
  readonly firstVfOffset: number;
  readonly vfStride: number;
  /** The group of VF BAR n takes totalVfs x size bytes, aligned to size. `pin` is the group's address. */
  readonly bars: readonly Bar[];
}

export const bridgeKinds = ['root-port', 'upstream-port', 'downstream-port', 'pcie-pci-bridge', 'pci-bridge'] as const;
export type BridgeKind = (typeof bridgeKinds)[number];

export interface Bridge {
  readonly kind: BridgeKind;
  /** Address bits that the I/O window decodes; 0: it has none. */
  readonly io: 0 | 16 | 32;
  /** Address bits that the prefetchable window decodes; 0: it has none. */
  readonly prefetchable: 0 | 32 | 64;
  /** The slot's hot-plug capability. */
  readonly hotplug: 'none' | 'pcie' | 'shpc';
  readonly reserve: Reserve;
  /** What the bridge itself tells firmware to keep; without it, predictions of firmware go by `reserve`. */
  readonly hints?: Hints;
  readonly pin: BridgePins;
  /** What lies on the secondary bus. */
  readonly functions: readonly MachineFunction[];
}

/** Room to keep free for hotplug: bus numbers, and one free piece of that many bytes in each window. */
export interface Reserve {
  readonly buses: number;
  readonly io: Size;
  readonly memory: Size;
  readonly prefetchable: Size;
}

/**
 * QEMU's resource reservation capability (docs/pcie_pci_bridge.txt: bus-reserve, io-reserve, mem-reserve, pref32-reserve,
 * pref64-reserve). What is absent is left to the firmware; 0 is a wish for none.
 */
export interface Hints {
  readonly buses?: number;
  readonly io?: Size;
  readonly memory?: Size;
  readonly prefetchable32?: Size;
  readonly prefetchable64?: Size;
}

export interface BridgePins {
  readonly secondary?: number;
  readonly subordinate?: number;
  readonly io?: AddressRange;
  readonly memory?: AddressRange;
  readonly prefetchable?: AddressRange;
}

export const noReserve: Reserve = Object.freeze({ buses: 0, io: 0n, memory: 0n, prefetchable: 0n });

/** Every function of a host bridge or bus, depth first in slot order, with the bridge it lies behind (null: root bus). */
export function* eachFunction(
  functions: readonly MachineFunction[],
  parent: MachineFunction | null = null,
): Generator<{ readonly fn: MachineFunction; readonly parent: MachineFunction | null }> {
  for (const fn of functions) {
    yield { fn, parent };
    if (fn.bridge) yield* eachFunction(fn.bridge.functions, fn);
  }
}
