// The main job, once, with its real output: a BAR pinned in a real guest, or on the simulated machine where no QEMU can be had.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output, readConsole } from '../test/lab/console.js';
import { writeInitrd } from '../test/lab/initrd.js';
import { fastKernelArguments, kernelImage, lacking, qemuBinary } from '../test/lab/lab.js';

const root = join(import.meta.dirname, '..');
const pinbar = [process.execPath, join(root, 'bin/pinbar.js')];
const print = (text = '') => process.stdout.write(`${text}\n`);

/** Where BAR 2 goes, and what makes room for it: the window above needs QEMU 10.0, the one of older QEMUs is fixed. */
const targets = {
  new: { bar: '0x6b8000000000', machine: ',pcie-mmio-window=0x400000000000:0x400000000000,pci-pre-enum=on' },
  old: { bar: '0xa000000000', machine: ',pci-pre-enum=on' },
};

function sim(why: string): number {
  print(`${why}; this is the simulated machine.`);
  print();
  print('$ pinbar run --sim examples/gpu-and-nic.pinbar.yaml');
  return run([...pinbar, 'run', '--sim', join(root, 'examples/gpu-and-nic.pinbar.yaml')]);
}

function run([program = '', ...args]: readonly string[]): number {
  return spawnSync(program, args, { stdio: 'inherit' }).status ?? 3;
}

/** What `--version` prints; nothing where there is no such program. */
function versionOf(program: string): string {
  const { error, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return error ? '' : stdout;
}

/** A QEMU: the machine's own, or the lab's. */
function findQemu(): { program: string; major: number } | undefined {
  for (const program of ['qemu-system-aarch64', qemuBinary('10.0')]) {
    const major = /version (\d+)\./.exec(versionOf(program))?.[1];
    if (major) return { program, major: Number(major) };
  }
  return undefined;
}

function real(qemu: { program: string; major: number }): number {
  const target = qemu.major >= 10 ? targets.new : targets.old;
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-demo-'));
  try {
    const initrd = join(folder, 'initrd');
    writeInitrd(initrd, { script: 'section bar bar 0000:01:00.0 2' });
    const command = (machine: string, pin: readonly string[]) => [
      qemu.program,
      ...[
        '-machine',
        `virt,gic-version=3${machine}`,
        '-cpu',
        'max',
        '-m',
        '1G',
        '-nographic',
        '-nodefaults',
        '-serial',
        'stdio',
      ],
      ...['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64G', ...pin],
      ...['-kernel', kernelImage(), '-initrd', initrd, '-append', fastKernelArguments.aarch64],
    ];
    const boot = ([program = '', ...args]: readonly string[]) => {
      const { stdout, status } = spawnSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 120_000 });
      const [first] = readConsole(stdout.toString());
      return { status, bar: first ? output(first, 'bar').trim() : 'nothing: the guest did not boot' };
    };

    const plain = command('', []);
    const pinned = command(target.machine, ['-set', `device.dev0.fixed-bars=bar2@${target.bar}`]);
    print(`$ pinbar run -- ${pinned.map((word) => (word.includes(' ') ? `'${word}'` : word)).join(' ')}`);
    print();
    const before = boot(plain);
    const after = boot([...pinbar, 'run', '--', ...pinned]);
    print();
    print('What the guest’s Linux says of dev0 BAR 2 (/sys/bus/pci/devices/0000:01:00.0/resource):');
    print(`  plain QEMU   ${before.bar}`);
    print(`  with pinbar  ${after.bar}`);
    const kept = BigInt(after.bar.startsWith('0x') ? after.bar : 0) === BigInt(target.bar);
    print(kept ? `Pinned at ${target.bar}, as asked.` : `It was to be at ${target.bar}: the demo has failed.`);
    return kept ? (after.status ?? 3) : 3;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let qemu = findQemu();
const parts = [...(qemu ? [] : (['qemu-10.0'] as const)), 'linux-6.12', 'guest'] as const;
if (!qemu || lacking(parts) !== undefined) {
  print('Fetching what a guest needs from the Debian mirror into .cache/lab (no root, nothing is installed) …');
  const setup = spawnSync(join(root, 'scripts/lab/setup'), [...parts], { stdio: ['ignore', 'inherit', 'inherit'] });
  qemu ??= findQemu();
  process.exitCode =
    setup.status === 0 && qemu ? real(qemu) : sim(qemu ? 'No guest could be fetched' : 'No QEMU is here');
} else {
  process.exitCode = real(qemu);
}
