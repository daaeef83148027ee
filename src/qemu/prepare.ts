import { toMachine } from '../enumerate/to-machine.js';
import type { Topology } from '../enumerate/topology.js';
import { eachFunction, type Machine } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import { pin } from '../pin/pin.js';
import { applyMachineFile, applyPins } from '../pin/pins.js';
import type { Plan } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';
import { program, verifyProgramme, type Mismatch } from '../program/program.js';
import { crossCheck } from './crosscheck.js';
import { findDeviceTree, readDeviceTree, replaceDeviceTree } from './device-tree-rom.js';
import { EcamAccess } from './ecam.js';
import { queryPci } from './query-pci.js';
import type { RunRequest } from './request.js';
import { deathOf, type Session } from './session.js';
import { virtMachine } from './virt-machine.js';

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
  /** After a reset: all of it again, the device tree as well. */
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
    report.stage('reading the device tree');
    const { qmp, qtest, version } = session;
    const [rom, roots] = await Promise.all([findDeviceTree(qmp), queryPci(qmp)]);
    const machine = virtMachine(await readDeviceTree(qtest, rom), {
      arch: request.arch,
      mmioWindow: request.mmioWindow,
      lowPorts: pinsLowPorts(request),
      otherRootBuses: [...new Set(roots.map(({ bus }) => bus))].filter((bus) => bus > 0),
      qemu: version.text,
    });
    if (machine.hosts.some(({ buses }, i) => buses[1] < (machine.ecam[i]?.lastBus ?? 0))) {
      report.notice(
        'a guest that boots with a device tree does not see the root buses of pxb-pcie; what lies behind them is not placed',
      );
    }

    report.stage('enumerating, solving and programming');
    programming = true;
    const access = new EcamAccess(qtest, machine.ecam);
    const pinned = await pin(access, machine.hosts, async (topology) => {
      const found = toMachine(topology, machine.base, { name: await namer(session) });
      const file = request.machineFile;
      return applyPins(file ? applyMachineFile(found, file.machine, file.name) : found, request.pins);
    });
    const writeTree = async () => replaceDeviceTree(qtest, rom, machine.keep(await readDeviceTree(qtest, rom)));

    report.stage('checking against QEMU');
    const [, seen, mtree] = await Promise.all([writeTree(), queryPci(qmp), qmp.monitor('info mtree')]);
    agree(crossCheck(pinned.plan, seen, mtree));
    await report.planned(pinned.plan, pinned.machine, pinned.topology);
    return {
      session,
      reprogram: async () => {
        await Promise.all([program(access, pinned.programme), writeTree()]);
      },
      verify: () => verifyProgramme(access, pinned.programme),
    };
  } catch (error) {
    const death = await deathOf(session.process, error, 'while pinbar prepared its machine');
    throw death instanceof Problem && death.code === 'qemu-died'
      ? new Problem(death.code, death.message, { exit: Exit.outside, facts: { ...death.facts, programming } })
      : death;
  }
}

/** No memory window of the board begins this low: an address below 0x1000 is a port. */
const pinsLowPorts = ({ pins, machineFile }: RunRequest): boolean =>
  pins.some(({ address }) => address < 0x1000n) ||
  (machineFile?.machine.hostBridges ?? [])
    .flatMap(({ functions }) => [...eachFunction(functions)])
    .some(
      ({ fn }) =>
        fn.bars.some(({ pin }) => pin !== undefined && pin < 0x1000n) || (fn.bridge?.pin.io?.base ?? 0x1000n) < 0x1000n,
    );

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
