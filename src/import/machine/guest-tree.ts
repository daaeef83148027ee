import type { BridgeKind } from '../../machine/model.js';
import type { FunctionInput } from '../../machine/schema.js';
import { compareBdf, deviceFunction, formatBdf, type Bdf } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import type { CapturedFunction } from '../capture/model.js';
import { bdfKey } from '../observation.js';
import type { FunctionIndex } from './chosen.js';
import { sizeText } from './endpoint.js';

/** One function of the guest's tree: a device of the host, or a port. */
export interface GuestNode {
  readonly id: string;
  /** Undefined of a port that the host does not have. */
  readonly host?: CapturedFunction;
  readonly kind?: BridgeKind;
  slot: { device: number; fn: number };
  readonly children: GuestNode[];
}

export interface GuestTree {
  readonly roots: readonly GuestNode[];
  readonly notes: readonly string[];
}

/** An id that QEMU takes, and `-set` as well, which ends an id at a dot. */
const idOf = (prefix: string, bdf: Bdf) => `${prefix}-${formatBdf(bdf).replace(/[:.]/g, '-')}`;
export const deviceId = (bdf: Bdf): string => idOf('dev', bdf);
export const portId = (bdf: Bdf): string => idOf('port', bdf);

/** Each device behind a root port of its own; functions of one device stay together. */
export function ownPorts(chosen: readonly CapturedFunction[]): GuestTree {
  const ports = new Map<number, GuestNode>();
  for (const fn of chosen) {
    // A virtual function is a device of its own: the guest does not see what it belongs to.
    const key = fn.physicalFunction ? bdfKey(fn.address) + 0.5 : bdfKey({ ...fn.address, fn: 0 });
    const port = ports.get(key) ?? {
      id: `rp${ports.size + 1}`,
      kind: 'root-port',
      slot: { device: 0, fn: 0 },
      children: [],
    };
    ports.set(key, port);
    const slot = { device: 0, fn: fn.physicalFunction ? 0 : fn.address.fn };
    port.children.push({ id: deviceId(fn.address), host: fn, slot, children: [] });
  }
  return settled([...ports.values()], []);
}

/**
 * The devices behind the same ports and switches as on the host.
 * @throws Problem `mirror-path` where the capture does not show what a device lies behind, `mirror-slots`
 */
export function mirrored(index: FunctionIndex, chosen: readonly CapturedFunction[]): GuestTree {
  const nodes = new Map<number, GuestNode>();
  const roots: GuestNode[] = [];
  const assumed: string[] = [];
  for (const fn of chosen.toSorted((a, b) => compareBdf(a.address, b.address))) {
    let above: GuestNode | undefined;
    for (const bridge of pathTo(index, fn)) {
      const key = bdfKey(bridge.address);
      let node = nodes.get(key);
      if (!node) {
        const kind = kindOf(bridge, above);
        if (bridge.portType === undefined) assumed.push(formatBdf(bridge.address));
        node = { id: portId(bridge.address), host: bridge, kind, slot: { ...bridge.address }, children: [] };
        nodes.set(key, node);
        (above?.children ?? roots).push(node);
      }
      above = node;
    }
    const own = { id: deviceId(fn.address), host: fn, slot: { ...fn.address }, children: [] };
    (above?.children ?? roots).push(own);
  }
  const notes =
    assumed.length > 0
      ? [
          `what kind of port ${assumed.join(', ')} is was not shown, and is taken from where it stands; lspci -vvv as root shows it`,
        ]
      : [];
  return settled(roots, notes);
}

/** The bridges above a function, from the root bus down. */
function pathTo(index: FunctionIndex, fn: CapturedFunction): CapturedFunction[] {
  const path: CapturedFunction[] = [];
  const passed = new Set<number>();
  for (let at = fn; at.parent !== null;) {
    const above = at.parent && index.get(bdfKey(at.parent));
    if (!above || passed.has(bdfKey(above.address))) {
      throw new Problem('mirror-path', `the capture does not show what ${formatBdf(at.address)} lies behind`, {
        hint: 'add the output of lspci -tv or lspci -vvv of the whole host to the files that are imported, or leave --mirror out',
        facts: { device: formatBdf(fn.address) },
      });
    }
    passed.add(bdfKey(above.address));
    path.unshift(above);
    at = above;
  }
  return path;
}

const portKinds: Readonly<Record<string, BridgeKind>> = {
  'root-port': 'root-port',
  'upstream-port': 'upstream-port',
  'downstream-port': 'downstream-port',
  'pcie-pci-bridge': 'pcie-pci-bridge',
};

function kindOf({ portType }: CapturedFunction, above: GuestNode | undefined): BridgeKind {
  if (portType !== undefined) return portKinds[portType] ?? 'pci-bridge';
  if (!above) return 'root-port';
  if (above.kind === 'root-port' || above.kind === 'downstream-port') return 'upstream-port';
  return above.kind === 'upstream-port' ? 'downstream-port' : 'pci-bridge';
}

/** Gives every function a slot at which the guest finds it. */
function settled(roots: GuestNode[], notes: readonly string[]): GuestTree {
  const moved: string[] = [];
  settleRoot(roots);
  const visit = (parent: GuestNode) => {
    const before = parent.children.map(({ slot }) => deviceFunction(slot));
    // Behind these a guest looks at device 0 alone (PCI Express Base 6.0 §7.3.1).
    if (parent.kind === 'root-port' || parent.kind === 'downstream-port') intoDeviceZero(parent);
    withFunctionZero(parent.children);
    parent.children.forEach((child, i) => {
      if (deviceFunction(child.slot) !== before[i] && child.host) moved.push(formatBdf(child.host.address));
      visit(child);
    });
  };
  for (const root of roots) visit(root);
  const note = `${moved.join(', ')}: not at the same device and function as on the host, because a guest looks for others only where function 0 answers, and behind a port at device 0 alone`;
  return { roots, notes: moved.length > 0 ? [...notes, note] : notes };
}

/** Slots of the root bus: the host's device number where it is free. 0 and 1f belong to the board. */
function settleRoot(roots: readonly GuestNode[]) {
  const taken = new Map<number, number>();
  for (const node of roots) {
    const { host } = node;
    // Functions of one integrated device stay together; a port is a device of its own.
    const group = host && !node.kind ? bdfKey({ ...host.address, fn: 0 }) : -1 - taken.size;
    const known = [...taken].find(([, owner]) => owner === group)?.[0];
    const wanted = node.slot.device;
    const free = [wanted, ...Array.from({ length: 30 }, (_, i) => i + 1)].find(
      (device) => device >= 1 && device <= 30 && !taken.has(device),
    );
    const device = known ?? free;
    if (device === undefined) throw tooMany('the root bus has 30 free slots');
    taken.set(device, group);
    node.slot = { device, fn: node.kind ? 0 : node.slot.fn & 7 };
  }
  withFunctionZero(roots);
}

function intoDeviceZero({ children }: GuestNode) {
  const taken = new Set(children.filter(({ slot }) => slot.device === 0 && slot.fn < 8).map(({ slot }) => slot.fn));
  for (const child of children) {
    if (child.slot.device === 0 && child.slot.fn < 8) continue;
    const fn = [0, 1, 2, 3, 4, 5, 6, 7].find((one) => !taken.has(one));
    if (fn === undefined) throw tooMany('a device has 8 functions');
    taken.add(fn);
    child.slot = { device: 0, fn };
  }
}

function withFunctionZero(nodes: readonly GuestNode[]) {
  for (const device of new Set(nodes.map(({ slot }) => slot.device))) {
    const own = nodes.filter(({ slot }) => slot.device === device).toSorted((a, b) => a.slot.fn - b.slot.fn);
    if (own[0] && own[0].slot.fn !== 0) own[0].slot = { device, fn: 0 };
  }
}

const tooMany = (why: string) =>
  new Problem('mirror-slots', `the devices do not all find a slot: ${why}`, {
    hint: 'name fewer devices, or leave --mirror out: then each has a root port of its own',
  });

/** A port as QEMU makes it. Its root ports have a BAR for MSI-X (hw/pci-bridge/gen_pcie_root_port.c). */
export function portFunction(node: GuestNode, slot: string, functions: FunctionInput[]): FunctionInput {
  const kind = node.kind ?? 'pci-bridge';
  const hasSlot = kind === 'root-port' || kind === 'downstream-port';
  return {
    id: node.id,
    slot,
    class: '0x060400',
    ...(kind === 'root-port' ? { bars: [{ index: 0, type: 'mem32', size: sizeText(4096n) }] } : {}),
    bridge: { kind, ...(hasSlot ? { hotplug: 'pcie' } : {}), functions },
  };
}
