import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpio } from '../test/lab/cpio.js';
import {
  fastKernelArguments,
  guestPrograms,
  kernelImage,
  lacking,
  qemuBinary,
  type QemuVersion,
} from '../test/lab/lab.js';
import { durations, runPinbar, type CliRun } from './cli-run.js';
import { alternate, least, median } from './measure.js';
import { limit, type Bench, type Cell, type Report } from './report.js';

const ROUNDS = 10;

/** What pinbar adds to the whole life of a guest that boots and powers off at once. */
export async function measureBoot({ folder, pinbar }: Bench): Promise<Report> {
  const versions = (['7.2', '10.0'] as const).map((version) => ({
    version,
    reason: lacking([`qemu-${version}`, 'linux-6.12', 'guest']),
  }));
  const initrd = join(folder, 'initrd');
  const measured = [];
  for (const { version, reason } of versions) {
    if (reason) continue;
    writeInitrd(initrd);
    measured.push(await measureVersion(version, initrd, pinbar));
  }
  return {
    part: 'boot',
    tables: measured.flatMap(({ tables }) => tables),
    limits: measured.flatMap(({ limits }) => limits),
    skipped: versions.flatMap(({ reason }) => reason ?? []),
  };
}

/** Busybox and a first process that does nothing but power off. */
function writeInitrd(path: string): void {
  const text = '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n';
  const busybox = readFileSync(join(guestPrograms('aarch64'), 'busybox/bin/busybox'));
  writeFileSync(
    path,
    cpio([
      { path: 'dev', kind: 'folder' },
      { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 },
      { path: 'bin', kind: 'folder' },
      { path: 'bin/busybox', kind: 'file', content: busybox, executable: true },
      { path: 'init', kind: 'file', content: Buffer.from(text), executable: true },
    ]),
  );
}

async function measureVersion(version: QemuVersion, initrd: string, pinbar: string) {
  const qemu: [string, ...string[]] = [
    qemuBinary(version),
    ...['-machine', 'virt', '-cpu', 'max', '-m', '1G', '-nodefaults', '-display', 'none', '-serial', 'stdio'],
    ...['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M'],
    ...['-device', 'virtio-rng-pci,id=rng0'],
    ...['-kernel', kernelImage(), '-initrd', initrd, '-append', fastKernelArguments.aarch64],
  ];
  const pin = ['--pin', 'dev0=bar2@0x8b40000000'];
  const runs: CliRun[] = [];
  const times = await alternate(ROUNDS, {
    without: () => run(qemu),
    with: async () => runs.push(await runPinbar(pinbar, qemu, pin)),
    gdb: async () => runPinbar(pinbar, qemu, [...pin, '--transport', 'gdb']),
    made: () => untilMade(qemu),
  });
  const handedOver = runs.map(
    ({ loading, stages }) => loading + (stages.find(({ name }) => name === 'running')?.at ?? NaN),
  );
  const added = times.with.map((ms, i) => ms - (times.without[i] ?? NaN));
  const row = (what: string, all: readonly number[]): Cell[] => [what, least(all), median(all)];
  const lengths = runs.map(durations);
  const stages = [...(lengths[0]?.keys() ?? [])];
  return {
    tables: [
      {
        title: `QEMU ${version}: a guest boots and powers off, ${ROUNDS} times each, in turn`,
        columns: ['', 'best ms', 'median ms'],
        rows: [
          row('without pinbar', times.without),
          row('with pinbar', times.with),
          row('with pinbar, --transport gdb', times.gdb),
          ['added', least(times.with) - least(times.without), median(added)],
          [
            'added with --transport gdb',
            least(times.gdb) - least(times.without),
            median(times.gdb.map((ms, i) => ms - (times.without[i] ?? NaN))),
          ],
          [
            'added, % of the boot',
            (least(times.with) / least(times.without) - 1) * 100,
            (median(added) / median(times.without)) * 100,
          ],
        ],
      },
      {
        title: `QEMU ${version}: from the start to the guest's first instruction, ${ROUNDS} times each, in turn`,
        columns: ['', 'best ms', 'median ms'],
        rows: [
          row('without pinbar: until QEMU answers', times.made),
          row('with pinbar: until it hands over', handedOver),
          ['added', least(handedOver) - least(times.made), median(handedOver) - median(times.made)],
        ],
      },
      {
        title: `QEMU ${version}: pinbar's stages`,
        columns: ['', 'best ms', 'median ms'],
        rows: stages.map((stage) =>
          row(
            stage,
            lengths.map((one) => one.get(stage) ?? NaN),
          ),
        ),
      },
    ],
    limits: [
      limit(
        `QEMU ${version}: added before the guest's first instruction, best against best`,
        least(handedOver) - least(times.made),
        200,
        ' ms',
      ),
      limit(
        `QEMU ${version}: added to a whole boot, best against best`,
        least(times.with) - least(times.without),
        200,
        ' ms',
      ),
    ],
  };
}

/**
 * Starts the same QEMU paused and ends it once it answers. A whole boot differs by 0.1 s from one time to the next; this
 * does not.
 */
async function untilMade([program, ...args]: readonly [string, ...string[]]): Promise<void> {
  const paused = [...args.map((arg) => (arg === 'stdio' ? 'null' : arg)), '-S', '-qmp', 'stdio'];
  const child = spawn(program, paused, { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write('{"execute":"qmp_capabilities"}\n');
  let answers = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      answers += text;
      if (answers.includes('"return"')) resolve();
    });
    child.on('error', reject);
    child.on('close', () => reject(new Error(`${program} ended before it answered`)));
  });
  child.kill('SIGKILL');
}

/** Runs a program to its end; throws where it fails. */
async function run([program, ...args]: readonly [string, ...string[]]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}:\n${errors}`);
}
