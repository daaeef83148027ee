import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { Exit, Problem } from '../problem/problem.js';
import { explainDeath } from './explain.js';

const died = (stderr: string) =>
  new Problem('qemu-died', 'QEMU ended with code 1', { exit: Exit.outside, facts: { stderr } });

/** A program that says it is a version of QEMU. */
function program(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'qemu-system-aarch64');
  writeFileSync(path, `#!/bin/sh\necho '${text}'\n`, { mode: 0o755 });
  return path;
}

describe('why QEMU did not start', () => {
  const mmioWindow = { base: 0x4000_0000_0000n, size: 0x4000_0000_0000n };
  const noProperty = "qemu-system-aarch64: Property 'virt-7.2-machine.highmem-mmio-size' not found\n";

  it.each([
    [program.bind(undefined, 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)'), 'this is QEMU 7.2.22'],
    [program.bind(undefined, 'something else'), 'this is an older QEMU'],
    [() => '/nonexistent/qemu-system-aarch64', 'this is an older QEMU'],
  ])('a window that this QEMU cannot move', async (make, says) => {
    const problem = await explainDeath(died(noProperty), { program: make(), mmioWindow });
    expect(problem).toMatchObject({ code: 'window-needs-newer-qemu', exit: 3 });
    expect(problem.message).toContain('pcie-mmio-window=0x400000000000:0x400000000000');
    expect(problem.message).toContain(says);
    expect(problem.message).toContain('0x8000000000-0xffffffffff');
  });

  it('the same words without a window asked for are QEMU’s own affair', async () => {
    const problem = died(noProperty);
    expect(await explainDeath(problem, { program: 'qemu', mmioWindow: undefined })).toBe(problem);
  });

  it.each([
    ["qemu-system-aarch64: could not load kernel '/boot/Image'", /whether \/boot\/Image exists/],
    ["qemu-system-x86_64: could not load PC BIOS 'OVMF.fd'", /whether OVMF\.fd exists/],
    ["qemu: could not load PC BIOS 'qboot.rom'", /qemu-system-data/],
    ["qemu-system-aarch64: Couldn't open dtb file /tmp/a.dtb", /whether \/tmp\/a\.dtb exists/],
    ["qemu-system-riscv64: could not load initrd 'initrd'", /whether initrd exists/],
  ])('a file that is missing: %s', async (stderr, hint) => {
    const problem = await explainDeath(died(`${stderr}\n`), { program: 'qemu', mmioWindow: undefined });
    expect(problem).toMatchObject({ code: 'qemu-died', exit: 3, message: 'QEMU ended with code 1' });
    expect(problem.hint).toMatch(hint);
  });

  it('anything else stays as it is', async () => {
    for (const problem of [died('Segmentation fault\n'), new Problem('qemu-died', 'no word')]) {
      expect(await explainDeath(problem, { program: 'qemu', mmioWindow })).toBe(problem);
    }
  });
});
