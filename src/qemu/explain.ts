import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { hex, roughSize } from '../address/format.js';
import { GiB } from '../address/kinds.js';
import { DEFAULT_HIGH_MMIO_SIZE, highMmioWindow } from '../machine/boards/virt-aarch64.js';
import { AddressRange } from '../address/range.js';
import { Exit, Problem } from '../problem/problem.js';
import { hostMemory } from './ram/host.js';

/** What explains QEMU's refusal to start, by its own words on standard error. */
export async function explainDeath(
  problem: Problem,
  context: {
    readonly program: string;
    readonly mmioWindow: { readonly base: bigint; readonly size: bigint } | undefined;
  },
): Promise<Problem> {
  const stderr = typeof problem.facts['stderr'] === 'string' ? problem.facts['stderr'] : '';
  const { mmioWindow } = context;
  if (mmioWindow && /Property '[^']*\.highmem-mmio-size' not found/.test(stderr)) {
    const fixed = highMmioWindow(GiB, DEFAULT_HIGH_MMIO_SIZE);
    const version = await versionOf(context.program);
    return new Problem(
      'window-needs-newer-qemu',
      `pcie-mmio-window=${hex(mmioWindow.base)}:${hex(mmioWindow.size)} needs highmem-mmio-size, which came with QEMU 10.0; this is ${version}, whose 64-bit window is fixed at ${AddressRange.sized(fixed.base, fixed.size).toString()}`,
      { exit: Exit.outside, hint: 'use QEMU 10.0 or later, or pin within that window', facts: problem.facts },
    );
  }
  const refused = /cannot set up guest memory '([^']*)': Cannot allocate memory/.exec(stderr)?.[1];
  if (refused !== undefined) {
    const host = hostMemory();
    const has = host
      ? `: the host has ${roughSize(host.all)}, swap included, and ${roughSize(host.available)} of it to give`
      : '';
    return new Problem('host-memory', `QEMU could not get the memory for the guest's RAM (${refused})${has}`, {
      exit: Exit.outside,
      hint: 'give the guest less RAM, or the host more swap',
      facts: problem.facts,
    });
  }
  if (stderr.includes("'ivshmem-plain' is not a valid device model name")) {
    return new Problem(
      'split-ram-device',
      'this QEMU was built without ivshmem, whose memory --split-ram makes RAM of',
      {
        exit: Exit.outside,
        hint: 'use a QEMU that lists ivshmem-plain with -device help, such as those of Debian',
        facts: problem.facts,
      },
    );
  }
  if (/'vfio-user-pci' is not a valid device model name/.test(stderr)) {
    return new Problem(
      'vfio-user-needs-newer-qemu',
      `twins need vfio-user-pci, which came with QEMU 10.1; this is ${await versionOf(context.program)}`,
      { exit: Exit.outside, hint: 'use QEMU 10.1 or later', facts: problem.facts },
    );
  }
  const missing =
    /(?:could not load kernel|could not load PC BIOS|Couldn't open dtb file|could not load initrd|Failed to load) '?([^'\n]+)'?/.exec(
      stderr,
    )?.[1];
  if (missing !== undefined) {
    return new Problem('qemu-died', problem.message, {
      exit: Exit.outside,
      hint:
        missing === 'qboot.rom'
          ? 'install what holds it (Debian: qemu-system-data), or name another firmware with -bios'
          : `look whether ${missing} exists and can be read`,
      facts: problem.facts,
    });
  }
  return problem;
}

/** `QEMU 7.2.22`, by the program's own word. */
async function versionOf(program: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { timeout: 5000 });
    return /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1]?.replace(/^/, 'QEMU ') ?? 'an older QEMU';
  } catch {
    return 'an older QEMU';
  }
}
