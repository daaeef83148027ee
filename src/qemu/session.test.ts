import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Exit, Problem } from '../problem/problem.js';
import { findProgram, QemuProcess } from './process.js';
import { crashed, deathOf, endWithin, requireVersion, sayEnd, sessionArguments } from './session.js';

/** A shell script in the place of QEMU: how processes start and end is what these tests are about. */
function script(body: string, name = 'qemu-system-aarch64'): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return path;
}

function start(body: string, words: readonly string[] = []) {
  const said: string[] = [];
  const process = new QemuProcess([script(body), ...words], {
    onStderr: (chunk) => said.push(chunk.toString()),
    onNotice: () => undefined,
  });
  onTestFinished(async () => {
    await process.kill();
  });
  return { process, said };
}

const lost = new Problem('qmp-lost', 'the QMP connection to QEMU was lost', { exit: Exit.outside });

describe('a process', () => {
  it('gets its words as they are, and its connections as descriptors 3 and 4', async () => {
    const { process } = start('printf "%s|" "$@" >&2; echo qmp >&3; echo transport >&4; exit 3', ["a b'c", '', '$x']);
    const [qmp, transport] = await Promise.all(
      [process.qmp, process.transport].map(
        (stream) => new Promise((resolve) => stream.once('data', (chunk: Buffer) => resolve(chunk.toString()))),
      ),
    );
    expect([qmp, transport]).toEqual(['qmp\n', 'transport\n']);
    expect(await process.ended).toEqual({ code: 3, signal: null });
    expect(process.stderr).toBe("a b'c||$x|");
  });

  it('that ends by a signal says which', async () => {
    const { process } = start('sleep 60');
    process.signal('SIGTERM');
    expect(await process.ended).toEqual({ code: null, signal: 'SIGTERM' });
    expect(process.end).toEqual({ code: null, signal: 'SIGTERM' });
    process.signal('SIGKILL');
  });

  it('keeps the last of what it said', async () => {
    const { process } = start('head -c 200000 /dev/zero | tr "\\\\0" x >&2; echo the end >&2');
    await process.ended;
    expect(process.stderr).toHaveLength(64 * 1024);
    expect(process.stderr).toMatch(/^x+the end\n$/);
  });

  it('that leaves somebody with its standard error is not waited for', async () => {
    const { process } = start('sleep 5 & exit 0');
    const begin = performance.now();
    expect(await process.ended).toEqual({ code: 0, signal: null });
    expect(performance.now() - begin).toBeLessThan(4000);
  });

  it('that is not there is a problem with a remedy', () => {
    const options = { onStderr: () => undefined, onNotice: () => undefined };
    for (const [name, hint] of [
      ['qemu-system-aarch64-nope', /qemu-system-misc/],
      ['/nonexistent/qemu-system-aarch64', /qemu-system-arm/],
      ['/nonexistent/qemu-system-x86_64', /qemu-system-x86/],
      ['/nonexistent/qemu-system-riscv64', /qemu-system-misc/],
    ] as const) {
      let thrown: unknown;
      try {
        new QemuProcess([name], options);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toMatchObject({ code: 'qemu-missing', exit: 3 });
      expect((thrown as Problem).hint).toMatch(hint);
    }
  });
});

describe('programs', () => {
  it('are found as a shell finds them: on the path, and only where they can be run', () => {
    const path = script('true', 'qemu-x');
    const folder = join(path, '..');
    writeFileSync(join(folder, 'notes'), '', { mode: 0o644 });
    expect(findProgram('qemu-x', `/nonexistent:${folder}`)).toBe(path);
    expect(findProgram('qemu-x', '/nonexistent')).toBeUndefined();
    expect(findProgram('notes', folder)).toBeUndefined();
    expect(findProgram(path, '')).toBe(path);
    expect(findProgram(join(folder, 'nope'), folder)).toBeUndefined();
  });
});

describe('a failed exchange', () => {
  it('with a QEMU that has died is its death, with its last words', async () => {
    const { process } = start('echo first >&2; echo "cannot set up guest memory" >&2; exit 1');
    expect(await deathOf(process, lost, 'at its start')).toMatchObject({
      code: 'qemu-died',
      exit: 3,
      message: 'QEMU ended with code 1 at its start; it said: cannot set up guest memory',
      facts: { end: { code: 1, signal: null }, stderr: 'first\ncannot set up guest memory\n' },
    });
    const silent = start('kill -SEGV $$').process;
    expect(await deathOf(silent, lost, 'at its start')).toMatchObject({
      message: 'QEMU was killed by SIGSEGV at its start, without a word',
    });
  });

  it('with a QEMU that lives on is what it is, and QEMU is ended', async () => {
    for (const error of [lost, new Problem('no-plan', 'no'), new TypeError('x')]) {
      const { process } = start('exec sleep 60');
      expect(await deathOf(process, error, 'at its start')).toBe(error);
      expect(process.end).toEqual({ code: null, signal: 'SIGKILL' });
    }
  });
});

it('waits for an end no longer than told', async () => {
  const { process } = start('exec sleep 60');
  expect(await endWithin(process, 20)).toBeUndefined();
  process.signal('SIGKILL');
  expect(await endWithin(process, 10_000)).toEqual({ code: null, signal: 'SIGKILL' });
});

it('tells a crash from an end that QEMU chose', () => {
  const end = (code: number | null, signal: NodeJS.Signals | null = null) => ({ code, signal });
  expect([end(null, 'SIGSEGV'), end(null, 'SIGABRT'), end(null, 'SIGBUS')].map(crashed)).toEqual([true, true, true]);
  expect([end(0), end(1), end(null, 'SIGTERM'), undefined].map(crashed)).toEqual([false, false, false, false]);
  expect([sayEnd(end(2)), sayEnd(end(null, 'SIGKILL'))]).toEqual(['ended with code 2', 'was killed by SIGKILL']);
});

it('refuses a QEMU that cannot say where its device tree lies', () => {
  const version = (major: number, minor: number) => ({ major, minor, micro: 0, text: `${major}.${minor}.0` });
  expect(requireVersion(version(6, 2))).toEqual(version(6, 2));
  expect(requireVersion(version(10, 0))).toEqual(version(10, 0));
  expect(() => requireVersion(version(6, 1))).toThrow(/this is QEMU 6\.1\.0; pinbar needs 6\.2 or later/);
});

it.each([
  ['qtest', ['-object', 'qtest,id=pinbar-qtest-server,chardev=pinbar-transport,log=/dev/null']],
  ['gdb', ['-gdb', 'chardev:pinbar-transport']],
] as const)('has QEMU listen to the %s of its own, paused, and stop at resets', (transport, words) => {
  const all = sessionArguments(transport).join(' ');
  expect(all).toContain(words.join(' '));
  expect(all).toContain('socket,id=pinbar-qmp,fd=3');
  expect(all).toContain('socket,id=pinbar-transport,fd=4');
  expect(all).toMatch(/ -S -action reboot=shutdown,shutdown=pause$/);
});
