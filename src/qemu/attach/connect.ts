import { stat } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Exit, Problem } from '../../problem/problem.js';
import { sayAddress, type SocketAddress } from './socket-address.js';

/** How long a socket may take to be connected, and who listens to say what it is. */
const PATIENCE_MS = 10_000;
/** What is kept of what came first, to tell by it who speaks. */
const FIRST_BYTES = 256;

/** What a socket is said to be. */
export type Role = 'QMP monitor' | 'qtest server' | 'gdbstub';

/** A connection to a socket that somebody else's QEMU listens at. */
export interface Peer {
  readonly stream: Socket;
  /**
   * Resolves as `negotiation` does.
   * @throws Problem `socket-wrong-kind`, `socket-silent`, exit 1, where it fails or takes too long: what was heard tells why
   */
  readonly expect: <Answer>(negotiation: Promise<Answer>) => Promise<Answer>;
}

/**
 * Connects to a socket.
 * @throws Problem `socket-…`, exit 1 or 3
 */
export async function connectTo(address: SocketAddress, role: Role): Promise<Peer> {
  const stream = createConnection(address);
  const timer = setTimeout(() => stream.destroy(timedOut()), PATIENCE_MS);
  try {
    await new Promise<void>((resolve, reject) => stream.once('connect', resolve).once('error', reject));
  } catch (error) {
    throw await notConnected(address, error as NodeJS.ErrnoException);
  } finally {
    clearTimeout(timer);
  }
  // Whoever uses the stream hears of its errors; here they must not end the process.
  stream.on('error', () => undefined);
  let first = Buffer.alloc(0);
  const listen = (chunk: Buffer) => {
    first = Buffer.concat([first, chunk.subarray(0, FIRST_BYTES - first.length)]);
    if (first.length >= FIRST_BYTES) stream.off('data', listen);
  };
  stream.on('data', listen);
  return {
    stream,
    expect: async (negotiation) => {
      negotiation.catch(() => undefined);
      const late = new AbortController();
      try {
        const answer = await Promise.race([
          negotiation.then((value) => ({ value })),
          sleep(PATIENCE_MS, undefined, { signal: late.signal }),
        ]);
        if (answer) return answer.value;
      } catch (error) {
        const kind = kindOf(first.toString('latin1'));
        if (kind !== undefined && kind !== role) throw wrongKind(address, role, kind, error);
        throw error;
      } finally {
        late.abort();
        stream.off('data', listen);
      }
      const heard = first.toString('latin1');
      const kind = kindOf(heard);
      throw kind === undefined || kind === role ? silent(address, role, heard) : wrongKind(address, role, kind);
    },
  };
}

/** Whether anybody listens. */
export async function isThere(address: SocketAddress): Promise<boolean> {
  const stream = createConnection(address);
  stream.setTimeout(PATIENCE_MS, () => stream.destroy());
  try {
    return await new Promise<boolean>((resolve) => {
      stream.once('connect', () => resolve(true));
      stream.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EAGAIN'));
      stream.once('close', () => resolve(false));
    });
  } finally {
    stream.destroy();
  }
}

/** Who says such a thing first. */
export function kindOf(heard: string): Role | 'human monitor' | 'VNC server' | undefined {
  if (/^\s*\{\s*"(?:QMP|error|return|event|timestamp)"/.test(heard)) return 'QMP monitor';
  if (/^(?:\xff[^]{2})*\s*QEMU [\d.]+ monitor/.test(heard) || /^\(qemu\) /.test(heard)) return 'human monitor';
  if (/^\+*\$[^#]*#[0-9a-f]{2}/i.test(heard)) return 'gdbstub';
  if (/^(?:OK|FAIL)\b/.test(heard)) return 'qtest server';
  if (/^RFB \d{3}\.\d{3}\n/.test(heard)) return 'VNC server';
  return undefined;
}

const options: Readonly<Record<Role, string>> = {
  'QMP monitor': '--qmp',
  'qtest server': '--qtest',
  gdbstub: '--gdb',
};

/** What QEMU is to be started with, for such a socket. */
const starting: Readonly<Record<Role, string>> = {
  'QMP monitor': '-qmp unix:PATH,server=on,wait=off',
  'qtest server':
    '-chardev socket,id=qtest0,path=PATH,server=on,wait=off -object qtest,id=qtest1,chardev=qtest0,log=/dev/null',
  gdbstub: '-gdb unix:PATH,server=on,wait=off',
};

function wrongKind(address: SocketAddress, role: Role, kind: string, cause?: unknown): Problem {
  const belongs = Object.entries(options).find(([name]) => name === kind)?.[1];
  return new Problem(
    'socket-wrong-kind',
    `${options[role]} ${sayAddress(address)}: this is QEMU's ${kind}, and a ${role} is needed`,
    {
      hint: [
        ...(belongs === undefined ? [] : [`it belongs to ${belongs};`]),
        `QEMU has a ${role} with ${starting[role]}`,
      ].join(' '),
      facts: { role, kind },
      cause,
    },
  );
}

function silent(address: SocketAddress, role: Role, heard: string): Problem {
  const what =
    heard === ''
      ? `nobody has answered for ${PATIENCE_MS / 1000} seconds`
      : `what answers there is no ${role}; it began with ${JSON.stringify(heard.slice(0, 40))}`;
  return new Problem('socket-silent', `${options[role]} ${sayAddress(address)}: ${what}`, {
    hint: `either somebody else is connected (each socket of QEMU's serves one at a time), or QEMU is stopped, or it is no ${role}: QEMU has one with ${starting[role]}`,
    facts: { role, heard: heard.slice(0, 80) },
  });
}

const timedOut = () => Object.assign(new Error('it took too long'), { code: 'ETIMEDOUT' });

/** Why a connection cannot be made, and what to do. */
const reasons: Readonly<Record<string, readonly [why: string, hint: string]>> = {
  ENOENT: ['there is no such socket', 'QEMU makes it when it starts, and removes it when it ends: is the path right?'],
  EACCES: [
    'permission denied',
    'connecting takes permission to write to the socket: run pinbar as the user that QEMU runs as, or as root',
  ],
  EPERM: ['permission denied', 'a security module (SELinux, AppArmor) or a sandbox may forbid it'],
  ECONNREFUSED: [
    'nobody listens there',
    'QEMU has ended, or it connects to a socket of somebody else’s: server=on is missing',
  ],
  EAGAIN: [
    'too many are waiting to be served',
    'end what is connected to it: each socket of QEMU’s serves one at a time',
  ],
  ENOTDIR: ['a part of its path is no folder', 'is the path right?'],
  EPROTOTYPE: ['it is a datagram socket', 'QEMU’s are stream sockets'],
  ETIMEDOUT: [`no connection came about in ${PATIENCE_MS / 1000} seconds`, 'does it listen on that host and port?'],
  ENOTFOUND: ['there is no such host', 'for a UNIX socket give its path'],
  EAI_AGAIN: ['the host’s name cannot be resolved', 'for a UNIX socket give its path'],
};

async function notConnected(address: SocketAddress, error: NodeJS.ErrnoException): Promise<Problem> {
  const code = error.code ?? '';
  const found = 'path' in address ? await stat(address.path).catch(() => undefined) : undefined;
  const [why, hint] =
    found && !found.isSocket()
      ? ['it is no socket', 'name the socket that QEMU listens at']
      : (reasons[code] ?? [error.message, undefined]);
  const kind = code === 'ENOENT' || (found && !found.isSocket()) || code === 'ENOTFOUND' ? Exit.badInput : Exit.outside;
  return new Problem('socket-not-connected', `cannot connect to ${sayAddress(address)}: ${why}`, {
    exit: kind,
    ...(hint === undefined ? {} : { hint }),
    facts: { code },
    cause: error,
  });
}
