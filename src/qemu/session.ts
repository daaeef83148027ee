import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exit, Problem } from '../problem/problem.js';
import { Gdbstub } from './gdbstub.js';
import type { Transport } from './physical-memory.js';
import { atLeast, Qmp, type QemuVersion } from './qmp.js';
import { Qtest } from './qtest.js';
import { QMP_FD, QemuProcess, TRANSPORT_FD, type QemuEnd } from './process.js';
import { SUPERVISED } from './supervise.js';

/** How pinbar reaches a machine's memory. */
export const transports = ['qtest', 'gdb'] as const;
export type TransportName = (typeof transports)[number];

/** `-qtest chardev:…` makes QEMU 7.2 abort, the object does not. */
const transportArguments: Readonly<Record<TransportName, readonly string[]>> = {
  qtest: ['-object', 'qtest,id=pinbar-qtest-server,chardev=pinbar-transport,log=/dev/null'],
  gdb: ['-gdb', 'chardev:pinbar-transport'],
};

/**
 * What pinbar adds to the user's arguments: a QMP monitor and a qtest server or gdbstub on inherited sockets, a machine
 * that waits before its first instruction, and resets that stop it.
 */
export const sessionArguments = (transport: TransportName): readonly string[] => [
  ...['-chardev', `socket,id=pinbar-qmp,fd=${QMP_FD}`, '-qmp', 'chardev:pinbar-qmp'],
  ...['-chardev', `socket,id=pinbar-transport,fd=${TRANSPORT_FD}`, ...transportArguments[transport]],
  ...['-S', '-action', SUPERVISED],
];

export interface SessionEvents {
  /** QEMU's standard error, as it comes. */
  readonly onStderr: (chunk: Buffer) => void;
  readonly onNotice: (text: string) => void;
}

/** A QEMU whose machine stands before the guest's first instruction, and the ways into it. */
export interface Connection {
  readonly qmp: Qmp;
  readonly memory: Transport;
  readonly version: QemuVersion;
}

/** A QEMU that pinbar started. */
export interface Session extends Connection {
  readonly process: QemuProcess;
}

/**
 * Starts QEMU and waits until its machine is made.
 * @param files that it inherits, see `inheritedFile`
 * @throws Problem `qemu-missing`, `qemu-died` (facts: `stderr`, `end`, `version`), `qemu-too-old`, exit 3; the process is gone then
 */
export async function startSession(
  argv: readonly string[],
  transport: TransportName,
  events: SessionEvents,
  started: (process: QemuProcess) => void,
  files: readonly Uint8Array[] = [],
): Promise<Session> {
  const process = new QemuProcess([...argv, ...sessionArguments(transport)], events, files);
  started(process);
  const qmp = new Qmp(process.qmp);
  const memory = connect(transport, process.transport);
  try {
    const version = requireVersion(await qmp.negotiate());
    await memory.negotiate();
    return { process, qmp, memory, version };
  } catch (error) {
    throw await deathOf(process, error, 'at its start');
  }
}

/** Speaks a transport's protocol over a stream. `patience` as the transports have it. */
export const connect = (transport: TransportName, stream: Duplex, patience?: number): Transport =>
  transport === 'gdb' ? new Gdbstub(stream, patience) : new Qtest(stream, patience);

/** @throws Problem `qemu-too-old`, exit 3 */
export function requireVersion(version: QemuVersion): QemuVersion {
  if (atLeast(version, 6, 2)) return version;
  throw new Problem('qemu-too-old', `this is QEMU ${version.text}; pinbar needs 6.2 or later`, {
    exit: Exit.outside,
    hint: 'older versions cannot say where the device tree lies (x-query-roms)',
  });
}

/** Problems that mean that QEMU may be gone. */
const connectionLost: ReadonlySet<string> = new Set(['qmp-lost', ...transports.map((name) => `${name}-lost`)]);

/**
 * What a failed exchange with QEMU means: where QEMU has died, that is the problem, not the lost connection. QEMU is
 * ended in any case.
 */
export async function deathOf(process: QemuProcess, error: unknown, when: string): Promise<unknown> {
  const lost = error instanceof Problem && connectionLost.has(error.code);
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
