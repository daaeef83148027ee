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
import type { Qmp } from './qmp.js';
import { queryPci } from './query-pci.js';
import type { Wanted } from './request.js';
import type { Connection } from './session.js';

/** What is told meanwhile. */
export interface PrepareReport {
  /** What is being done now, in a few words. */
  readonly stage: (text: string) => void;
  readonly notice: (text: string) => void;
  /** Programmed and checked; the guest has not run yet. */
  readonly planned: (plan: Plan, machine: Machine, topology: Topology) => Promise<void>;
}

export interface RunReport extends PrepareReport {
  readonly stderr: (chunk: Buffer) => void;
}

/** A programmed machine, and what it takes to program it again. */
export interface Ready {
  /** After a reset: all of it again, what makes the guest keep it as well. */
  readonly reprogram: () => Promise<void>;
  /** What the registers hold that was not programmed. */
  readonly verify: () => Promise<readonly Mismatch[]>;
}

/** How far the preparation of a machine has come: nothing is written yet, registers are being written, all of them are. */
export type Phase = 'looking' | 'programming' | 'programmed';

/**
 * Enumerates a machine that waits before its first instruction, solves, programs it, and checks the result against QEMU.
 * @param reached is called with each phase as it begins
 * @throws Problem with exit code 1, 2 or 3
 */
export async function prepareMachine(
  connection: Connection,
  wanted: Wanted,
  report: PrepareReport,
  reached: (phase: Phase) => void,
): Promise<Ready> {
  const { qmp } = connection;
  reached('looking');
  report.stage('looking at the machine');
  const machine = await openMachine({ ...connection, request: wanted });
  for (const notice of machine.notices) report.notice(notice);

  report.stage('enumerating, solving and programming');
  reached('programming');
  const pinned = await pin(machine.access, machine.hosts, async (topology) => {
    const found = toMachine(topology, machine.base, { name: await namer(qmp) });
    const file = wanted.machineFile;
    const asked = applyPins(file ? applyMachineFile(found, file.machine, file.name) : found, wanted.pins);
    return machine.constrain?.(asked, report.notice) ?? asked;
  });
  const deliver = () => machine.deliver(pinned.plan);

  report.stage('checking against QEMU');
  reached('programmed');
  const [, seen, mtree] = await Promise.all([
    deliver(),
    queryPci(qmp),
    qmp.monitor('info mtree'),
    machine.check?.(pinned.plan),
  ]);
  agree(crossCheck(pinned.plan, seen, mtree));
  await report.planned(pinned.plan, pinned.machine, pinned.topology);
  return {
    reprogram: async () => {
      await machine.reopen();
      await Promise.all([program(machine.access, pinned.programme), deliver()]);
    },
    verify: async () => {
      await machine.locate?.();
      return verifyProgramme(machine.access, pinned.programme);
    },
  };
}

/** Names functions as the QEMU command line does, the others by address. */
async function namer(
  qmp: Qmp,
): Promise<
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
