import { constants } from 'node:os';
import { toMachine } from '../enumerate/to-machine.js';
import type { Topology } from '../enumerate/topology.js';
import { eachFunction, type Machine } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import { pin } from '../pin/pin.js';
import { applyMachineFile, applyPins, type Pin } from '../pin/pins.js';
import type { Plan } from '../place/plan.js';
import { Exit, Problem } from '../problem/problem.js';
import { program, verifyProgramme, type Mismatch } from '../program/program.js';
import type { Programme } from '../program/programme.js';
import { crossCheck } from './crosscheck.js';
import { findDeviceTree, readDeviceTree, replaceDeviceTree } from './device-tree-rom.js';
import { EcamAccess } from './ecam.js';
import { explainDeath } from './explain.js';
import type { QemuEnd, QemuProcess } from './process.js';
import { queryPci } from './query-pci.js';
import { crashed, deathOf, endWithin, sayEnd, startSession, type Session } from './session.js';
import { supervise, type Actions } from './supervise.js';
import { rememberTerminal } from './terminal.js';
import { virtMachine } from './virt-machine.js';

/** What to run, as the command line was understood. */
export interface RunRequest {
  /** QEMU's arguments, program first, with nothing in them that stock QEMU does not know. */
  readonly argv: readonly string[];
  readonly arch: Machine['arch'];
  readonly pins: readonly Pin[];
  readonly machineFile?: { readonly machine: Machine; readonly name: string };
  readonly mmioWindow?: { readonly base: bigint; readonly size: bigint };
  /** The user's own `-S`: QEMU stays paused after all is programmed. */
  readonly paused: boolean;
  readonly actions: Actions;
  /** Look at the registers whenever the guest stops. */
  readonly verify: boolean;
}

/** What is told while it runs. */
export interface RunReport {
  /** What is being done now, in a few words. */
  readonly stage: (text: string) => void;
  readonly notice: (text: string) => void;
  readonly stderr: (chunk: Buffer) => void;
  /** Programmed and checked; the guest has not run yet. */
  readonly planned: (plan: Plan, machine: Machine, topology: Topology) => Promise<void>;
}

/** QEMU 7.2 was seen to crash while bridge windows were programmed; a machine that has not run can be started again. */
const MAX_STARTS = 3;

/** A programmed machine, and what it takes to program it again. */
interface Ready {
  readonly session: Session;
  readonly access: EcamAccess;
  readonly programme: Programme;
  readonly reprogram: () => Promise<void>;
}

/**
 * Starts QEMU, pins, hands over, and keeps the machine programmed until QEMU ends.
 * @returns the exit code: QEMU's own (128 + n where signal n killed it), or 3 where `verify` found that the guest moved something
 * @throws Problem with exit code 1, 2 or 3; QEMU is gone then
 */
export async function runQemu(request: RunRequest, report: RunReport): Promise<number> {
  const signals = new SignalForwarding();
  const restoreTerminal = rememberTerminal();
  try {
    const ready = await start(request, report, signals);
    return await live(request, report, ready, signals);
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== 'qemu-died') throw error;
    // Ended because it was asked to: not a failure to explain.
    if (signals.last) {
      report.notice(`${signals.last} was passed on to QEMU, which ended before the guest ran`);
      return signals.exitCode;
    }
    throw await explainDeath(error, { program: request.argv[0] ?? '', mmioWindow: request.mmioWindow });
  } finally {
    signals.end();
    restoreTerminal();
  }
}

async function start(request: RunRequest, report: RunReport, signals: SignalForwarding): Promise<Ready> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await prepare(request, report, signals);
    } catch (error) {
      const end = error instanceof Problem ? (error.facts['end'] as QemuEnd | undefined) : undefined;
      const again =
        error instanceof Problem && error.code === 'qemu-died' && error.facts['programming'] === true && crashed(end);
      if (!again || !end) throw error;
      if (attempt === MAX_STARTS) {
        throw new Problem('qemu-died', `${error.message}, ${MAX_STARTS} times out of ${MAX_STARTS}`, {
          exit: Exit.outside,
          facts: error.facts,
        });
      }
      report.notice(
        `QEMU ${sayEnd(end)} while its PCI functions were programmed; starting it again (${attempt + 1} of ${MAX_STARTS})`,
      );
    }
  }
}

async function prepare(request: RunRequest, report: RunReport, signals: SignalForwarding): Promise<Ready> {
  report.stage('starting QEMU');
  const events = { onStderr: report.stderr, onNotice: report.notice };
  const session = await startSession(request.argv, events, (process) => signals.follow(process));
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
      access,
      programme: pinned.programme,
      reprogram: async () => {
        await Promise.all([program(access, pinned.programme), writeTree()]);
      },
    };
  } catch (error) {
    const death = await deathOf(session.process, error, 'while pinbar prepared its machine');
    throw death instanceof Problem && death.code === 'qemu-died'
      ? new Problem(death.code, death.message, { exit: Exit.outside, facts: { ...death.facts, programming } })
      : death;
  }
}

/** Hands over and stays until QEMU ends. */
async function live(request: RunRequest, report: RunReport, ready: Ready, signals: SignalForwarding): Promise<number> {
  const { session, access, programme, reprogram } = ready;
  const { process, qmp, qtest } = session;
  /** What each look at the registers found to be moved. */
  const looks: (readonly Mismatch[])[] = [];
  let ownExit: number | undefined;
  try {
    const supervised = supervise(qmp, request.actions, false, {
      reprogram: async () => {
        report.stage('programming again after a reset');
        await reprogram();
        report.stage('running');
      },
      onStop: async (reason) => {
        if (!request.verify) return;
        const now = await verifyProgramme(access, programme);
        // Drivers may switch decoding off as they go, and the guest may open a closed window for a device to come; where
        // a BAR lies is what was promised.
        const wrong = now.filter(({ register, closed }) => register !== COMMAND && !closed);
        if (wrong.length > 0)
          report.notice(`at ${reason} the guest had not kept the plan:\n${wrong.map(sayMismatch).join('\n')}`);
        looks.push(wrong);
      },
    });
    report.stage('handing over');
    if (!request.paused) await qmp.execute('cont');
    report.stage('running');
    const lostQtest = qtest.closed.then(async (): Promise<{ readonly exitCode?: number }> => {
      if (await endWithin(process, 1000)) return {};
      throw new Problem('qtest-lost', 'the qtest connection to QEMU was lost: a reset could not be programmed again', {
        exit: Exit.outside,
      });
    });
    // Whichever loses the race has nothing more to say.
    supervised.catch(() => undefined);
    lostQtest.catch(() => undefined);
    ownExit = (await Promise.race([supervised, lostQtest])).exitCode;
  } catch (error) {
    const death = await deathOf(process, error, 'while pinbar programmed it');
    if (death instanceof Problem && death.code === 'qemu-died' && process.end)
      return exitCodeOf(process.end, report, signals);
    throw death;
  }
  const end = await endWithin(process, 5000);
  if (!end) {
    await process.kill();
    throw new Problem(
      'qmp-lost',
      'the QMP connection to QEMU was lost while it ran: QEMU was ended, because no reset could be programmed again',
      {
        exit: Exit.outside,
      },
    );
  }
  if (request.verify && looks.length === 0)
    report.notice('QEMU ended before the guest stopped: what the guest did to the plan is not known');
  if (looks.some((moved) => moved.length > 0)) return Exit.outside;
  return ownExit ?? exitCodeOf(end, report, signals);
}

const COMMAND = 4;

const sayMismatch = ({ id, at, what, wrote, read }: Mismatch): string =>
  `  ${id} (${at}) ${what}: 0x${wrote.toString(16)} was programmed, 0x${read.toString(16)} is there now`;

function exitCodeOf(end: QemuEnd, report: RunReport, signals: SignalForwarding): number {
  if (signals.last) report.notice(`${signals.last} was passed on to QEMU, which ended`);
  if (end.signal === null) return end.code ?? Exit.outside;
  if (end.signal !== signals.last) report.notice(`QEMU ${sayEnd(end)}`);
  return 128 + constants.signals[end.signal];
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

/** Passes on to QEMU what pinbar is asked to end with. From a terminal QEMU gets it anyway; twice does no harm. */
class SignalForwarding {
  #process: QemuProcess | undefined;
  #last: NodeJS.Signals | undefined;
  readonly #handler = (signal: NodeJS.Signals) => {
    this.#last = signal;
    this.#process?.signal(signal);
  };
  static readonly signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

  constructor() {
    for (const signal of SignalForwarding.signals) process.on(signal, this.#handler);
  }

  follow(qemu: QemuProcess): void {
    this.#process = qemu;
    if (this.#last) qemu.signal(this.#last);
  }

  get last(): NodeJS.Signals | undefined {
    return this.#last;
  }

  get exitCode(): number {
    return this.#last ? 128 + constants.signals[this.#last] : Exit.outside;
  }

  end(): void {
    for (const signal of SignalForwarding.signals) process.off(signal, this.#handler);
  }
}
