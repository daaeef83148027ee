import { setTimeout as sleep } from 'node:timers/promises';
import { Exit, Problem } from '../problem/problem.js';
import { atLeast, Qmp, type QemuVersion } from './qmp.js';
import { Qtest } from './qtest.js';
import { QMP_FD, QTEST_FD, QemuProcess, type QemuEnd } from './process.js';
import { SUPERVISED } from './supervise.js';

/**
 * What pinbar adds to the user's arguments: a QMP monitor and a qtest server on inherited sockets, a machine that waits
 * before its first instruction, and resets that stop it. (`-qtest chardev:…` makes QEMU 7.2 abort, the object does not.)
 */
export const sessionArguments: readonly string[] = [
  ...['-chardev', `socket,id=pinbar-qmp,fd=${QMP_FD}`, '-mon', 'chardev=pinbar-qmp,mode=control'],
  ...['-chardev', `socket,id=pinbar-qtest,fd=${QTEST_FD}`],
  ...['-object', 'qtest,id=pinbar-qtest-server,chardev=pinbar-qtest,log=/dev/null'],
  ...['-S', '-action', SUPERVISED],
];

export interface SessionEvents {
  /** QEMU's standard error, as it comes. */
  readonly onStderr: (chunk: Buffer) => void;
  readonly onNotice: (text: string) => void;
}

/** A QEMU that pinbar started, paused before the guest's first instruction. */
export interface Session {
  readonly process: QemuProcess;
  readonly qmp: Qmp;
  readonly qtest: Qtest;
  readonly version: QemuVersion;
}

/**
 * Starts QEMU and waits until its machine is made.
 * @throws Problem `qemu-missing`, `qemu-died` (facts: `stderr`, `end`, `version`), `qemu-too-old`, exit 3; the process is gone then
 */
export async function startSession(
  argv: readonly string[],
  events: SessionEvents,
  started: (process: QemuProcess) => void,
): Promise<Session> {
  const process = new QemuProcess([...argv, ...sessionArguments], events);
  started(process);
  const qmp = new Qmp(process.qmp);
  const qtest = new Qtest(process.qtest);
  try {
    const version = await qmp.negotiate();
    if (!atLeast(version, 6, 2)) {
      throw new Problem('qemu-too-old', `this is QEMU ${version.text}; pinbar needs 6.2 or later`, {
        exit: Exit.outside,
        hint: 'older versions cannot say where the device tree lies (x-query-roms)',
      });
    }
    return { process, qmp, qtest, version };
  } catch (error) {
    throw await deathOf(process, error, 'at its start');
  }
}

/**
 * What a failed exchange with QEMU means: where QEMU has died, that is the problem, not the lost connection. QEMU is
 * ended in any case.
 */
export async function deathOf(process: QemuProcess, error: unknown, when: string): Promise<unknown> {
  const lost = error instanceof Problem && ['qmp-lost', 'qtest-lost'].includes(error.code);
  if (!lost) {
    await process.kill();
    return error;
  }
  // The connection ends a moment before the process does.
  const end = await endWithin(process, 1000);
  if (!end) {
    await process.kill();
    return error;
  }
  return new Problem('qemu-died', `QEMU ${sayEnd(end)} ${when}${lastWords(process.stderr)}`, {
    exit: Exit.outside,
    facts: { end, stderr: process.stderr },
    cause: error,
  });
}

/** How the process ended, or undefined where it still runs after that many milliseconds. */
export async function endWithin(process: QemuProcess, milliseconds: number): Promise<QemuEnd | undefined> {
  const timer = new AbortController();
  const late = sleep(milliseconds, undefined, { signal: timer.signal }).catch(() => undefined);
  const end = await Promise.race([process.ended, late]);
  timer.abort();
  return end;
}

const lastWords = (stderr: string): string => {
  const line = stderr.trimEnd().split('\n').at(-1)?.trim();
  return line ? `; it said: ${line.slice(0, 300)}` : ', without a word';
};

/** `ended with code 1`, `was killed by SIGKILL`. */
export const sayEnd = ({ code, signal }: QemuEnd): string =>
  signal ? `was killed by ${signal}` : `ended with code ${code ?? 'unknown'}`;

/** A crash, as against an end that QEMU chose. */
export const crashed = (end: QemuEnd | undefined): boolean =>
  end?.signal === 'SIGSEGV' || end?.signal === 'SIGABRT' || end?.signal === 'SIGBUS' || end?.signal === 'SIGILL';
