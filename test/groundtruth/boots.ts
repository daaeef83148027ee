import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AddressRange } from '../../src/address/range.js';
import type { Bar, BridgeKind, Hints, HostBridge, Machine, MachineFunction } from '../../src/machine/model.js';
import { noReserve } from '../../src/machine/model.js';
import { parseBdf } from '../../src/pci/bdf.js';

/** Recorded boots beside the checkout, where they are. */
export const BOOTS =
  process.env['PINBAR_GROUNDTRUTH'] ?? fileURLToPath(new URL('../../../shared/groundtruth', import.meta.url));

interface RecordedBar {
  readonly index: number;
  readonly type: 'io' | 'mem32' | 'mem64';
  readonly prefetchable: boolean;
  readonly size: string;
}

export interface RecordedFunction {
  readonly bdf: string;
  readonly path: string;
  readonly parentBdf: string | null;
  readonly vendor: string;
  readonly device: string;
  readonly class: string;
  readonly headerType: number;
  readonly qemuDevice: string | null;
  readonly bars: readonly RecordedBar[];
  readonly rom: string | null;
  readonly pcie: { readonly portType: string; readonly slot: boolean; readonly hotplug?: boolean } | null;
  readonly sriov?: {
    readonly totalVFs: number;
    readonly offset: number;
    readonly stride: number;
    readonly bars: readonly RecordedBar[];
  } | null;
  readonly bridge?: {
    readonly primary: number;
    readonly secondary: number;
    readonly subordinate: number;
    readonly ioWindow: 0 | 16 | 32;
    readonly prefWindow: 32 | 64;
    readonly shpc: boolean;
    readonly reserve: Readonly<Record<string, string>> | null;
  };
  readonly seen?: boolean;
}

interface Span {
  readonly start: string;
  readonly end: string;
}

/** Where one function's registers point: null is unassigned, `shadow` a ROM that is not used at its own address. */
export interface RecordedState {
  readonly bars: Readonly<Record<string, string | null>>;
  readonly rom?: string | null;
  readonly vf?: Readonly<Record<string, string | null>>;
  readonly buses?: Readonly<Record<string, number>>;
  readonly windows?: { readonly io: Span | null; readonly mem: Span | null; readonly pref: Span | null };
}

export interface Boot {
  readonly name: string;
  readonly seed?: number;
  readonly qemuVersion?: string;
  readonly args?: readonly string[];
  readonly flavour: string;
  readonly category: string;
  readonly booted: boolean;
  readonly firmwareStopped?: boolean;
  readonly machine: {
    readonly type: string;
    readonly options: string | null;
    readonly memory: string;
    readonly addressBits?: number;
    readonly reserved?: readonly Span[];
  };
  readonly hostBridges:
    | readonly {
        readonly bus: string;
        readonly busRange: string;
        readonly windows: readonly {
          readonly type: string;
          readonly start: string;
          readonly end: string;
          readonly kernelStart?: string;
        }[];
      }[]
    | null;
  readonly functions: readonly RecordedFunction[];
  readonly first: Readonly<Record<string, RecordedState>> | null;
  readonly final: Readonly<Record<string, RecordedState>> | null;
  readonly firmwareLog?: readonly string[];
  readonly log: readonly string[];
}

/** What `npm run record` has written. */
export const RECORDED = fileURLToPath(new URL('recorded', import.meta.url));

/** The flavours in a folder of recorded boots, none where it is not there. */
export const flavours = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .toSorted()
    : [];

export const bootsOf = (folder: string, flavour: string): Boot[] =>
  readdirSync(`${folder}/${flavour}`)
    .filter((name) => name.endsWith('.json'))
    .toSorted()
    .map((name) => JSON.parse(readFileSync(`${folder}/${flavour}/${name}`, 'utf8')) as Boot);

const barOf = ({ index, type, prefetchable, size }: RecordedBar): Bar => ({
  index,
  type,
  prefetchable,
  size: BigInt(size),
});

const hintNames = { io: 'io', mem: 'memory', pref32: 'prefetchable32', pref64: 'prefetchable64' } as const;

const hintsOf = ({ bus, ...sizes }: Readonly<Record<string, string>>): Hints => ({
  ...(bus === undefined ? {} : { buses: Number(bus) }),
  ...Object.fromEntries(
    Object.entries(sizes).map(([name, size]) => [hintNames[name as keyof typeof hintNames], BigInt(size)]),
  ),
});

const GIB = 1n << 30n;

/** RAM as QEMU lays it out: q35 splits at 2 GiB from 2.75 GiB on; on `virt` it does not matter to who places. */
function ramOf({ machine: { type, memory } }: Boot): AddressRange[] {
  const size = BigInt(parseInt(memory, 10)) * GIB;
  if (!type.startsWith('q35')) return [];
  const low = size >= 0xb0000000n ? 2n * GIB : size;
  return [AddressRange.sized(0n, low), ...(size > low ? [AddressRange.sized(4n * GIB, size - low)] : [])];
}

/** The machine of a recorded boot: functions are called by their recorded addresses. */
export function machineOf(boot: Boot, keep: (fn: RecordedFunction) => boolean = ({ seen }) => seen !== false): Machine {
  const children = (parent: string | null, bus?: number): MachineFunction[] =>
    boot.functions
      .filter((fn) => fn.parentBdf === parent && keep(fn) && (bus === undefined || parseBdf(fn.bdf).bus === bus))
      .map(convert);
  const convert = (fn: RecordedFunction): MachineFunction => {
    const { device, fn: number } = parseBdf(fn.bdf);
    const { sriov, bridge } = fn;
    const reserve = bridge?.reserve;
    return {
      id: fn.bdf,
      slot: { device, fn: number },
      vendor: parseInt(fn.vendor, 16),
      device: parseInt(fn.device, 16),
      class: parseInt(fn.class, 16),
      bars: fn.bars.map(barOf),
      ...(fn.rom ? { rom: { size: BigInt(fn.rom) } } : {}),
      ...(sriov
        ? {
            sriov: {
              totalVfs: sriov.totalVFs,
              firstVfOffset: sriov.offset,
              vfStride: sriov.stride,
              bars: sriov.bars.map(barOf),
            },
          }
        : {}),
      ...(bridge
        ? {
            bridge: {
              kind: kindOf(fn),
              io: bridge.ioWindow,
              prefetchable: bridge.prefWindow,
              hotplug:
                fn.pcie?.slot && fn.pcie.hotplug
                  ? ('pcie' as const)
                  : bridge.shpc
                    ? ('shpc' as const)
                    : ('none' as const),
              reserve: noReserve,
              ...(reserve ? { hints: hintsOf(reserve) } : {}),
              pin: {},
              functions: children(fn.bdf),
            },
          }
        : {}),
    };
  };
  // A guest that never came up told no windows.
  const roots = [...new Set(boot.functions.filter(({ parentBdf }) => !parentBdf).map(({ bdf }) => bdf.slice(0, 7)))];
  const bridges = boot.hostBridges ?? roots.map((bus) => ({ bus, busRange: `${bus.slice(5)}-ff`, windows: [] }));
  return {
    arch: boot.machine.type.startsWith('arm64')
      ? 'aarch64'
      : boot.machine.type.startsWith('riscv')
        ? 'riscv64'
        : 'x86_64',
    board: boot.machine.type.startsWith('q35') ? 'q35' : 'virt',
    ram: ramOf(boot),
    physicalAddressBits: boot.machine.addressBits,
    properties: {},
    allowNonPrefetchableInPrefetchable: false,
    reserved: (boot.machine.reserved ?? []).map(({ start, end }) => ({
      range: AddressRange.of(BigInt(start), BigInt(end)),
      reason: 'e820',
    })),
    hostBridges: bridges.map(({ bus, busRange, windows }): HostBridge => {
      const [first = 0, last = 255] = busRange.split('-').map((part) => parseInt(part, 16));
      return {
        id: bus,
        segment: parseInt(bus.split(':')[0] ?? '0', 16),
        buses: [first, last],
        windows: windows.map(({ type, start, end }) => {
          const base = BigInt(start);
          const size = BigInt(end) - base + 1n;
          const high = BigInt(end) >= 1n << 32n;
          return { type: type === 'io' ? 'io' : high ? 'mem64' : 'mem32', base, size, cpuBase: base };
        }),
        functions: children(null, first),
      };
    }),
  };
}

const kindOf = ({ pcie, qemuDevice }: RecordedFunction): BridgeKind => {
  switch (pcie?.portType) {
    case 'root-port':
      return 'root-port';
    case 'upstream':
      return 'upstream-port';
    case 'downstream':
      return 'downstream-port';
    case undefined:
    default:
      return pcie || qemuDevice === 'pcie-pci-bridge' ? 'pcie-pci-bridge' : 'pci-bridge';
  }
};

export const span = (found: Span | null | undefined): AddressRange | null =>
  found ? AddressRange.of(BigInt(found.start), BigInt(found.end)) : null;
