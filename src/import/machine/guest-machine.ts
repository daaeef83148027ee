import { hex } from '../../address/format.js';
import { FOUR_GIB } from '../../address/kinds.js';
import { machineFrom } from '../../machine/load.js';
import { DEFAULT_HIGH_MMIO_SIZE } from '../../machine/boards/virt-aarch64.js';
import type { Board } from '../../machine/boards/board.js';
import type { HostWindow, Machine } from '../../machine/model.js';
import type { MachineFileInput } from '../../machine/save.js';
import type { FunctionInput } from '../../machine/schema.js';
import { formatBdf, formatSlot, type Bdf } from '../../pci/bdf.js';
import { place } from '../../place/place.js';
import type { Capture, CapturedFunction } from '../capture/model.js';
import { bdfKey } from '../observation.js';
import { chosenFunctions, indexOf } from './chosen.js';
import { guestBars, guestFunction, sizeText, type GuestBar } from './endpoint.js';
import { boardFor, DEFAULT_RAM, highMmioSizeFor, highMmioSizes } from './guest-board.js';
import { mirrored, ownPorts, portFunction, type GuestNode } from './guest-tree.js';
import { reservedOf } from './reserved.js';

export interface GuestMachineOptions {
  /** The functions that are passed through. */
  readonly devices: readonly Bdf[];
  /** The host's ports and switches, and its addresses; else a root port for each device, and no pins. */
  readonly mirror: boolean;
  /** Left out: that of the host's architecture. */
  readonly board?: Board;
  /** Bytes; 4 GiB where it is left out. */
  readonly ram?: bigint;
}

export interface GuestMachine {
  /** As it is written to a file. */
  readonly file: MachineFileInput;
  /** The same for `place`. */
  readonly machine: Machine;
  /** The host's function behind each id of the machine; ports that the host does not have are not in it. */
  readonly hosts: ReadonlyMap<string, CapturedFunction>;
  /** What the reader has to know, in sentences. */
  readonly notes: readonly string[];
}

/**
 * The machine of a guest that devices of a captured host are passed through to. Pure.
 * @throws Problem `device-unknown`, `device-is-bridge`, `mirror-path`, `mirror-slots`, `size-unknown`, `bar-unknown`,
 * `board-needed`, and as `machineFrom` does
 */
export function guestMachine(capture: Capture, options: GuestMachineOptions): GuestMachine {
  const index = indexOf(capture);
  const chosen = chosenFunctions(index, options.devices);
  const tree = options.mirror ? mirrored(index, chosen) : ownPorts(chosen);
  const found = options.board ? { board: options.board } : boardFor(capture);
  const { board, note } = { note: undefined, ...found };
  const isPc = (capture.host.arch ?? board.arch) === 'x86_64';
  const bars = new Map(chosen.map((fn) => [bdfKey(fn.address), guestBars(capture, fn, isPc)]));
  const ram = options.ram ?? DEFAULT_RAM;
  const { reserved, notes: reservedNotes } = reservedOf(capture, chosen);
  const hosts = new Map<string, CapturedFunction>();
  const build = (node: GuestNode): FunctionInput => {
    if (node.host) hosts.set(node.id, node.host);
    const slot = formatSlot(node.slot).replace(/^0/, '');
    if (node.kind) return portFunction(node, slot, node.children.map(build));
    const { host } = node;
    if (!host) throw new Error(`${node.id} is neither a port nor a device`);
    return guestFunction(host, node.id, slot, bars.get(bdfKey(host.address)) ?? []);
  };
  const functions = tree.roots.map(build);
  const bits = capture.host.physicalAddressBits;
  const write = (highMmioSize: bigint | null, allow: boolean): MachineFileInput => ({
    pinbar: 1,
    machine: {
      arch: board.arch,
      board: board.name,
      ram: sizeText(ram),
      ...(bits !== undefined && bits >= 32 && bits <= 64 ? { physicalAddressBits: bits } : {}),
      ...(highMmioSize !== null && highMmioSize !== DEFAULT_HIGH_MMIO_SIZE
        ? { properties: { 'highmem-mmio-size': sizeText(highMmioSize) } }
        : {}),
      ...(allow ? { allowNonPrefetchableInPrefetchable: true } : {}),
    },
    ...(reserved.length > 0 ? { reserved } : {}),
    hostBridges: [{ id: board.name === 'pc' ? 'pci.0' : 'pcie.0', functions }],
  });
  const notes = [...(note === undefined ? [] : [note]), ...tree.notes, ...reservedNotes];
  if (!options.mirror) {
    const { file, machine } = roomyEnough(board, (size) => write(size, false));
    return { file, machine, hosts, notes };
  }
  const wishes = [...bars.values()]
    .flat()
    .flatMap(({ type, size, hostAddress }) =>
      type === 'mem64' && hostAddress !== undefined && hostAddress >= FOUR_GIB ? [{ base: hostAddress, size }] : [],
    );
  const highMmioSize = highMmioSizeFor(board, ram, wishes);
  // PCI Express allows it, the PCI bridge specification does not: the host shows whether it was needed.
  const allow = [...bars.values()]
    .flat()
    .some(
      ({ type, prefetchable, hostAddress }) => type === 'mem64' && !prefetchable && (hostAddress ?? 0n) >= FOUR_GIB,
    );
  const windows = machineFrom(write(highMmioSize, allow), 'the machine').hostBridges[0]?.windows ?? [];
  notes.push(...pin(functions, hosts, bars, windows, board));
  const file = write(highMmioSize, allow);
  return { file, machine: machineFrom(file, 'the machine'), hosts, notes };
}

/** Pins each BAR of a device at its host address; says which BARs are not, and why. */
function pin(
  functions: readonly FunctionInput[],
  hosts: ReadonlyMap<string, CapturedFunction>,
  bars: ReadonlyMap<number, readonly GuestBar[]>,
  windows: readonly HostWindow[],
  board: Board,
): string[] {
  const outside: string[] = [];
  const none: string[] = [];
  const visit = (fn: FunctionInput) => {
    fn.bridge?.functions?.forEach(visit);
    const host = hosts.get(fn.id);
    if (!host || fn.bridge) return;
    const own = bars.get(bdfKey(host.address)) ?? [];
    for (const bar of fn.bars ?? []) {
      const seen = own.find(({ index }) => index === bar.index);
      const what = `${formatBdf(host.address)} BAR ${String(bar.index)}`;
      if (seen?.hostAddress === undefined) none.push(what);
      else if (!windows.some((window) => holds(window, seen))) outside.push(`${what} (${hex(seen.hostAddress)})`);
      else bar.pin = hex(seen.hostAddress);
    }
  };
  functions.forEach(visit);
  return [
    ...(none.length > 0 ? [`not pinned, because they have no address on the host: ${none.join(', ')}`] : []),
    ...(outside.length > 0
      ? [`not pinned, because board ${board.name} has no window at their host addresses: ${outside.join(', ')}`]
      : []),
  ];
}

function holds({ type, base, size }: HostWindow, bar: GuestBar): boolean {
  const fits = type === bar.type || (type === 'mem32' && bar.type === 'mem64');
  const at = bar.hostAddress ?? -1n;
  return fits && base <= at && at + bar.size <= base + size;
}

/** The machine with the smallest 64-bit window that a plan is found for, where the board lets it be chosen. */
function roomyEnough(board: Board, write: (size: bigint | null) => MachineFileInput) {
  const first = write(null);
  if (highMmioSizeFor(board, DEFAULT_RAM, []) === null)
    return { file: first, machine: machineFrom(first, 'the machine') };
  for (const size of highMmioSizes()) {
    const file = write(size);
    const machine = machineFrom(file, 'the machine');
    if (place(machine, { remedies: false }).status === 'placed') return { file, machine };
  }
  return { file: first, machine: machineFrom(first, 'the machine') };
}
