import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadCapture } from '../src/import/capture/load.js';
import { captureText } from '../src/import/capture/save.js';
import type { Capture, CapturedFunction } from '../src/import/capture/model.js';
import { commands, encodeCommand } from '../src/twin/protocol.js';
import { serveTwins } from '../src/twin/serve.js';
import { cpio } from '../test/lab/cpio.js';
import { guestPrograms, lacking } from '../test/lab/lab.js';
import { guestCommand } from '../test/lab/pinbar.js';
import { accessPayload, VfioUserClient } from '../test/support/vfio-user-client.js';
import { timed } from './measure.js';
import type { Bench, Cell, Report } from './report.js';

const ROUND_TRIPS = 20_000;
const DEVICES = 16;
/** Two functions behind each port: pci-testdevs have I/O BARs, and 16 I/O windows of 4 KiB are one more than there is room for. */
const PORTS = DEVICES / 2;
const BOOTS = 5;
const EXAMPLE = 'examples/gb300-two-switches.capture.json';

/** Round trips a second on one socket, and what a guest's enumeration costs with twins in the place of QEMU's own devices. */
export async function measureTwin({ root, folder, pinbar }: Bench): Promise<Report> {
  const path = join(root, EXAMPLE);
  const capture = await loadCapture(readFileSync(path, 'utf8'), path);
  const tables = [
    {
      title: 'one client, one socket: 4 bytes of config space',
      columns: ['', 'reads', 'ms', 'per second'],
      rows: await roundTrips(capture),
    },
  ];
  const reason = lacking(['qemu-11.1', 'linux-6.12', 'guest']);
  if (reason) return { part: 'twin', tables, limits: [], skipped: [reason] };
  const many = join(folder, 'many.capture.json');
  writeFileSync(many, captureText(manyTwins(capture)));
  const initrd = join(folder, 'twin.initrd');
  writeInitrd(initrd);
  const boot = (options: readonly string[], devices: readonly string[]) =>
    enumerated([pinbar, 'run', '--quiet', ...options, '--', ...guestCommand('11.1', { initrd, devices })]);
  const testdevs = Array.from({ length: PORTS }, (_, n) => [
    ...['-device', `pcie-root-port,id=rp${n},chassis=${n + 1},addr=${(n + 1).toString(16)}.0`],
    ...['-device', `pci-testdev,bus=rp${n},addr=0.0,multifunction=on,membar=64M`],
    ...['-device', `pci-testdev,bus=rp${n},addr=0.1,membar=64M`],
  ]).flat();
  const times: { twins: number; testdevs: number }[] = [];
  for (let n = 0; n < BOOTS; n++)
    times.push({ twins: await boot(['--twin', many], []), testdevs: await boot([], testdevs) });
  const row = (name: string, of: (time: (typeof times)[0]) => number): Cell[] => [
    name,
    Math.min(...times.map(of)),
    Math.min(...times.map(of)) / Math.min(...times.map(({ testdevs: least }) => least)),
  ];
  return {
    part: 'twin',
    tables: [
      ...tables,
      {
        title: `from the host bridge to the last of the buses in the guest’s log, TCG, QEMU 11.1, ${DEVICES} functions behind ${PORTS} root ports`,
        columns: [`best of ${BOOTS}, in turn`, 'ms', 'ratio'],
        rows: [
          row(`${DEVICES} twins with 3 BARs`, ({ twins }) => twins),
          row(`${DEVICES} pci-testdevs`, ({ testdevs: of }) => of),
        ],
      },
    ],
    limits: [],
    skipped: [],
  };
}

async function roundTrips({ functions }: Capture): Promise<Cell[][]> {
  const gpu = functions.find(({ headerType }) => headerType === 0);
  if (!gpu) throw new Error(`${EXAMPLE} has no device`);
  const twins = await serveTwins([gpu], { rules: [], late: [], additions: [], memory: 0, notice: () => undefined });
  try {
    const client = await VfioUserClient.ready(twins.list[0]?.socket ?? '');
    const single = await timed(async () => {
      for (let n = 0; n < ROUND_TRIPS; n++) await client.config(0);
    });
    const one = encodeCommand(1, commands.regionRead, accessPayload(7, 0n, 4));
    const pipelined = await timed(async () => {
      client.socket.write(Buffer.concat(Array.from({ length: ROUND_TRIPS }, () => one)));
      for (let n = 0; n < ROUND_TRIPS; n++) await client.reply();
    });
    await client.close();
    const row = (name: string, ms: number): Cell[] => [name, ROUND_TRIPS, ms, Math.round((ROUND_TRIPS / ms) * 1000)];
    return [row('one by one', single.ms), row('without waiting', pipelined.ms)];
  } finally {
    await twins.close();
  }
}

/** The example's first GPU twice behind each of the root ports, 2 TiB from one to the next. */
function manyTwins(capture: Capture): Capture {
  const gpu = capture.functions.find(({ headerType }) => headerType === 0);
  if (!gpu) throw new Error(`${EXAMPLE} has no device`);
  const functions = Array.from({ length: PORTS }, (_, n): CapturedFunction[] => {
    const above = { segment: 9, bus: 0, device: n + 1, fn: 0 };
    const device = (fn: number): CapturedFunction => {
      const move = (address: bigint | undefined) => (address ?? 0n) + BigInt(2 * n + fn - PORTS) * (1n << 41n);
      return {
        ...gpu,
        address: { segment: 9, bus: n + 1, device: 0, fn },
        parent: above,
        bars: gpu.bars.map((bar) => ({ ...bar, address: move(bar.address), busAddress: move(bar.busAddress) })),
      };
    };
    return [
      {
        ...{
          address: above,
          parent: null,
          headerType: 1,
          class: 0x060400,
          portType: 'root-port',
          bars: [],
          vfBars: [],
        },
        buses: { secondary: n + 1, subordinate: n + 1 },
      },
      device(0),
      device(1),
    ];
  });
  return { ...capture, hostBridges: [], functions: functions.flat() };
}

/** A guest that prints the kernel's log and ends. */
function writeInitrd(path: string): void {
  const busybox = readFileSync(join(guestPrograms('aarch64'), 'busybox/bin/busybox'));
  const lines = ['#!/bin/busybox sh', 'busybox dmesg', 'busybox stty -onlcr', 'busybox poweroff -f', ''];
  const file = (name: string, content: Buffer) => ({ path: name, kind: 'file', content, executable: true }) as const;
  const folders = ['bin', 'dev'].map((name) => ({ path: name, kind: 'folder' }) as const);
  const device = { path: 'dev/console', kind: 'character-device', major: 5, minor: 1 } as const;
  writeFileSync(
    path,
    cpio([...folders, device, file('bin/busybox', busybox), file('init', Buffer.from(lines.join('\n')))]),
  );
}

/** Milliseconds between the first and the last line of the guest's PCI enumeration. */
async function enumerated(argv: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await new Promise((resolve) => child.on('close', resolve));
  const first = /\[ *(\d+\.\d+)\] .*PCI host bridge to bus/.exec(log)?.[1];
  const last = [...log.matchAll(/\[ *(\d+\.\d+)\] pci_bus 0000:.*resource/g)].at(-1)?.[1];
  const seen = new Set(
    [...log.matchAll(/pci (0000:(?!00)\S+): \[[0-9a-f:]+\] type 00/g)].map(([, address]) => address),
  );
  if (first === undefined || last === undefined || seen.size !== DEVICES) {
    throw new Error(`the guest’s log has no enumeration of ${DEVICES} functions:\n${errors}`);
  }
  return (Number(last) - Number(first)) * 1000;
}
