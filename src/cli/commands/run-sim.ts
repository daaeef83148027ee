import { enumerate } from '../../enumerate/enumerate.js';
import { idsOf } from '../../enumerate/ids.js';
import { toMachine } from '../../enumerate/to-machine.js';
import { pin } from '../../pin/pin.js';
import { applyMachineFile, applyPins } from '../../pin/pins.js';
import { parseTimeLimit, within } from '../../pin/time-limit.js';
import { planToJson } from '../../place/plan-json.js';
import type { PlanResult } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';
import { applyReserves } from '../../pin/reserves.js';
import { parsePinOption, toPin } from '../../qemu/args/pins.js';
import { parseReserveOption } from '../../qemu/args/reserves.js';
import { whyHidden } from '../../sim/hidden.js';
import { simulate } from '../../sim/simulate.js';
import { readMachine, writePlan } from '../documents.js';
import { styleFor, type Io } from '../io.js';
import { renderResult } from '../render/result.js';
import { renderSimulated } from '../render/simulated.js';
import type { RunFlags } from './flags.js';
import type { SimTarget } from './sim-target.js';

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
  if (flags.xen !== undefined) {
    const { withXenGuest } = await import('./run-xen.js');
    return withXenGuest(flags.xen, machine, name, io, (target) => pinTarget(target, flags, io));
  }
  const { access, hosts } = simulate(machine);
  const handOver = () => Promise.resolve({ guest: access, said: '' });
  return pinTarget({ machine, name, access, hosts, handOver }, flags, io);
}

async function pinTarget({ machine, name, access, hosts, handOver }: SimTarget, flags: RunFlags, io: Io) {
  const windows = Object.fromEntries(machine.hostBridges.map((host) => [host.id, host.windows]));
  const { ram, arch, board, physicalAddressBits, reserved, properties } = machine;
  const timeLimit = flags.timeLimit === undefined ? undefined : parseTimeLimit(flags.timeLimit);
  const pins = (flags.pin ?? []).flatMap(parsePinOption).map(toPin);
  const reserves = (flags.reserve ?? []).map(parseReserveOption);
  try {
    const pinned = await pin(
      access,
      hosts,
      (topology) => {
        const idOf = idsOf(topology, machine);
        const found = toMachine(
          topology,
          { ram, arch, board, physicalAddressBits, properties, windows },
          { name: (fn) => idOf(fn.at) },
        );
        const asked = applyPins(applyMachineFile({ ...found, reserved: [] }, { ...machine, reserved }, name), pins);
        return applyReserves(asked, reserves);
      },
      { place: within(timeLimit) },
    );
    if (flags.planOut !== undefined) await writePlan(flags.planOut, pinned.plan);
    const { guest, said } = await handOver(pinned.plan);
    if (flags.json) io.stdout.write(`${JSON.stringify(planToJson(pinned.plan), null, 2)}\n`);
    else if (!flags.quiet) {
      const after = await enumerate(guest, hosts, { probe: false });
      const idOf = idsOf(pinned.topology, machine);
      const style = styleFor(io.stdout, io.env);
      io.stdout.write(said + renderSimulated(idOf, pinned.topology, after, pinned.plan, machine.reserved, style));
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
