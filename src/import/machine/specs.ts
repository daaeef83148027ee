import { hex } from '../../address/format.js';
import type { Board } from '../../machine/boards/board.js';
import type { QemuRelease } from '../../machine/boards/release.js';
import { machineFrom } from '../../machine/load.js';
import type { BridgeKind, Machine } from '../../machine/model.js';
import type { MachineFileInput } from '../../machine/save.js';
import type { FunctionInput } from '../../machine/schema.js';
import { formatBdf, formatSlot, parseSlot, type Bdf, type Slot } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import type { Capture } from '../capture/model.js';
import { bdfKey } from '../observation.js';
import { indexOf } from './chosen.js';
import { emulated } from './emulated.js';
import { guestBars, sizeText, type GuestBar } from './endpoint.js';

/** A PCI device as QEMU or libvirt is told of it. */
export interface DeviceSpec {
  readonly driver: string;
  readonly id: string;
  /** The bus as QEMU calls it: the root bus, or the id of the bridge above. Undefined: the root bus. */
  readonly bus?: string;
  /** Undefined: the next free one. */
  readonly slot?: Slot;
  /** The host's function that is passed through. */
  readonly host?: Bdf;
  /** What QEMU has here, as -device takes it, without id, bus, addr and multifunction; undefined: not told to QEMU in these words. */
  readonly words?: string;
  /** Sizes of BARs that properties set, by number. */
  readonly sizes?: ReadonlyMap<number, bigint>;
  /** A BAR that only a property makes. */
  readonly extra?: readonly GuestBar[];
  readonly hotplug?: boolean;
  /** `bus-reserve` and its like, of a bridge. */
  readonly hints?: { buses?: number; io?: string; memory?: string; prefetchable32?: string; prefetchable64?: string };
}

export interface SpecPin {
  readonly id: string;
  readonly target: number | 'rom' | `vf${number}`;
  readonly address: bigint;
}

/** A machine as it was told to QEMU. */
export interface MachineSpec {
  readonly board: Board;
  readonly qemu?: QemuRelease;
  readonly ram: bigint;
  readonly physicalAddressBits?: number;
  readonly properties: Readonly<Record<string, string>>;
  readonly devices: readonly DeviceSpec[];
  readonly pins: readonly SpecPin[];
}

export interface ToldMachine {
  readonly file: MachineFileInput;
  readonly machine: Machine;
  readonly notes: readonly string[];
}

interface Node {
  readonly spec: DeviceSpec;
  slot: Slot | undefined;
  readonly kind?: BridgeKind;
  readonly children: Node[];
}

/** Devices that the board has by itself (hw/i386/pc_q35.c, pc_piix.c, hw/pci-host/gpex.c). */
const builtIn: Readonly<Record<string, readonly FunctionInput[]>> = {
  q35: [
    { id: '0000:00:00.0', slot: '0.0', class: '0x060000' },
    { id: '0000:00:1f.0', slot: '1f.0', class: '0x060100' },
    {
      id: '0000:00:1f.2',
      slot: '1f.2',
      class: '0x010601',
      bars: [
        { index: 4, type: 'io', size: 32 },
        { index: 5, type: 'mem32', size: '4KiB' },
      ],
    },
    { id: '0000:00:1f.3', slot: '1f.3', class: '0x0c0500', bars: [{ index: 4, type: 'io', size: 64 }] },
  ],
  pc: [
    { id: '0000:00:00.0', slot: '0.0', class: '0x060000' },
    { id: '0000:00:01.0', slot: '1.0', class: '0x060100' },
    { id: '0000:00:01.1', slot: '1.1', class: '0x010180', bars: [{ index: 4, type: 'io', size: 16 }] },
    { id: '0000:00:01.3', slot: '1.3', class: '0x068000' },
  ],
  virt: [{ id: '0000:00:00.0', slot: '0.0', class: '0x060000' }],
};

/**
 * The machine file of what QEMU was told. Devices that are passed through have the BARs that `capture` shows of them.
 * @throws Problem `qemu-bus`, `qemu-slot`, and as guestBars and machineFrom do
 */
export function machineOfSpec(spec: MachineSpec, capture: Capture | undefined): ToldMachine {
  const { board } = spec;
  const root = board.name === 'pc' ? 'pci.0' : 'pcie.0';
  const own = builtIn[board.name] ?? [];
  const roots = treeOf(
    spec.devices,
    root,
    own.map(({ slot }) => parseSlot(String(slot))),
  );
  const write = new Writer(spec, capture);
  const functions = [...own.map((fn) => ({ ...fn })), ...roots.map((node) => write.fn(node, true))];
  const { properties, qemu, physicalAddressBits } = spec;
  const file: MachineFileInput = {
    pinbar: 1,
    machine: {
      arch: board.arch,
      board: board.name,
      ...(qemu ? { qemu: qemu.slice(0, 2).join('.') } : {}),
      ram: sizeText(spec.ram),
      ...(physicalAddressBits === undefined ? {} : { physicalAddressBits }),
      ...(Object.keys(properties).length > 0 ? { properties: { ...properties } } : {}),
    },
    hostBridges: [{ id: root, functions }],
  };
  return { file, machine: machineFrom(file, 'the machine'), notes: write.notes() };
}

/** Devices below their buses, each with a slot. */
function treeOf(devices: readonly DeviceSpec[], root: string, taken: readonly Slot[]): Node[] {
  const roots: Node[] = [];
  const buses = new Map<string, Node>();
  for (const spec of devices) {
    const kind = emulated(spec.driver, false)?.kind;
    const node: Node = { spec, slot: spec.slot, ...(kind ? { kind } : {}), children: [] };
    const above = spec.bus === undefined || spec.bus === root ? undefined : buses.get(spec.bus);
    if (!above && spec.bus !== undefined && spec.bus !== root) {
      throw new Problem('qemu-bus', `${spec.id}: there is no bus ${spec.bus.slice(0, 80)} before it`, {
        hint: `the root bus is ${root}; a bridge’s bus has the bridge’s id, and the bridge comes first`,
        facts: { id: spec.id, bus: spec.bus },
      });
    }
    const siblings = above ? above.children : roots;
    settle(node, siblings, above ? [] : taken, above?.kind);
    siblings.push(node);
    if (kind) buses.set(spec.id, node);
  }
  return roots;
}

/** The next free device number, as QEMU takes it (hw/pci/pci.c, do_pci_register_device); function 0. */
function settle(node: Node, siblings: readonly Node[], taken: readonly Slot[], above: BridgeKind | undefined) {
  const used = [...siblings.flatMap(({ slot }) => slot ?? []), ...taken];
  const one = above === 'root-port' || above === 'downstream-port';
  if (node.slot) {
    const { device, fn } = node.slot;
    if (used.some((slot) => slot.device === device && slot.fn === fn)) {
      throw new Problem('qemu-slot', `${node.spec.id}: slot ${formatSlot(node.slot)} of its bus is taken`);
    }
    return;
  }
  const free = Array.from({ length: one ? 1 : 32 }, (_, device) => device).find(
    (device) => !used.some((slot) => slot.device === device),
  );
  if (free === undefined) {
    throw new Problem('qemu-slot', `${node.spec.id}: its bus has no free slot`, {
      hint: one ? 'a port takes one device: give each a port of its own' : 'say another bus',
    });
  }
  node.slot = { device: free, fn: 0 };
}

/** Makes machine file functions of nodes, and collects what has to be said. */
class Writer {
  readonly #unknown: string[] = [];
  readonly #notCaptured: string[] = [];
  readonly #unpinned: string[] = [];

  constructor(
    readonly spec: MachineSpec,
    readonly capture: Capture | undefined,
  ) {}

  fn(node: Node, onRoot: boolean): FunctionInput {
    const { spec, slot } = node;
    const known = emulated(spec.driver, onRoot && !/-non-transitional$/.test(spec.driver));
    const bars: readonly GuestBar[] = spec.host
      ? this.#hostBars(spec, spec.host)
      : [...(known?.bars ?? []), ...(spec.extra ?? [])].map((bar) => ({
          ...bar,
          size: spec.sizes?.get(bar.index) ?? bar.size,
        }));
    if (!spec.host && !known) this.#unknown.push(`${spec.id} (${spec.driver})`);
    const pins = this.spec.pins.filter(({ id }) => id === spec.id);
    const pinOf = (target: SpecPin['target']) => pins.find((pin) => pin.target === target)?.address;
    for (const { target } of pins) {
      if (target === 'rom' ? !known?.rom : !bars.some(({ index }) => index === target)) {
        this.#unpinned.push(`${typeof target === 'number' ? `BAR ${target}` : target} of ${spec.id}`);
      }
    }
    const romPin = pinOf('rom');
    return {
      id: spec.id,
      slot: formatSlot(slot ?? { device: 0, fn: 0 }).replace(/^0/, ''),
      ...this.#ids(spec, known?.class),
      ...(spec.host ? { hostAddress: formatBdf(spec.host) } : {}),
      ...(spec.host || node.kind || spec.words === undefined ? {} : { qemuDevice: spec.words }),
      ...(bars.length > 0
        ? {
            bars: bars.map(({ index, type, prefetchable, size }) => {
              const pin = pinOf(index);
              return {
                index,
                type: type,
                ...(prefetchable ? { prefetchable } : {}),
                size: sizeText(size),
                ...(pin === undefined ? {} : { pin: hex(pin) }),
              };
            }),
          }
        : {}),
      ...(known?.rom === undefined
        ? {}
        : { rom: { size: sizeText(known.rom), ...(romPin === undefined ? {} : { pin: hex(romPin) }) } }),
      ...(node.kind ? { bridge: this.#bridge(node, node.kind) } : {}),
    };
  }

  #bridge({ spec, children }: Node, kind: BridgeKind): NonNullable<FunctionInput['bridge']> {
    const { hints = {} } = spec;
    const prefetchable = hints.prefetchable64 ?? hints.prefetchable32;
    const reserve = {
      ...(hints.buses ? { buses: hints.buses } : {}),
      ...(hints.io !== undefined && hints.io !== '0' ? { io: hints.io } : {}),
      ...(hints.memory !== undefined && hints.memory !== '0' ? { memory: hints.memory } : {}),
      ...(prefetchable !== undefined && prefetchable !== '0' ? { prefetchable } : {}),
    };
    return {
      kind,
      ...(hints.io === '0' ? { io: 0 } : {}),
      ...(spec.hotplug ? { hotplug: 'pcie' as const } : {}),
      ...(Object.keys(reserve).length > 0 ? { reserve } : {}),
      ...(Object.keys(hints).length > 0 ? { hints } : {}),
      functions: children.map((child) => this.fn(child, false)),
    };
  }

  #hostBars(spec: DeviceSpec, host: Bdf): readonly GuestBar[] {
    const fn = this.capture && indexOf(this.capture).get(bdfKey(host));
    if (this.capture && fn) return guestBars(this.capture, fn, false);
    this.#notCaptured.push(spec.id);
    return [];
  }

  #ids(spec: DeviceSpec, code: number | undefined): Partial<FunctionInput> {
    const fn = spec.host && this.capture ? indexOf(this.capture).get(bdfKey(spec.host)) : undefined;
    if (fn) {
      return {
        ...(fn.vendor === undefined ? {} : { vendor: hex(fn.vendor, 4) }),
        ...(fn.device === undefined ? {} : { device: hex(fn.device, 4) }),
        ...(fn.class === undefined ? {} : { class: hex(fn.class, 6) }),
      };
    }
    return code === undefined ? {} : { class: hex(code << 8, 6) };
  }

  notes(): string[] {
    const list = (names: readonly string[]) => names.slice(0, 20).join(', ') + (names.length > 20 ? ', …' : '');
    return [
      ...(this.#notCaptured.length > 0
        ? [
            `what BARs ${list(this.#notCaptured)} has is up to the host: give a capture of it as well (pinbar scan --out host.json there), or write them into the machine file`,
          ]
        : []),
      ...(this.#unknown.length > 0 ? [`pinbar does not know what BARs these have: ${list(this.#unknown)}`] : []),
      ...(this.#unpinned.length > 0
        ? [`pins are left out, because the BAR is not known: ${list(this.#unpinned)}`]
        : []),
    ];
  }
}
