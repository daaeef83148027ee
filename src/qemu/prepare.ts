import type { Topology } from '../enumerate/topology.js';
import type { Machine } from '../machine/model.js';
import { readOp, writeOp, type ConfigAccess } from '../pci/config-access.js';
import type { Plan } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';
import { program, verifyProgramme, type Mismatch } from '../program/program.js';
import type { Programme } from '../program/programme.js';
import { crossCheck } from './crosscheck.js';
import { firmwareSide, type FirmwareSide } from './firmware/side.js';
import type { PinnableMachine } from './machines/machine.js';
import { openMachine } from './machines/open.js';
import { placeAfterFirmware, placeAgain, placeMachine } from './placement.js';
import { outside, queryPci, type QemuFunction } from './query-pci.js';
import type { Wanted } from './request.js';
import type { Connection } from './session.js';

/** What is told meanwhile. */
export interface PrepareReport {
  /** What is being done now, in a few words. */
  readonly stage: (text: string) => void;
  readonly notice: (text: string) => void;
  /** Programmed and checked; the guest has not run yet. */
  readonly planned: (plan: Plan, machine: Machine, topology: Topology) => Promise<void>;
  /** The same after a reset, where other devices were there. */
  readonly replanned: (plan: Plan) => Promise<void>;
}

export interface RunReport extends PrepareReport {
  /** The machine is about to be reset and programmed again; all is done, and the guest runs next. */
  readonly programming?: (state: 'begins' | 'done') => void;
  readonly stderr: (chunk: Buffer) => void;
}

/** A programmed machine, and what it takes to program it again. */
export interface Ready {
  /**
   * After a reset: all of it again, what makes the guest keep it as well. Where somebody has disturbed the machine
   * meanwhile, nothing is learnt of what is plugged in: all is to be done again.
   */
  readonly reprogram: (disturbed?: () => boolean) => Promise<void>;
  /** The addresses of these functions alone: they have come while the guest ran. It must be stopped. */
  readonly programOnly: (ids: readonly string[]) => Promise<void>;
  /** What the registers hold that was not programmed. The guest must be stopped. */
  readonly verify: () => Promise<readonly Mismatch[]>;
  /** Where firmware that enumerates comes before the guest. */
  readonly firmware?: FirmwareSide;
}

/** How far the preparation of a machine has come: nothing is written yet, registers are being written, all of them are. */
export type Phase = 'looking' | 'programming' | 'programmed';

/**
 * Enumerates a machine that waits before its first instruction, solves, programs it, and checks the result against QEMU.
 * @param reached is called with each phase as it begins
 * @param watched the machine as it is to be used from then on
 * @throws Problem with exit code 1, 2 or 3
 */
export async function prepareMachine(
  connection: Connection,
  wanted: Wanted,
  report: PrepareReport,
  reached: (phase: Phase) => void,
  watched: (machine: PinnableMachine) => PinnableMachine = (machine) => machine,
): Promise<Ready> {
  const { qmp } = connection;
  reached('looking');
  report.stage('looking at the machine');
  const machine = watched(await openMachine({ ...connection, request: wanted }));
  for (const notice of machine.notices) report.notice(notice);

  report.stage('enumerating, solving and programming');
  reached('programming');
  let pinned = await placeMachine(machine, qmp, wanted, report.notice);

  /** Without what QEMU cannot know yet. */
  const inQemu = (plan: Plan): Plan => {
    const awaited = new Set(machine.awaited?.().values());
    return { ...plan, functions: plan.functions.filter(({ id }) => !awaited.has(id)) };
  };
  /** Once all is programmed: whether QEMU agrees. */
  const checked = async () => {
    const [seen, mtree] = await Promise.all([queryPci(qmp), qmp.monitor('info mtree')]);
    agree(crossCheck(inQemu(pinned.plan), seen, mtree));
    return inhabitants(seen);
  };
  /** The same with what makes the guest keep it. Firmware makes the tables of a guest that it is called for. */
  const finish = async () => {
    const [now] = await Promise.all([
      checked(),
      machine.deliver(pinned.plan),
      ...(wanted.firmware?.driver ? [] : [machine.check?.(pinned.plan)]),
    ]);
    return now;
  };
  /**
   * EDK2 looks for the root buses of pxb-pcie by asking who answers on each bus: where there are such, it is to find bridges
   * as after a reset. Elsewhere the plan stands, for firmware that leaves PCI alone.
   */
  const unnumber = async () => {
    const others = wanted.firmware?.driver ? outside(await queryPci(qmp), machine.hosts) : [];
    if (others.length === 0) return;
    const deepestFirst = pinned.plan.bridges.toReversed();
    await machine.access.batch(deepestFirst.map(({ address }) => writeOp(address, BUS_NUMBERS, 4, 0)));
  };
  report.stage('checking against QEMU');
  reached('programmed');
  let present = await finish();
  await unnumber();
  // What firmware does comes first; until then there are pins that can be kept, and no more.
  let settled = !wanted.firmware?.driver;
  if (settled) await report.planned(pinned.plan, pinned.machine, pinned.topology);

  const firmware =
    wanted.firmware &&
    firmwareSide(connection, machine, wanted.firmware, {
      plan: () => pinned.plan,
      settle: async () => {
        if (settled) return program(machine.access, pinned.programme);
        pinned = await placeAfterFirmware(machine, qmp, wanted, report.notice);
        settled = true;
        present = await checked();
        await report.planned(pinned.plan, pinned.machine, pinned.topology);
      },
      notice: report.notice,
    });

  return {
    reprogram: async (disturbed = () => false) => {
      await machine.reopen();
      if ((await programmed(machine.access, pinned.programme)) && inhabitants(await queryPci(qmp)) === present) {
        await machine.deliver(pinned.plan);
        await unnumber();
        return;
      }
      // Devices were plugged in or taken out while the guest ran.
      const before = { pinned, present };
      const changes: string[] = [];
      try {
        pinned = await placeAgain(machine, qmp, pinned, (text) => changes.push(text));
        present = await finish();
        // An answer comes after the events before it.
        await qmp.execute('query-status');
      } catch (error) {
        ({ pinned, present } = before);
        throw error;
      }
      // What was seen while somebody reset the machine says nothing about it.
      if (disturbed()) {
        ({ pinned, present } = before);
        return;
      }
      for (const text of changes) report.notice(text);
      await unnumber();
      await report.replanned(pinned.plan);
    },
    programOnly: async (ids) => {
      await machine.locate?.();
      await program(machine.access, addressesOf(pinned.programme, ids));
    },
    verify: async () => {
      await machine.locate?.();
      return keptBy(machine.access, await verifyProgramme(machine.access, pinned.programme), pinned.plan);
    },
    ...(firmware ? { firmware } : {}),
  };
}

/** What of a programme gives these functions their addresses. */
function addressesOf({ addresses, commands }: Programme, ids: readonly string[]): Programme {
  const theirs = ({ id }: { readonly id: string }) => ids.includes(id);
  return { ...noSteps, addresses: addresses.filter(theirs), commands: commands.filter(theirs) };
}

const noSteps = { buses: [], forwarding: [], windows: [] };

/** Carries a programme out. False where something does not keep what was written: it may be another device by now. */
async function programmed(access: ConfigAccess, programme: Programme): Promise<boolean> {
  try {
    await program(access, programme);
    return true;
  } catch (error) {
    if (error instanceof Problem && error.code === 'register-not-kept') return false;
    throw error;
  }
}

/** What is where, whatever its addresses. */
const inhabitants = (seen: readonly QemuFunction[]): string =>
  JSON.stringify(
    seen.map(({ bus, device, fn, id, regions }) => [
      ...[bus, device, fn, id],
      regions.map(({ bar, type, size }) => `${bar} ${type} ${size}`),
    ]),
  );

/** Without what a function that was taken out does not keep, if the bridges still have the buses that they were given. */
async function keptBy(access: ConfigAccess, mismatches: readonly Mismatch[], plan: Plan): Promise<readonly Mismatch[]> {
  if (
    mismatches.some(({ register, id }) => register === BUS_NUMBERS && plan.bridges.some((bridge) => bridge.id === id))
  )
    return mismatches;
  const suspects = plan.functions.filter(({ id }) => mismatches.some((mismatch) => mismatch.id === id));
  const vendors = await access.batch(suspects.map(({ address }) => readOp(address, 0, 2)));
  const gone = new Set(suspects.filter((_, i) => vendors[i] === 0xffff).map(({ id }) => id));
  return mismatches.filter(({ id }) => !gone.has(id));
}

const BUS_NUMBERS = 0x18;

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
