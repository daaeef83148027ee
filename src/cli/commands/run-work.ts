import { parseTimeLimit } from '../../pin/time-limit.js';
import type { Machine } from '../../machine/model.js';
import type { PlanResult } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { RunReport } from '../../qemu/prepare.js';
import { work, type Context } from '../context.js';
import { readMachine, writePlan } from '../documents.js';
import { styleFor, type Io } from '../io.js';
import { GuestNotes } from './run-notes.js';
import { Progress } from '../progress.js';
import { renderPlan, renderResult } from '../render/result.js';
import type { RunFlags } from './flags.js';
import type { WithTwins } from './run-twin.js';

export async function run(this: Context, flags: RunFlags, ...argv: string[]): Promise<void> {
  await work(this, async (io) => {
    if (flags.sim !== undefined) {
      const { machine, splitRam, twin, verify, transport } = flags;
      if (argv.length > 0 || (machine ?? splitRam ?? twin) !== undefined || verify || transport !== 'qtest') {
        throw new Problem(
          'usage',
          '--sim runs on the simulated machine: it takes no QEMU command line, --machine, --twin, --split-ram, --transport or --verify',
        );
      }
      const { runSimulated } = await import('./run-sim.js');
      return runSimulated(flags, flags.sim, io);
    }
    return runReal(flags, argv, io);
  });
}

async function runReal(flags: RunFlags, argv: readonly string[], io: Io): Promise<number> {
  if (flags.xen !== undefined) throw new Problem('usage', '--xen goes with --sim: pinbar starts no Xen');
  if (flags.json) {
    throw new Problem('usage', '--json goes with --sim: with QEMU, standard output is the guest’s', {
      hint: 'use --plan-out FILE for the plan as JSON',
    });
  }
  if (argv.length === 0) {
    throw new Problem('usage', 'there is no QEMU command line', {
      hint: 'write it after --, as it is: pinbar run -- qemu-system-aarch64 -machine virt …',
    });
  }
  const progress = new Progress(io.stderr, flags.verbose);
  if (flags.twin === undefined) {
    if ((flags.devices ?? flags.region ?? flags.absent ?? flags.add) !== undefined) {
      throw new Problem('usage', '--devices, --region, --absent and --add go with --twin');
    }
    const machineFile = flags.machine === undefined ? undefined : await readMachine(flags.machine, io);
    return runOn(argv, machineFile, flags, progress, io);
  }
  if (flags.machine !== undefined) {
    throw new Problem('usage', '--twin and --machine both say what is pinned', {
      hint: 'pinbar import CAPTURE --devices … --mirror writes the machine file that --twin makes',
    });
  }
  const { withTwins } = await import('./run-twin.js');
  const rehearsal = await withTwins(flags.twin, flags, argv, io, (text) => progress.line(text));
  try {
    return await runOn(rehearsal.argv, rehearsal.machineFile, flags, progress, io, rehearsal);
  } finally {
    await rehearsal.twins.close();
  }
}

async function runOn(
  argv: readonly string[],
  machineFile: { readonly machine: Machine; readonly name: string } | undefined,
  flags: RunFlags,
  progress: Progress,
  io: Io,
  { twins, awaited }: Partial<Pick<WithTwins, 'twins' | 'awaited'>> = {},
): Promise<number> {
  const [{ parsePinOption }, { parseReserveOption }, { parseSplitRam }, { runRequest }, { runQemu }] =
    await Promise.all([
      import('../../qemu/args/pins.js'),
      import('../../qemu/args/reserves.js'),
      import('../../qemu/args/split-ram.js'),
      import('../../qemu/request.js'),
      import('../../qemu/run.js'),
    ]);
  const request = runRequest(argv, {
    pins: (flags.pin ?? []).flatMap(parsePinOption),
    reserves: (flags.reserve ?? []).map(parseReserveOption),
    ...(machineFile ? { machineFile } : {}),
    ...(flags.splitRam === undefined ? {} : { splitRam: parseSplitRam(flags.splitRam) }),
    transport: flags.transport,
    verify: flags.verify,
    ...(flags.timeLimit === undefined ? {} : { timeLimit: parseTimeLimit(flags.timeLimit) }),
    strict: flags.strict,
    uefiDriver: flags.uefiDriver,
    notice: (text) => progress.line(text),
  });
  const notes = new GuestNotes(flags, request.firmware !== undefined, (text) => progress.line(text));
  try {
    const report: RunReport = {
      stage: (text) => {
        progress.stage(text, text === 'running');
        if (text === 'running') notes.running();
      },
      notice: (text) => progress.line(text),
      stderr: (chunk) => io.stderr.write(chunk.toString('utf8')),
      programming: (state) => (state === 'begins' ? twins?.late.show() : twins?.late.hide()),
      replanned: async (plan) => {
        if (flags.planOut !== undefined) await writePlan(flags.planOut, plan);
      },
      planned: async (plan, machine) => {
        if (flags.planOut !== undefined) await writePlan(flags.planOut, plan);
        if (!flags.quiet) io.stderr.write(renderPlan(plan, styleFor(io.stderr, io.env), machineFile?.machine.reserved));
        notes.planned(machine, plan);
      },
    };
    return await runQemu(request, report, awaited);
  } catch (error) {
    progress.end();
    if (!(error instanceof Problem) || error.code !== 'no-plan') throw error;
    io.stderr.write(renderResult(error.facts['result'] as PlanResult, io.stderr, io.env));
    return Exit.noPlan;
  } finally {
    await notes.said;
    progress.end();
  }
}
