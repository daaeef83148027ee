import type { PlanResult } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readMachine, writePlan } from '../documents.js';
import { styleFor, type Io } from '../io.js';
import { Progress } from '../progress.js';
import { renderPlan, renderResult } from '../render/result.js';
import type { AttachFlags } from './flags.js';

export async function attach(this: Context, flags: AttachFlags): Promise<void> {
  await work(this, (io) => attachTo(flags, io));
}

async function attachTo(flags: AttachFlags, io: Io): Promise<number> {
  const [
    { parsePinOption, mergePins, toPin },
    { parseReserveOption },
    { parseSocketAddress },
    { ATTACHED, attachQemu },
  ] = await Promise.all([
    import('../../qemu/args/pins.js'),
    import('../../qemu/args/reserves.js'),
    import('../../qemu/attach/socket-address.js'),
    import('../../qemu/attach/attach.js'),
  ]);
  if (flags.qmp === undefined) {
    throw new Problem('usage', 'there is no --qmp', { hint: 'name the QMP socket of the QEMU to attach to' });
  }
  const qmp = parseSocketAddress('--qmp', flags.qmp);
  const [transport, ...others] = (['qtest', 'gdb'] as const).flatMap((name) => {
    const text = flags[name];
    return text === undefined ? [] : { name, address: parseSocketAddress(`--${name}`, text) };
  });
  if (!transport || others.length > 0) {
    throw new Problem(
      'usage',
      transport ? '--qtest and --gdb are both given: one is enough' : 'there is neither --qtest nor --gdb',
      {
        hint: 'QMP does not reach the memory of a machine: QEMU’s qtest server or its gdbstub does',
      },
    );
  }
  const progress = new Progress(io.stderr, flags.verbose);
  const machineFile = flags.machine === undefined ? undefined : await readMachine(flags.machine, io);
  try {
    return await attachQemu(
      {
        qmp,
        transport,
        pins: mergePins((flags.pin ?? []).flatMap(parsePinOption)).map(toPin),
        reserves: (flags.reserve ?? []).map(parseReserveOption),
        ...(machineFile ? { machineFile } : {}),
        resume: flags.resume,
        once: flags.once,
      },
      {
        stage: (text) => progress.stage(text, text === ATTACHED),
        notice: (text) => progress.line(text),
        replanned: async (plan) => {
          if (flags.out !== undefined) await writePlan(flags.out, plan);
        },
        planned: async (plan) => {
          if (flags.out !== undefined) await writePlan(flags.out, plan);
          if (flags.json) {
            const { planToJson } = await import('../../place/plan-json.js');
            io.stdout.write(`${JSON.stringify(planToJson(plan), null, 2)}\n`);
          } else if (!flags.quiet) {
            io.stdout.write(renderPlan(plan, styleFor(io.stdout, io.env), machineFile?.machine.reserved));
          }
        },
      },
    );
  } catch (error) {
    progress.end();
    if (!(error instanceof Problem) || error.code !== 'no-plan') throw error;
    const result = error.facts['result'] as PlanResult;
    if (flags.json) {
      const { planToJson } = await import('../../place/plan-json.js');
      io.stdout.write(`${JSON.stringify(planToJson(result), null, 2)}\n`);
    } else io.stdout.write(renderResult(result, io.stdout, io.env));
    return Exit.noPlan;
  } finally {
    progress.end();
  }
}
