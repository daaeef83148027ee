import { constants } from 'node:os';
import { Exit, Problem } from '../problem/problem.js';
import type { Mismatch } from '../program/program.js';
import type { AwaitedFunctions } from './awaited.js';
import { explainDeath } from './explain.js';
import { stopped } from './firmware/side.js';
import { FirmwareWatch } from './firmware/watch.js';
import type { Phase, Ready, RunReport } from './prepare.js';
import type { QemuEnd, QemuProcess } from './process.js';
import type { RunRequest } from './request.js';
import { crashed, deathOf, endWithin, sayEnd, startSession, type Session } from './session.js';
import { isReset, supervise } from './supervise.js';
import { rememberTerminal } from './terminal.js';

/** QEMU 7.2 was seen to crash while bridge windows were programmed; a machine that has not run can be started again. */
const MAX_STARTS = 3;

/**
 * Starts QEMU, pins, hands over, and keeps the machine programmed until QEMU ends.
 * @param awaited what is plugged in while the guest runs
 * @returns the exit code: QEMU's own (128 + n where signal n killed it), or 3 where `verify` found that the guest moved something
 * @throws Problem with exit code 1, 2 or 3; QEMU is gone then
 */
export async function runQemu(request: RunRequest, report: RunReport, awaited?: AwaitedFunctions): Promise<number> {
  const signals = new SignalForwarding();
  const restoreTerminal = rememberTerminal();
  try {
    return await live(request, report, await start(request, report, signals, awaited), signals, awaited);
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

/** A QEMU that pinbar started, programmed. */
interface Started {
  readonly session: Session;
  readonly ready: Ready;
}

async function start(
  request: RunRequest,
  report: RunReport,
  signals: SignalForwarding,
  awaited?: AwaitedFunctions,
): Promise<Started> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await prepare(request, report, signals, awaited);
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

/** A machine that QEMU has made, programmed. The code for that is loaded while QEMU makes it. */
async function prepare(
  request: RunRequest,
  report: RunReport,
  signals: SignalForwarding,
  awaited?: AwaitedFunctions,
): Promise<Started> {
  report.stage('starting QEMU');
  const events = { onStderr: report.stderr, onNotice: report.notice };
  const [session, { prepareMachine }] = await Promise.all([
    startSession(request.argv, request.transport, events, (process) => signals.follow(process), request.files),
    import('./prepare.js'),
  ]);
  let reached: Phase | undefined;
  try {
    await awaited?.use(session);
    const ready = await prepareMachine(
      session,
      request,
      report,
      (phase) => (reached = phase),
      awaited && ((machine) => awaited.beside(machine)),
    );
    return { session, ready };
  } catch (error) {
    const death = await deathOf(session.process, error, 'while pinbar prepared its machine');
    throw death instanceof Problem && death.code === 'qemu-died'
      ? new Problem(death.code, death.message, {
          exit: Exit.outside,
          facts: { ...death.facts, programming: reached !== 'looking' },
        })
      : death;
  }
}

/** Hands over and stays until QEMU ends. */
async function live(
  request: RunRequest,
  report: RunReport,
  { session, ready }: Started,
  signals: SignalForwarding,
  awaited?: AwaitedFunctions,
): Promise<number> {
  const { process, qmp, memory } = session;
  /** What each look at the registers found to be moved. */
  const looks: (readonly Mismatch[])[] = [];
  const exitCode = (end: QemuEnd, own?: number): number =>
    looks.some((moved) => moved.length > 0) ? Exit.outside : (own ?? exitCodeOf(end, report, signals));
  const watch =
    ready.firmware &&
    new FirmwareWatch(ready.firmware, {
      notice: report.notice,
      strict: request.strict,
      stopped: (work) => stopped(session, work),
      verify: ready.verify,
    });
  // The guest is to find the addresses that were kept: it is told of a function when that is plugged in.
  awaited?.programBy((plugIn) => stopped(session, async () => ready.programOnly(await plugIn())));
  /** Compares the registers of a guest that has stopped with what was programmed. */
  const look = async (reason: string) => {
    const now = await ready.verify();
    // Drivers may switch decoding off as they go, and the guest may open a closed window for a device to come; where
    // a BAR lies is what was promised.
    const wrong = now.filter(({ register, closed }) => register !== COMMAND && !closed);
    if (wrong.length > 0)
      report.notice(`at ${reason} the guest had not kept the plan:\n${wrong.map(sayMismatch).join('\n')}`);
    looks.push(wrong);
  };
  let ownExit: number | undefined;
  try {
    const supervised = supervise(qmp, request.actions, false, {
      reprogram: async () => {
        report.stage('programming again after a reset');
        await ready.reprogram();
        await memory.handOver();
        watch?.begin();
        report.programming?.('done');
        report.stage('running');
      },
      onStop: async (reason) => {
        await watch?.end();
        await awaited?.settled();
        if (request.verify) await look(reason);
        // QEMU, too, looks at its devices when it resets them.
        if (isReset(reason)) report.programming?.('begins');
      },
    });
    report.stage('handing over');
    await memory.handOver();
    watch?.begin();
    report.programming?.('done');
    if (!request.paused) await qmp.execute('cont');
    report.stage('running');
    const lost = memory.closed.then(async (): Promise<{ readonly exitCode?: number }> => {
      if (await endWithin(process, 1000)) return {};
      const { transport } = request;
      throw new Problem(
        `${transport}-lost`,
        `the ${transport} connection to QEMU was lost: a reset could not be programmed again`,
        { exit: Exit.outside },
      );
    });
    // Whichever loses the race has nothing more to say.
    supervised.catch(() => undefined);
    lost.catch(() => undefined);
    ownExit = (await Promise.race([supervised, lost, ...(watch ? [watch.failed] : [])])).exitCode;
  } catch (error) {
    const death = await deathOf(process, error, 'while pinbar programmed it');
    if (death instanceof Problem && death.code === 'qemu-died' && process.end) return exitCode(process.end);
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
  return exitCode(end, ownExit);
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
