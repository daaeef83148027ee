import type { AddressRange } from '../address/range.js';
import type { BusAddress, Size } from '../address/kinds.js';
import type { BridgeKind } from '../machine/model.js';
import type { DecodedBar } from '../pci/bar.js';
import type { Bdf } from '../pci/bdf.js';
import type { Capability } from '../pci/capabilities/index.js';
import type { QemuReservation } from '../pci/capabilities/vendor-specific.js';
import type { ConfigBytes } from '../pci/config-bytes.js';
import type { ConfigAccess } from '../pci/config-access.js';
import type { Finding } from './findings.js';

/** A host bridge to look behind: its root bus is the first of `buses`. */
export interface HostToScan {
  readonly id: string;
  readonly segment: number;
  /** First and last bus number. */
  readonly buses: readonly [number, number];
}

/** What `enumerate` found. Addresses are bus addresses as the registers had them before anything was written. */
export interface Topology {
  readonly source: ConfigAccess['source'];
  /** Whether registers were written to learn sizes and bridge windows; false: sizes are null. */
  readonly probed: boolean;
  readonly hosts: readonly SeenHost[];
  /** Everything that is not as the specification has it, in the order in which it was found. */
  readonly findings: readonly Finding[];
}

export interface SeenHost extends HostToScan {
  /** The last bus number in use. */
  readonly lastBus: number;
  readonly functions: readonly SeenFunction[];
}

export interface SeenFunction {
  /** Where it answers now. With ARI the device is 0 and the function 0-255. */
  readonly at: Bdf;
  readonly vendor: number;
  readonly device: number;
  readonly revision: number;
  /** Class code, subclass and programming interface: 24 bits. */
  readonly class: number;
  readonly subsystem: { readonly vendor: number; readonly device: number } | null;
  /** Header layout: 0 a device, 1 a bridge; another is not decoded further. */
  readonly headerType: number;
  readonly multifunction: boolean;
  /** The Command register as it stood. */
  readonly command: number;
  readonly bars: readonly SeenBar[];
  readonly rom: SeenRom | null;
  readonly sriov: SeenSriov | null;
  readonly capabilities: readonly Capability[];
  readonly bridge: SeenBridge | null;
  /** What was read, as it stood before anything was written. */
  readonly config: ConfigBytes;
}

export type SeenBar = DecodedBar;

export interface SeenRom {
  readonly size: Size | null;
  readonly address: BusAddress;
  readonly enabled: boolean;
}

export interface SeenSriov {
  /** Register of the capability. */
  readonly at: number;
  readonly totalVfs: number;
  /** With all VFs, where they could be asked for. */
  readonly firstVfOffset: number;
  readonly vfStride: number;
  /** The System Page Size register: bit n is 4 KiB << n. VF BARs have at least that size. */
  readonly systemPageSize: number;
  /** Sizes of one VF. */
  readonly bars: readonly SeenBar[];
}

export interface SeenBridge {
  readonly kind: BridgeKind;
  readonly primary: number;
  /** 0 where it was given no bus numbers, or did not keep them. */
  readonly secondary: number;
  readonly subordinate: number;
  /** Address bits that the windows decode; 0: no such window. */
  readonly io: 0 | 16 | 32;
  readonly prefetchable: 0 | 32 | 64;
  /** The windows as the registers had them; null is closed, or absent. */
  readonly windows: {
    readonly io: AddressRange | null;
    readonly memory: AddressRange | null;
    readonly prefetchable: AddressRange | null;
  };
  readonly hotplug: 'none' | 'pcie' | 'shpc';
  /** Register of the PCI Express capability, 0 where there is none. */
  readonly express: number;
  /** ARI forwarding is on: the device behind it has function numbers up to 255. */
  readonly ari: boolean;
  /** What QEMU asks to keep free, where it says so. */
  readonly reservation: QemuReservation | null;
  readonly functions: readonly SeenFunction[];
}

/** Every function, depth first in bus order, with the bridge that it lies behind (null: root bus). */
export function* eachSeen(
  functions: readonly SeenFunction[],
  parent: SeenFunction | null = null,
): Generator<{ readonly fn: SeenFunction; readonly parent: SeenFunction | null }> {
  for (const fn of functions) {
    yield { fn, parent };
    if (fn.bridge) yield* eachSeen(fn.bridge.functions, fn);
  }
}

/** Every function of a topology, host by host. */
export function allFunctions(topology: Topology): SeenFunction[] {
  return topology.hosts.flatMap(({ functions }) => [...eachSeen(functions)].map(({ fn }) => fn));
}
