import { AddressRange } from '../../address/range.js';
import { ADDRESS_SPACE } from '../../address/kinds.js';
import { hex } from '../../address/format.js';
import type { Bdf } from '../../pci/bdf.js';
import type { ResizableFacts } from '../function-facts.js';
import type { Numbers, ResourceName, SeenResource } from '../observation.js';
import type { Conflicts } from './conflicts.js';
import type { CapturedBar, CapturedFunction, CapturedResource, CapturedVfBar, CapturedWindow } from './model.js';
import type { ResourceState, ResourceType } from './model.js';
import type { Statement } from './statement.js';

type Resources = Pick<CapturedFunction, 'bars' | 'rom' | 'vfBars' | 'windows'>;

interface About {
  readonly totalVfs: number | undefined;
  /** A resizable BAR's capability tells its size, where nothing else does. */
  readonly resizable: readonly ResizableFacts[];
  /** A virtual function: its registers read as zero, and its physical function decides whether it decodes. */
  readonly isVirtual: boolean;
}

/** What all statements say of a function's BARs, ROM, VF BARs and windows. */
export function mergeResources(
  address: Bdf,
  statements: readonly Statement[],
  about: About,
  conflicts: Conflicts,
): Resources {
  const named = new Map<ResourceName, SeenResource[]>();
  const unnamed: SeenResource[][] = [];
  for (const { fn } of statements) {
    const loose = fn.resources.filter((seen) => seen.name === null);
    if (loose.length > 0) unnamed.push(loose);
    for (const seen of fn.resources) {
      if (seen.name === null) continue;
      const known = named.get(seen.name);
      if (known) known.push(seen);
      else named.set(seen.name, [seen]);
    }
  }
  const bars: CapturedBar[] = [];
  const vfBars: CapturedVfBar[] = [];
  let rom: CapturedResource | undefined;
  const windows: Record<string, CapturedWindow | null> = {};
  for (const [name, seen] of [...named].sort(([a], [b]) => order(a) - order(b))) {
    const what = nameText(name);
    if (name === 'io' || name === 'memory' || name === 'prefetchable') {
      windows[name] = windowOf(seen);
      continue;
    }
    const merged = combine(address, what, seen, about, conflicts);
    if (!merged) continue;
    if (typeof name === 'number') {
      const told = about.resizable.find(({ index }) => index === name)?.size;
      bars.push({ index: name, ...kindOf(seen), ...(told === undefined ? {} : { size: told }), ...merged });
    } else if (name === 'rom') rom = merged;
    else vfBars.push(vfBar(Number(name.slice(2)), seen, merged, about.totalVfs));
  }
  const taken = new Set([rom, ...vfBars].map((one) => one?.address));
  // `lspci -v` and /proc/iomem do not number BARs; the latter shows ROMs and VF BARs in the same way.
  const loose = bars.length === 0 ? (unnamed[0] ?? []).filter((seen) => !taken.has(addressOf(seen) ?? -1n)) : [];
  return {
    bars: [...bars, ...loose.map((seen) => ({ ...kindOf([seen]), ...single(seen) }))],
    ...(rom ? { rom } : {}),
    vfBars,
    ...(Object.keys(windows).length > 0 ? { windows } : {}),
  };
}

const order = (name: ResourceName): number =>
  typeof name === 'number' ? name : name === 'rom' ? 6 : name.startsWith('vf') ? 7 + Number(name.slice(2)) : 20;

const nameText = (name: ResourceName): string =>
  typeof name === 'number' ? `BAR ${name}` : name === 'rom' ? 'ROM' : `VF BAR ${name.slice(2)}`;

function kindOf(seen: readonly SeenResource[]): { readonly type: ResourceType; readonly prefetchable?: boolean } {
  const [first] = seen;
  if (first?.space === 'io') return { type: 'io' };
  const wide = seen.find((one) => one.wide !== undefined)?.wide;
  const prefetchable = seen.find((one) => one.prefetchable !== undefined)?.prefetchable;
  const type = wide === undefined ? 'memory' : wide ? 'mem64' : 'mem32';
  return { type, ...(prefetchable === undefined ? {} : { prefetchable }) };
}

const addressOf = ({ placement }: SeenResource) => ('address' in placement ? placement.address : undefined);
const exists = ({ placement }: SeenResource) => placement.state !== 'unassigned' || placement.why !== 'no-resource';

/** From what tells most of the present state to what tells least. */
const states: readonly ResourceState[] = ['os-only', 'decode-off', 'assigned', 'unassigned'];

function combine(
  at: Bdf,
  what: string,
  all: readonly SeenResource[],
  about: About,
  conflicts: Conflicts,
): CapturedResource | undefined {
  const seen = all.filter(exists);
  const system = seen.filter((one) => one.numbers !== 'bus');
  const register = seen.find((one) => one.numbers === 'bus');
  const first = system[0] ?? register;
  if (!first) return undefined;
  const address = system[0] && addressOf(system[0]);
  const busAddress = register && !about.isVirtual ? addressOf(register) : undefined;
  const size = seen.find((one) => one.size !== undefined);
  for (const other of seen) {
    const value = addressOf(other);
    const kept = other.numbers === 'bus' ? undefined : address;
    if (kept !== undefined && value !== undefined && value !== kept && sameNumbers(first.numbers, other.numbers)) {
      conflicts.add(
        at,
        `${what} address`,
        { value: hex(kept), source: first.source },
        { value: hex(value), source: other.source },
      );
    }
    if (size?.size !== undefined && other.size !== undefined && other.size !== size.size && !what.startsWith('VF')) {
      conflicts.add(
        at,
        `${what} size`,
        { value: hex(size.size), source: size.source },
        { value: hex(other.size), source: other.source },
      );
    }
  }
  return {
    // The system may have no resource where a register holds an address: it found nothing there.
    state: stateOf(system, register, all.length > seen.length, about),
    ...(address === undefined ? {} : { address }),
    ...(busAddress === undefined ? {} : { busAddress }),
    ...(size?.size === undefined ? {} : { size: size.size }),
  };
}

const sameNumbers = (a: Numbers, b: Numbers) => a === b || (a !== 'bus' && b !== 'bus');

function stateOf(
  system: readonly SeenResource[],
  register: SeenResource | undefined,
  ignored: boolean,
  { isVirtual }: About,
): ResourceState {
  const [first] = system;
  const own = (one: SeenResource): ResourceState =>
    one.placement.state === 'closed' ? 'unassigned' : one.placement.state;
  if (!first) return register && !ignored ? own(register) : 'unassigned';
  if (own(first) === 'unassigned') return 'unassigned';
  if (isVirtual) return 'assigned';
  if (register && addressOf(register) === undefined) return 'os-only';
  // Of listings that agree on the address, the one that looked at decoding knows more.
  const found = [...system.filter((one) => addressOf(one) === addressOf(first)), ...(register ? [register] : [])];
  return states.find((state) => found.some((one) => own(one) === state)) ?? 'assigned';
}

function single(seen: SeenResource): CapturedResource {
  const address = addressOf(seen);
  return {
    state: seen.placement.state === 'closed' ? 'unassigned' : seen.placement.state,
    ...(address === undefined ? {} : seen.numbers === 'bus' ? { busAddress: address } : { address }),
    ...(seen.size === undefined ? {} : { size: seen.size }),
  };
}

/** The system shows a group as a whole: one VF's size is that divided by their number. */
function vfBar(
  index: number,
  seen: readonly SeenResource[],
  { size: groupSize, ...rest }: CapturedResource,
  totalVfs: number | undefined,
): CapturedVfBar {
  const common = { index, ...kindOf(seen), ...rest };
  if (groupSize === undefined) return common;
  if (!totalVfs || groupSize % BigInt(totalVfs) !== 0n) return { ...common, groupSize };
  return { ...common, size: groupSize / BigInt(totalVfs), groupSize };
}

function windowOf(seen: readonly SeenResource[]): CapturedWindow | null {
  const system = seen.find((one) => one.numbers !== 'bus');
  const register = seen.find((one) => one.numbers === 'bus');
  const range = system && rangeOf(system);
  const busRange = register && rangeOf(register);
  if (!range && !busRange) return null;
  // What the system has closed may still stand in the registers, and the other way round.
  return { ...(range ? { range } : {}), ...(busRange ? { busRange } : {}) };
}

function rangeOf(seen: SeenResource): AddressRange | undefined {
  const base = addressOf(seen);
  if (base === undefined || seen.size === undefined || base + seen.size > ADDRESS_SPACE) return undefined;
  return AddressRange.sized(base, seen.size);
}
