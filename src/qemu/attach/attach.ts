import { setTimeout as sleep } from 'node:timers/promises';
import { hex } from '../../address/format.js';
import type { Machine } from '../../machine/model.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Pin } from '../../pin/pins.js';
import type { ReserveRequest } from '../../pin/reserves.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { MachineType } from '../machines/machine-type.js';
import type { Transport } from '../physical-memory.js';
import { prepareMachine, type Phase, type PrepareReport, type Ready } from '../prepare.js';
import { Qmp } from '../qmp.js';
import type { Wanted } from '../request.js';
import { queryPci } from '../query-pci.js';
import { connect, requireVersion, type Connection, type TransportName } from '../session.js';
import { connectTo, isThere } from './connect.js';
import { Follower } from './follow.js';
import { LeaveSignals } from './leave-signals.js';
import { recognizeMachine } from './recognize.js';
import { requireSameMachine } from './same-machine.js';
import type { SocketAddress } from './socket-address.js';
import { UndoLog } from './undo.js';

/** How long QEMU may take for an answer. */
const PATIENCE_MS = 30_000;

/** The last stage: nothing is done until something happens. */
export const ATTACHED = 'attached';

export interface AttachRequest {
  readonly qmp: SocketAddress;
  readonly transport: { readonly name: TransportName; readonly address: SocketAddress };
  readonly pins: readonly Pin[];
  readonly reserves: readonly ReserveRequest[];
  readonly machineFile?: { readonly machine: Machine; readonly name: string };
  /** Let the machine run once it is programmed. */
  readonly resume: boolean;
  /** Leave then, and do not answer resets. */
  readonly once: boolean;
}

/**
 * Pins in a QEMU of somebody else's whose machine stands before its first instruction, and programs it again at every reset
 * until it ends or a signal comes. QEMU and its settings are left as they are.
 * @returns the exit code
 * @throws Problem with exit code 1, 2 or 3; the machine's registers are as they were, or the message says otherwise
 */
export async function attachQemu(request: AttachRequest, report: PrepareReport): Promise<number> {
  const open: { close(): void }[] = [];
  try {
    const { connection, machine } = await openConnection(request, report, (one) => open.push(one));
    return await attached(connection, { ...request, machine }, report);
  } finally {
    for (const one of open) one.close();
  }
}

/** Connects, and makes sure of who is there. Nothing of the machine is changed. */
async function openConnection(
  { qmp: address, transport }: AttachRequest,
  report: PrepareReport,
  opened: (one: { close(): void }) => void,
): Promise<{ readonly connection: Connection; readonly machine: MachineType }> {
  report.stage('connecting');
  const peer = await connectTo(address, 'QMP monitor');
  const qmp = new Qmp(peer.stream, PATIENCE_MS);
  opened(qmp);
  const version = requireVersion(await peer.expect(qmp.negotiate()));
  await requireUntouched(qmp);
  const { machine, notices } = await recognizeMachine(qmp);

  const other = await connectTo(transport.address, transport.name === 'gdb' ? 'gdbstub' : 'qtest server');
  const memory = connect(transport.name, other.stream, PATIENCE_MS);
  opened(memory);
  await other.expect(memory.negotiate());
  await requireSameMachine(qmp, memory);
  for (const notice of notices) report.notice(notice);
  return { connection: { qmp, memory, version }, machine };
}

async function attached(
  connection: Connection,
  request: AttachRequest & Wanted,
  report: PrepareReport,
): Promise<number> {
  const { qmp, memory } = connection;
  const signals = new LeaveSignals();
  try {
    const prepared: { ready?: Ready } = {};
    const follower = new Follower(qmp, {
      reprogram: async () => {
        report.stage('programming again after a reset');
        await prepared.ready?.reprogram(() => follower.disturbed);
        await memory.handOver();
      },
      answered: () => report.stage(ATTACHED),
    });
    // Since the first look somebody may have let it run.
    await requireUntouched(qmp);
    prepared.ready = await prepare(connection, request, report, signals);
    if (follower.disturbed) {
      report.notice(
        'somebody reset the machine or let it run while it was programmed: it is reset and programmed again',
      );
      await follower.again().catch((error: unknown) => {
        throw error instanceof Problem ? notAgain(error) : error;
      });
    }
    if (request.resume) await qmp.execute('cont');
    if (request.once) {
      report.notice('a reset of the machine undoes this: nobody programs it again (--once)');
      return Exit.done;
    }
    const state = request.resume
      ? 'it runs'
      : 'it stands before its first instruction until it is told to go on (cont)';
    report.notice(`the machine is programmed; ${state}. Every reset is programmed again until QEMU or pinbar ends`);
    report.stage(ATTACHED);
    return await stay(follower, memory, request, report, signals);
  } catch (error) {
    if (signals.interrupted !== error) throw error;
    report.notice(`${signals.last ?? 'a signal'} came before the machine was programmed: it is as it was`);
    return signals.exitCode;
  } finally {
    signals.end();
  }
}

async function stay(
  follower: Follower,
  memory: Transport,
  request: AttachRequest,
  report: PrepareReport,
  signals: LeaveSignals,
): Promise<number> {
  const staying = follower.stay(signals.asked).catch((error: unknown) => {
    throw error instanceof Problem ? notAgain(error) : error;
  });
  const lost = memory.closed.then(async () => {
    // Where QEMU ends, the monitor tells.
    await sleep(1000, undefined, { ref: false });
    throw new Problem(
      `${request.transport.name}-lost`,
      `the ${request.transport.name} connection to QEMU was lost: no reset can be programmed again; the guest goes on until then`,
      { exit: Exit.outside, hint: 'stop and reset the machine (stop, system_reset), then attach again' },
    );
  });
  // Whichever loses the race has nothing more to say.
  staying.catch(() => undefined);
  lost.catch(() => undefined);
  switch (await Promise.race([staying, lost])) {
    case 'ended':
      report.notice('QEMU has ended');
      return Exit.done;
    case 'detached':
      report.notice(
        `${signals.last ?? 'a signal'}: detached; the machine goes on, and a reset undoes what is programmed`,
      );
      return Exit.done;
    case 'lost':
      if (!(await stays(request.qmp))) {
        report.notice('QEMU has ended, without saying why');
        return Exit.done;
      }
      throw new Problem('qmp-lost', 'the QMP connection was lost, and QEMU is still there', {
        exit: Exit.outside,
        hint: 'its next reset undoes what is programmed: stop and reset the machine (stop, system_reset), then attach again',
      });
  }
}

/** How long a QEMU that has closed its monitor may take to end; until then it listens. */
const END_MS = 5000;

async function stays(qmp: SocketAddress): Promise<boolean> {
  const deadline = performance.now() + END_MS;
  while (performance.now() < deadline) {
    if (!(await isThere(qmp))) return false;
    await sleep(100);
  }
  return true;
}

/** Programs the machine, or leaves it as it was. */
async function prepare(
  connection: Connection,
  wanted: Wanted,
  report: PrepareReport,
  signals: LeaveSignals,
): Promise<Ready> {
  const log = new UndoLog();
  let reached = 'looking' as Phase;
  signals.onInterrupt((reason) => log.cancel(reason));
  try {
    const memory = log.memory(connection.memory);
    const ready = await prepareMachine(
      { ...connection, memory },
      wanted,
      report,
      (phase) => (reached = phase),
      (machine) => ({ ...machine, access: log.access(machine.access) }),
    );
    await connection.memory.handOver();
    log.keep();
    signals.onInterrupt(undefined);
    return ready;
  } catch (error) {
    signals.onInterrupt(undefined);
    try {
      await log.undo();
      await connection.memory.handOver();
    } catch {
      if (reached !== 'looking') throw halfDone(error);
    }
    throw error;
  }
}

/**
 * @throws Problem `machine-not-paused`, `machine-programmed`, exit 1, unless the machine stands before its first instruction
 * and its PCI registers are as a reset leaves them
 */
async function requireUntouched(qmp: Qmp): Promise<void> {
  const { status } = (await qmp.execute('query-status')) as { readonly status?: unknown };
  const state = String(status);
  if (state !== 'prelaunch') {
    throw new Problem('machine-not-paused', states[state] ?? `the machine's state is ${state}`, {
      hint:
        state === 'inmigrate'
          ? 'pin on the side that the machine comes from'
          : 'start QEMU with -S (virsh start --paused) and attach before it runs; or take this machine back to there: stop, then system_reset (virsh suspend, virsh reset)',
      facts: { status },
    });
  }
  for (const { id, bus, device, fn, bridge, regions } of await queryPci(qmp)) {
    const decoded = regions.find(({ address }) => address !== null);
    const what = bridge?.secondary
      ? `has bus ${bridge.secondary} behind it`
      : decoded?.address && `decodes BAR ${decoded.bar} at ${hex(decoded.address)}`;
    if (!what) continue;
    const name = formatBdf({ segment: 0, bus, device, fn });
    throw new Problem(
      'machine-programmed',
      `the machine's PCI functions are programmed already: ${id === '' ? name : `${id} (${name})`} ${what}`,
      {
        hint: 'reset the machine (system_reset, virsh reset): it stays paused. A snapshot that was loaded brings its PCI registers with it, and they cannot be pinned',
        facts: { id },
      },
    );
  }
}

/** By qapi/run-state.json. `prelaunch` is what a reset leaves while the machine is stopped, too. */
const states: Readonly<Record<string, string>> = {
  running: 'the machine runs already, and its guest has taken the addresses that it found',
  paused: 'the machine is paused, but it has run: its guest has taken the addresses that it found',
  shutdown: 'the guest has shut down',
  inmigrate: 'the machine waits for a migration, which brings the state of PCI devices with it',
  postmigrate: 'the machine has been migrated away',
  'guest-panicked': 'the guest has panicked',
};

const halfDone = (error: unknown): unknown =>
  error instanceof Problem
    ? new Problem(error.code, `${error.message}; its PCI registers are programmed in part, and could not be put back`, {
        exit: error.exit,
        hint: 'if QEMU still runs, reset the machine before it goes on: system_reset (virsh reset)',
        facts: error.facts,
        cause: error,
      })
    : error;

const notAgain = (error: Problem): Problem =>
  new Problem(error.code, `${error.message}; after its reset the machine stands stopped, and is not programmed`, {
    exit: Exit.outside,
    hint: 'attach again, or let it go on as it is after one more reset (system_reset, then cont)',
    facts: error.facts,
    cause: error,
  });
