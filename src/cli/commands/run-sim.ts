import { enumerate } from '../../enumerate/enumerate.js';
import { addressRows, toMachine, type AddressRow } from '../../enumerate/to-machine.js';
import { allFunctions, type Topology } from '../../enumerate/topology.js';
import { formatSize, hex } from '../../address/format.js';
import { formatBdf } from '../../pci/bdf.js';
import { pin } from '../../pin/pin.js';
import { applyMachineFile, applyPins } from '../../pin/pins.js';
import { parseTimeLimit, within } from '../../pin/time-limit.js';
import { planToJson } from '../../place/plan-json.js';
import type { Reserved } from '../../machine/model.js';
import type { Plan, PlanResult } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';
import { applyReserves } from '../../pin/reserves.js';
import { parsePinOption, toPin } from '../../qemu/args/pins.js';
import { parseReserveOption } from '../../qemu/args/reserves.js';
import { whyHidden } from '../../sim/hidden.js';
import { simulate, type SimulatedMachine } from '../../sim/simulate.js';
import { readMachine, writePlan } from '../documents.js';
import { styleFor, type Io, type Style } from '../io.js';
import { renderMap } from '../render/map.js';
import { renderResult } from '../render/result.js';
import { renderTable, type Column } from '../render/table.js';
import type { RunFlags } from './flags.js';

/** The whole job on a simulated machine: enumerate, solve, program, read back; registers before and after are shown. */
export async function runSimulated(flags: RunFlags, file: string, io: Io): Promise<number> {
  const { machine, name } = await readMachine(file, io);
  const hidden = whyHidden(machine);
  if (hidden) {
    throw new Problem('machine-hidden-function', `${hidden.why}, so nothing that enumerates finds it`, {
      where: { file: name },
      hint: 'move it to a slot where it can be found, or use pinbar plan, which takes the file at its word',
      facts: { id: hidden.id },
    });
  }
  const simulated = simulate(machine);
  const windows = Object.fromEntries(machine.hostBridges.map((host) => [host.id, host.windows]));
  const { ram, arch, board, physicalAddressBits, reserved, properties } = machine;
  const id = (at: Parameters<SimulatedMachine['functionAt']>[0]) => simulated.functionAt(at)?.id;
  const timeLimit = flags.timeLimit === undefined ? undefined : parseTimeLimit(flags.timeLimit);
  const pins = (flags.pin ?? []).flatMap(parsePinOption).map(toPin);
  const reserves = (flags.reserve ?? []).map(parseReserveOption);
  try {
    const pinned = await pin(
      simulated.access,
      simulated.hosts,
      (topology) => {
        const found = toMachine(
          topology,
          { ram, arch, board, physicalAddressBits, properties, windows },
          { name: (fn) => id(fn.at) },
        );
        const asked = applyPins(applyMachineFile({ ...found, reserved: [] }, { ...machine, reserved }, name), pins);
        return applyReserves(asked, reserves);
      },
      { place: within(timeLimit) },
    );
    if (flags.planOut !== undefined) await writePlan(flags.planOut, pinned.plan);
    if (flags.json) io.stdout.write(`${JSON.stringify(planToJson(pinned.plan), null, 2)}\n`);
    else if (!flags.quiet) {
      const after = await enumerate(simulated.access, simulated.hosts, { probe: false });
      io.stdout.write(
        renderRun(simulated, pinned.topology, after, pinned.plan, machine.reserved, styleFor(io.stdout, io.env)),
      );
    }
    return Exit.done;
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'no-plan') throw error;
    const result = error.facts['result'] as PlanResult;
    if (flags.json) io.stdout.write(`${JSON.stringify(planToJson(result), null, 2)}\n`);
    else io.stdout.write(renderResult(result, io.stdout, io.env));
    return Exit.noPlan;
  }
}

interface Row {
  readonly at: string;
  readonly id: string;
  readonly what: string;
  readonly type: string;
  readonly size: string;
  readonly before: string;
  readonly after: string;
  readonly note: string;
}

function renderRun(
  simulated: SimulatedMachine,
  before: Topology,
  after: Topology,
  plan: Plan,
  reserved: readonly Reserved[],
  style: Style,
): string {
  const columns: Column<Row>[] = [
    { title: 'FUNCTION', text: (row) => row.at, paint: (cell) => style.dim(cell) },
    { title: 'ID', text: (row) => row.id, paint: (cell) => style.bold(cell) },
    { title: 'RESOURCE', text: (row) => row.what },
    { title: 'TYPE', text: (row) => row.type },
    { title: 'SIZE', text: (row) => row.size, align: 'right' },
    { title: 'BEFORE', text: (row) => row.before, align: 'right', paint: (cell) => style.dim(cell) },
    { title: 'AFTER', text: (row) => row.after, align: 'right' },
    { title: '', text: (row) => row.note, paint: (cell) => style.green(cell) },
  ];
  const now = new Map(allFunctions(after).map((fn) => [formatBdf(fn.at), fn]));
  const planned = new Map(plan.functions.map((fn) => [formatBdf(fn.address), fn]));
  const pinned = (at: string, what: string) => {
    const fn = planned.get(at);
    const bar =
      fn?.bars.find((one) => `bar${one.index}` === what) ?? fn?.sriov?.bars.find((one) => `vf${one.index}` === what);
    return (what === 'rom' ? fn?.rom?.pinned : bar?.pinned) ? 'pinned' : '';
  };
  const rows = allFunctions(before).flatMap((fn): Row[] => {
    const at = formatBdf(fn.at);
    const same = now.get(at);
    const later = new Map((same ? addressRows(same) : []).map((row) => [row.what, row]));
    return addressRows(fn).map((row, i) => ({
      at: i === 0 ? at : '',
      id: i === 0 ? (simulated.functionAt(fn.at)?.id ?? '') : '',
      what: nameOf(row),
      type: row.prefetchable ? `${row.type} pref` : row.type,
      size: row.size === null || isWindow(row) ? '' : formatSize(row.size),
      before: say(row),
      after: say(later.get(row.what)),
      note: pinned(at, row.what),
    }));
  });
  return `${renderTable(columns, rows, style.bold)}\n${renderMap(plan, style, reserved)}`;
}

const isWindow = ({ what }: AddressRow) => what === 'io' || what === 'memory' || what === 'prefetchable';

function nameOf(row: AddressRow): string {
  if (row.what === 'rom') return 'ROM';
  if (isWindow(row)) return `${row.what === 'io' ? 'I/O' : row.what} window`;
  return row.what.replace(/^vf/, 'VF BAR ').replace(/^bar/, 'BAR ');
}

/** An address register in words: its address, or that it decodes nothing. */
function say(row: AddressRow | undefined): string {
  if (!row) return 'not there';
  if (row.address === null) return 'closed';
  if (isWindow(row)) return `${hex(row.address)}-${hex(row.address + (row.size ?? 1n) - 1n)}`;
  return row.decoding || row.what.startsWith('vf') || row.what === 'rom' ? hex(row.address) : `${hex(row.address)} off`;
}
