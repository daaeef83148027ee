import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cpio } from '../test/lab/cpio.js';
import {
  boardOf,
  fastKernelArguments,
  guestPrograms,
  kernelImage,
  lacking,
  qemuBinary,
  type GuestArch,
  type Part,
  type QemuVersion,
} from '../test/lab/lab.js';
import { durations, runPinbar, type CliRun } from './cli-run.js';
import { alternate, least, median } from './measure.js';
import { limit, type Bench, type Cell, type Report } from './report.js';

const ROUNDS = 6;

type Command = readonly [string, ...string[]];

interface Case {
  readonly arch: GuestArch;
  readonly version: QemuVersion;
  readonly pin: string;
  /** The firmware that pinbar chooses where there is one: without pinbar the boot has the same. */
  readonly firmware?: string;
}

const pinOf: Readonly<Record<GuestArch, string>> = {
  aarch64: '0x8b40000000',
  riscv64: '0x500000000',
  x86_64: '0x6b80000000',
};
const cases: readonly Case[] = (['aarch64', 'riscv64', 'x86_64'] as const).flatMap((arch) =>
  (['7.2', '10.0'] as const).map((version) => ({
    arch,
    version,
    pin: pinOf[arch],
    ...(arch === 'x86_64' ? { firmware: 'qboot.rom' } : {}),
  })),
);

/** What pinbar adds to the whole life of a guest that boots and powers off at once. */
export async function measureBoot({ folder, pinbar }: Bench): Promise<Report> {
  const skipped: string[] = [];
  const measured = [];
  for (const one of cases) {
    const suffix = one.arch === 'aarch64' ? '' : `-${one.arch}`;
    const reason = lacking([`qemu-${one.version}${suffix}`, `linux-6.12${suffix}`, `guest${suffix}`] as Part[]);
    if (reason) {
      skipped.push(reason);
      continue;
    }
    const initrd = join(folder, `initrd-${one.arch}`);
    writeInitrd(initrd, one.arch);
    measured.push(await measureCase(one, initrd, pinbar));
  }
  return {
    part: 'boot',
    tables: measured.flatMap(({ tables }) => tables),
    limits: measured.flatMap(({ limits }) => limits),
    skipped,
  };
}

/** Busybox and a first process that does nothing but power off. */
function writeInitrd(path: string, arch: GuestArch): void {
  const text = '#!/bin/busybox sh\nexec /bin/busybox poweroff -f\n';
  const busybox = readFileSync(join(guestPrograms(arch), 'busybox/bin/busybox'));
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

async function measureCase({ arch, version, pin, firmware }: Case, initrd: string, pinbar: string) {
  const { machine, cpu } = boardOf(arch);
  const bare: Command = [
    qemuBinary(version, arch),
    ...['-machine', machine, ...cpu, '-m', '1G', '-nodefaults', '-display', 'none', '-serial', 'stdio'],
    ...['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M'],
    ...['-device', 'virtio-rng-pci,id=rng0'],
    ...['-kernel', kernelImage('6.12', arch), '-initrd', initrd, '-append', fastKernelArguments[arch]],
  ];
  const qemu: Command = firmware === undefined ? bare : [...bare, '-bios', firmware];
  const pins = ['--pin', `dev0=bar2@${pin}`];
  const runs: CliRun[] = [];
  const gdb: CliRun[] = [];
  const times = await alternate(ROUNDS, {
    without: () => run(qemu),
    default: () => (firmware === undefined ? undefined : run(bare)),
    with: async () => runs.push(await runPinbar(pinbar, qemu, pins)),
    made: () => untilMade(qemu),
    gdb: async () => gdb.push(await runPinbar(pinbar, [...qemu, '-S'], [...pins, '--transport', 'gdb'], true)),
  });
  const handedOver = (some: readonly CliRun[]) =>
    some.map(({ loading, stages }) => loading + (stages.find(({ name }) => name === 'running')?.at ?? NaN));
  const added = times.with.map((ms, i) => ms - (times.without[i] ?? NaN));
  const row = (what: string, all: readonly number[]): Cell[] => [what, least(all), median(all)];
  const columns = ['', 'best ms', 'median ms'];
  const lengths = runs.map(durations);
  const title = `${arch}, QEMU ${version}`;
  const before = (some: readonly CliRun[]) => least(handedOver(some)) - least(times.made);
  return {
    tables: [
      {
        title: `${title}: a guest boots and powers off, ${ROUNDS} times each, in turn`,
        columns,
        rows: [
          row(firmware === undefined ? 'without pinbar' : `without pinbar, -bios ${firmware}`, times.without),
          ...(firmware === undefined ? [] : [row('without pinbar, the default firmware', times.default)]),
          row('with pinbar', times.with),
          ['added', least(times.with) - least(times.without), median(added)],
          [
            'added, % of the boot',
            (least(times.with) / least(times.without) - 1) * 100,
            (median(added) / median(times.without)) * 100,
          ],
        ],
      },
      {
        title: `${title}: from the start to the guest's first instruction, ${ROUNDS} times each, in turn`,
        columns,
        rows: [
          row('without pinbar: until QEMU answers', times.made),
          row('with pinbar: until it hands over', handedOver(runs)),
          row('with pinbar --transport gdb', handedOver(gdb)),
          ['added', before(runs), median(handedOver(runs)) - median(times.made)],
          ['added, % of the boot', (before(runs) / least(times.without)) * 100, '-'],
          ['added by --transport gdb', before(gdb), median(handedOver(gdb)) - median(times.made)],
        ],
      },
      {
        title: `${title}: pinbar's stages`,
        columns,
        rows: [...(lengths[0]?.keys() ?? [])].map((stage) =>
          row(
            stage,
            lengths.map((one) => one.get(stage) ?? NaN),
          ),
        ),
      },
    ],
    limits: [
      limit(`${title}: added before the guest's first instruction, best against best`, before(runs), 200, ' ms'),
      limit(`${title}: added to a whole boot, best against best`, least(times.with) - least(times.without), 200, ' ms'),
    ],
  };
}

/**
 * Starts the same QEMU paused and ends it once it answers. A whole boot differs by 0.1 s from one time to the next; this
 * does not.
 */
async function untilMade([program, ...args]: Command): Promise<void> {
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
async function run([program, ...args]: Command): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}:\n${errors}`);
}
