import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { MessageChannel, Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundleServer } from '../../test/support/ioreq-bundle.js';
import { ecam, guest, seen, topologies, walk, type Guest } from '../../test/support/race.js';
import { expectNoneTorn, whole } from '../../test/support/race-expect.js';
import { portChannel, streamChannel } from './channel.js';
import { attachServer, type RemoteServer } from './remote.js';

let server: Awaited<ReturnType<typeof bundleServer>>;
beforeAll(async () => {
  server = await bundleServer();
});
afterAll(() => server.remove());

const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A guest that lets the world go on between its accesses, so that messages arrive in the midst of its walk. */
function breathing(): Guest {
  const one = guest({ background: true });
  one.before = breathe;
  return one;
}

const firstDword = (one: Guest) => one.space.access({ kind: 'read', address: ecam.base + (3n << 15n), width: 4 });

describe('an IOREQ server in another thread', () => {
  let worker: Worker;
  beforeAll(() => {
    worker = new Worker(server.file);
  });
  afterAll(() => worker.terminate());

  const order = (one: Guest, topology: string) => {
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ port: port2, topology }, [port2]);
    return attachServer(one.servers, portChannel(port1), { name: 'thread' });
  };

  it.each(Object.entries(topologies))('attaches at whatever moment of a walk it does: %s', async (name, machine) => {
    const { topology: all } = await whole(machine);
    const found = new Set<number>();
    for (let i = 0; i < 10; i++) {
      const one = breathing();
      let remote: RemoteServer | undefined;
      one.before = (n) => {
        if (n === 1 + 3 * i) remote = order(one, name);
        return breathe();
      };
      const early = await walk(one);
      expectNoneTorn(early, all);
      found.add(seen(early).size);
      await remote!.enabled;
      expect(seen(await walk(one))).toEqual(seen(all));
      remote!.detach();
    }
    expect(found).toContain(0);
  });

  it('that is terminated is detached, and what waits goes to the background', async () => {
    const own = new Worker(server.file);
    const one = breathing();
    const { port1, port2 } = new MessageChannel();
    own.postMessage({ port: port2, topology: 'one function' }, [port2]);
    const remote = attachServer(one.servers, portChannel(port1), { name: 'thread' });
    await remote.enabled;
    expect(await firstDword(one)).toMatchObject({ value: 0x0005_1b36n, by: 'thread' });
    const waiting = firstDword(one);
    await own.terminate();
    expect(await waiting).toMatchObject({ status: 'done' });
    expect(await remote.detached).toBe('it has ended');
    expect(await firstDword(one)).toMatchObject({ value: 0xffff_ffffn, by: 'background 0x4010000000-0x401fffffff' });
  });
});

describe('an IOREQ server in another process', () => {
  function start(one: Guest, topology: string, delay: number, patience?: number) {
    const child = spawn(process.execPath, [server.file, topology, String(delay)], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    });
    const remote = attachServer(one.servers, streamChannel(child.stdio[3] as Duplex), {
      name: 'process',
      ...(patience === undefined ? {} : { patience }),
    });
    return { child, remote };
  }
  const ended = (child: ChildProcess) => new Promise((resolve) => child.once('exit', resolve));

  it('attaches while guests walk, over and over', async () => {
    const { topology: all } = await whole(topologies['a switch']!);
    const one = breathing();
    const { child, remote } = start(one, 'a switch', 20);
    const walks: number[] = [];
    while (walks.at(-1) !== seen(all).size) {
      const found = await walk(one);
      expectNoneTorn(found, all);
      walks.push(seen(found).size);
    }
    expect(walks[0]).toBe(0);
    remote.detach();
    await ended(child);
    expect(seen(await walk(one)).size).toBe(0);
  });

  it('that is killed is detached; one that is stopped is given up after the time that it has', async () => {
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      const one = breathing();
      const { child, remote } = start(one, 'one function', 0, signal === 'SIGSTOP' ? 300 : undefined);
      await remote.enabled;
      child.kill(signal);
      expect(await firstDword(one)).toMatchObject({ status: 'done', value: 0xffff_ffffn });
      expect(await remote.detached).toMatch(
        signal === 'SIGKILL' ? /ended|EPIPE|ECONNRESET/ : 'it has not answered the read at 0x4010018000 within 0.3 s',
      );
      child.kill('SIGKILL');
      await ended(child);
    }
  });
});
