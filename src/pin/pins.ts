import { formatSize, hex } from '../address/format.js';
import type { BusAddress } from '../address/kinds.js';
import {
  eachFunction,
  type Bar,
  type Bridge,
  type Machine,
  type MachineFunction,
  type Reserve,
} from '../machine/model.js';
import { Problem } from '../problem/problem.js';
import { suggest } from '../problem/nearest.js';
import { mapFunctions } from './functions.js';

/** What of a function is pinned: a BAR's number, its ROM, or the group of VF BAR n. */
export type PinTarget = number | 'rom' | `vf${number}`;

export interface Pin {
  readonly id: string;
  readonly target: PinTarget;
  readonly address: BusAddress;
  /** Where it was asked for, for messages: `--pin dev0=bar2@0x…`. */
  readonly source: string;
}

/**
 * A machine with these pins.
 * @throws Problem `pin-unknown-id`, `pin-unknown-bar`, `pin-twice`
 */
export function applyPins(machine: Machine, pins: readonly Pin[]): Machine {
  const byId = new Map<string, Pin[]>();
  for (const pin of pins) byId.set(pin.id, [...(byId.get(pin.id) ?? []), pin]);
  const edited = mapFunctions(machine, (fn) => {
    const own = byId.get(fn.id);
    byId.delete(fn.id);
    return own ? own.reduce(applyPin, fn) : fn;
  });
  for (const [id, [pin]] of byId) {
    throw new Problem('pin-unknown-id', `${pin?.source ?? id}: the machine has no PCI function with id ${id}`, {
      hint: suggest(id, ids(machine), 'id'),
      facts: { id },
    });
  }
  return edited;
}

/**
 * The machine that was found, with what a machine file says about the same functions: pins, hotplug reserves, reserved
 * ranges. Functions are matched by id; the file may name only some of them.
 * @throws Problem `machine-file-unknown-id`, `machine-file-differs`, `pin-unknown-bar`, `pin-twice`
 */
export function applyMachineFile(found: Machine, file: Machine, name: string): Machine {
  const wanted = new Map(
    file.hostBridges.flatMap(({ functions }) => [...eachFunction(functions)].map(({ fn }) => [fn.id, fn] as const)),
  );
  const edited = mapFunctions(found, (fn) => {
    const own = wanted.get(fn.id);
    wanted.delete(fn.id);
    return own ? merge(fn, own, name) : fn;
  });
  const [missing] = wanted.keys();
  if (missing !== undefined) {
    throw new Problem(
      'machine-file-unknown-id',
      `${name} describes ${missing}, and the machine has no PCI function with that id`,
      {
        hint: suggest(missing, ids(found), 'id'),
        facts: { id: missing },
      },
    );
  }
  return {
    ...edited,
    reserved: [...found.reserved, ...file.reserved],
    allowNonPrefetchableInPrefetchable:
      found.allowNonPrefetchableInPrefetchable || file.allowNonPrefetchableInPrefetchable,
    physicalAddressBits: file.physicalAddressBits ?? found.physicalAddressBits,
  };
}

function merge(found: MachineFunction, wanted: MachineFunction, name: string): MachineFunction {
  if (Boolean(found.bridge) !== Boolean(wanted.bridge)) {
    throw new Problem(
      'machine-file-differs',
      `${found.id} is ${wanted.bridge ? 'a bridge' : 'no bridge'} in ${name}, and ${found.bridge ? 'a bridge' : 'none'} in the machine`,
    );
  }
  for (const { index, resizable } of [...wanted.bars, ...(wanted.sriov?.bars ?? [])]) {
    if (resizable && resizable.to !== 'keep') throw resizes(found.id, index, name);
  }
  for (const bar of wanted.bars)
    agree(
      found,
      `BAR ${bar.index}`,
      bar,
      found.bars.find((one) => one.index === bar.index),
      name,
    );
  if (wanted.rom && wanted.rom.size !== found.rom?.size) {
    throw differs(
      found.id,
      'ROM',
      formatSize(wanted.rom.size),
      found.rom ? formatSize(found.rom.size) : undefined,
      name,
    );
  }
  const pins: Pin[] = [
    ...wanted.bars.map((bar) => ({ target: bar.index, pin: bar.pin })),
    { target: 'rom' as const, pin: wanted.rom?.pin },
    ...(wanted.sriov?.bars ?? []).map((bar) => ({ target: `vf${bar.index}` as const, pin: bar.pin })),
  ].flatMap(({ target, pin }) => (pin === undefined ? [] : [{ id: found.id, target, address: pin, source: name }]));
  const merged = pins.reduce(applyPin, found);
  if (!merged.bridge || !wanted.bridge) return merged;
  const bridge: Bridge = {
    ...merged.bridge,
    pin: wanted.bridge.pin,
    reserve: combine(merged.bridge.reserve, wanted.bridge.reserve),
  };
  return { ...merged, bridge };
}

/** What the file says where it says something, else what QEMU's own options ask for. */
const combine = (found: Reserve, file: Reserve): Reserve => ({
  buses: file.buses || found.buses,
  io: file.io || found.io,
  memory: file.memory || found.memory,
  prefetchable: file.prefetchable || found.prefetchable,
});

function agree(fn: MachineFunction, what: string, wanted: Bar, found: Bar | undefined, name: string): void {
  const say = (bar: Bar) => `${bar.type}${bar.prefetchable ? ' prefetchable' : ''} ${formatSize(bar.size)}`;
  const same =
    found && found.type === wanted.type && found.prefetchable === wanted.prefetchable && found.size === wanted.size;
  if (!same) throw differs(fn.id, what, say(wanted), found && say(found), name);
}

const resizes = (id: string, index: number, name: string) =>
  new Problem(
    'machine-file-resizes',
    `${name} asks for another size of ${id} BAR ${index}, and a machine keeps its sizes`,
    {
      hint: 'resize the BAR on the host, and leave resize: out of the file; pinbar plan says which size fits',
      facts: { id, index },
    },
  );

const differs = (id: string, what: string, wanted: string, found: string | undefined, name: string) =>
  new Problem(
    'machine-file-differs',
    `${id} ${what} is ${wanted} in ${name}, and ${found ?? 'does not exist'} in the machine`,
    {
      hint: 'correct the file, or leave the BAR out of it: only what is pinned needs to be there',
      facts: { id, what },
    },
  );

function applyPin(fn: MachineFunction, pin: Pin): MachineFunction {
  const { target } = pin;
  if (target === 'rom') {
    if (!fn.rom) throw unknownBar(fn, pin, 'has no ROM');
    return { ...fn, rom: { ...fn.rom, pin: once(pin, fn.rom.pin, 'ROM') } };
  }
  const vf = typeof target === 'string';
  const index = vf ? Number(target.slice(2)) : target;
  const bars = vf ? (fn.sriov?.bars ?? []) : fn.bars;
  const bar = bars.find((one) => one.index === index);
  if (!bar) {
    const lower = bars.find((one) => one.type === 'mem64' && one.index + 1 === index);
    const what = vf ? `VF BAR ${index}` : `BAR ${index}`;
    throw unknownBar(
      fn,
      pin,
      lower
        ? `has no ${what}: that register is the upper half of ${vf ? 'VF ' : ''}BAR ${lower.index}`
        : `has no ${what}`,
    );
  }
  const pinned: Bar = { ...bar, pin: once(pin, bar.pin, `${vf ? 'VF ' : ''}BAR ${index}`) };
  const replaced = bars.map((one) => (one === bar ? pinned : one));
  return vf && fn.sriov ? { ...fn, sriov: { ...fn.sriov, bars: replaced } } : { ...fn, bars: replaced };
}

/** The pin's address, unless another was asked for before. */
function once(pin: Pin, before: BusAddress | undefined, what: string): BusAddress {
  if (before !== undefined && before !== pin.address) {
    throw new Problem(
      'pin-twice',
      `${pin.source}: ${pin.id} ${what} is pinned at ${hex(pin.address)} here, and at ${hex(before)} elsewhere`,
      {
        hint: 'keep one of the two',
        facts: { id: pin.id },
      },
    );
  }
  return pin.address;
}

function unknownBar(fn: MachineFunction, pin: Pin, what: string): Problem {
  const has = [
    ...fn.bars.map(
      (bar) => `bar${bar.index} (${bar.type}${bar.prefetchable ? ' prefetchable' : ''}, ${formatSize(bar.size)})`,
    ),
    ...(fn.rom ? [`rom (${formatSize(fn.rom.size)})`] : []),
    ...(fn.sriov?.bars ?? []).map((bar) => `vf${bar.index} (${formatSize(bar.size)} per VF)`),
  ];
  return new Problem('pin-unknown-bar', `${pin.source}: ${fn.id} ${what}`, {
    hint: has.length > 0 ? `it has ${has.join(', ')}` : 'it has no BAR at all',
    facts: { id: fn.id, target: pin.target },
  });
}

const ids = (machine: Machine): string[] =>
  machine.hostBridges.flatMap(({ functions }) => [...eachFunction(functions)].map(({ fn }) => fn.id));
