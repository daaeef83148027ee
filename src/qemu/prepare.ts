import { toMachine } from '../enumerate/to-machine.js';
import type { Topology } from '../enumerate/topology.js';
import type { Machine } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import { pin } from '../pin/pin.js';
import { applyMachineFile, applyPins } from '../pin/pins.js';
import type { Plan } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';
import { program, verifyProgramme, type Mismatch } from '../program/program.js';
import { crossCheck } from './crosscheck.js';
import { openMachine } from './machines/open.js';
import { queryPci } from './query-pci.js';
import type { RunRequest } from './request.js';
import { deathOf, type Session } from './session.js';

/** What is told while it runs. */
export interface RunReport {
  /** What is being done now, in a few words. */
  readonly stage: (text: string) => void;
  readonly notice: (text: string) => void;
  readonly stderr: (chunk: Buffer) => void;
  /** Programmed and checked; the guest has not run yet. */
  readonly planned: (plan: Plan, machine: Machine, topology: Topology) => Promise<void>;
}

/** A programmed machine, and what it takes to program it again. */
export interface Ready {
  readonly session: Session;
  /** After a reset: all of it again, what makes the guest keep it as well. */
  readonly reprogram: () => Promise<void>;
  /** What the registers hold that was not programmed. */
  readonly verify: () => Promise<readonly Mismatch[]>;
}

/**
 * Enumerates a machine that waits before its first instruction, solves, programs it, and checks the result against QEMU.
 * @throws Problem with exit code 1, 2 or 3; QEMU is gone then. `qemu-died` has a fact `programming`: whether it was being
 * programmed when it died
 */
export async function prepareMachine(session: Session, request: RunRequest, report: RunReport): Promise<Ready> {
  let programming = false;
  try {
    report.stage('looking at the machine');
    const { qmp, qtest, version } = session;
    const machine = await openMachine({ qmp, memory: qtest, version, request });
    for (const notice of machine.notices) report.notice(notice);

    report.stage('enumerating, solving and programming');
    programming = true;
    const pinned = await pin(machine.access, machine.hosts, async (topology) => {
      const found = toMachine(topology, machine.base, { name: await namer(session) });
      const file = request.machineFile;
      const wanted = applyPins(file ? applyMachineFile(found, file.machine, file.name) : found, request.pins);
      return machine.constrain?.(wanted, report.notice) ?? wanted;
    });
    const deliver = () => machine.deliver(pinned.plan);

    report.stage('checking against QEMU');
    const [, seen, mtree] = await Promise.all([
      deliver(),
      queryPci(qmp),
      qmp.monitor('info mtree'),
      machine.check?.(pinned.plan),
    ]);
    agree(crossCheck(pinned.plan, seen, mtree));
    await report.planned(pinned.plan, pinned.machine, pinned.topology);
    return {
      session,
      reprogram: async () => {
        await machine.reopen();
        await Promise.all([program(machine.access, pinned.programme), deliver()]);
      },
      verify: async () => {
        await machine.locate?.();
        return verifyProgramme(machine.access, pinned.programme);
      },
    };
  } catch (error) {
    const death = await deathOf(session.process, error, 'while pinbar prepared its machine');
    throw death instanceof Problem && death.code === 'qemu-died'
      ? new Problem(death.code, death.message, { exit: Exit.outside, facts: { ...death.facts, programming } })
      : death;
  }
}

/** Names functions as the QEMU command line does, the others by address. */
async function namer({
  qmp,
}: Session): Promise<
  (fn: {
    readonly at: { readonly bus: number; readonly device: number; readonly fn: number; readonly segment: number };
  }) => string
> {
  const names = new Map((await queryPci(qmp)).map((fn) => [`${fn.bus}:${(fn.device << 3) | fn.fn}`, fn.id]));
  return ({ at }) => names.get(`${at.bus}:${(at.device << 3) | at.fn}`) || formatBdf(at);
}

function agree(differences: readonly string[]): void {
  if (differences.length === 0) return;
  throw new Problem(
    'qemu-disagrees',
    `QEMU does not see the machine as it was programmed:\n  ${differences.slice(0, 20).join('\n  ')}`,
    {
      exit: Exit.outside,
      hint: 'please report this with the QEMU command line: pinbar and QEMU disagree',
      facts: { differences },
    },
  );
}
