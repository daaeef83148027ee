import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../test/check/random.js';
import { alternate, least, median } from './measure.js';
import { limit, type Bench, type Limit, type Report, type Table } from './report.js';

const ROUNDS = 3;
const FUNCTIONS = 300;
const LOG_BYTES = 200_000_000;
const MiB = 1 << 20;

/** Reading what machines print: a copy of a host with 300 functions, and a kernel's log of 200 MB. */
export async function measureCaptures({ folder, pinbar }: Bench): Promise<Report> {
  const log = join(folder, 'dmesg.txt');
  const host = join(folder, 'host');
  writeLog(log);
  writeHost(host);
  const skipped: string[] = [];
  const tables: Table[] = [];
  const limits: Limit[] = [];

  const runs = { import: new Pinbar(pinbar), doctor: new Pinbar(pinbar), scan: new Pinbar(pinbar) };
  const logs = await alternate(ROUNDS, {
    'grep -c BAR': () => run('grep', ['-c', 'BAR', log]),
    'pinbar import': () => runs.import.go('import', log, '--out', join(folder, 'log.json')),
    'pinbar doctor': () => runs.doctor.go('doctor', log),
  });
  const grep = least(logs['grep -c BAR']);
  tables.push({
    title: `A kernel's log of ${LOG_BYTES / 1e6} MB, in turn, best of ${ROUNDS}`,
    columns: ['', 'best ms', 'median ms', 'processor ms', 'times grep', 'peak MiB'],
    rows: [
      ['grep -c BAR', grep, median(logs['grep -c BAR']), '', 1, ''],
      ...(['import', 'doctor'] as const).map((name) => {
        const all = logs[`pinbar ${name}`];
        const { processor, memory } = runs[name];
        return [`pinbar ${name}`, least(all), median(all), least(processor), least(all) / grep, Math.max(...memory)];
      }),
    ],
  });
  for (const name of ['import', 'doctor'] as const) {
    limits.push(limit(`pinbar ${name} of ${LOG_BYTES / 1e6} MB`, least(logs[`pinbar ${name}`]) / 1000, 4, ' s'));
    limits.push(limit(`its memory`, Math.max(...runs[name].memory), 200, ' MiB'));
  }

  const lspci = ['-A', 'linux-sysfs', '-O', `sysfs.path=${join(host, 'sys/bus/pci')}`];
  const { status, stdout } = spawnSync('lspci', [...lspci, '-n'], { encoding: 'utf8' });
  const hasLspci = status === 0 && stdout.split('\n').length > FUNCTIONS;
  if (!hasLspci) skipped.push('lspci is not here, or does not read a copy of sysfs');
  const dump = join(folder, 'lspci-xxxx.txt');
  if (hasLspci) writeFileSync(dump, run('lspci', [...lspci, '-xxxx']));
  const cases: Record<string, () => unknown> = {
    'pinbar scan': () => runs.scan.go('scan', '--root', host, '--out', join(folder, 'host.json')),
  };
  if (hasLspci) {
    cases['lspci -vvv of the same'] = () => run('lspci', [...lspci, '-vvv']);
    cases['pinbar import of lspci -xxxx'] = () =>
      run(process.execPath, [pinbar, 'import', dump, '--out', join(folder, 'dump.json')]);
    cases['lspci -F -vvv of the same dump'] = () => run('lspci', ['-F', dump, '-vvv']);
  }
  const scans = await alternate(2 * ROUNDS, cases);
  tables.push({
    title: `A copy of a host with ${FUNCTIONS} functions, best of ${2 * ROUNDS}`,
    columns: ['', 'best ms', 'median ms', 'processor ms'],
    rows: Object.entries(scans).map(([name, all]) => {
      return [name, least(all), median(all), name === 'pinbar scan' ? least(runs.scan.processor) : ''];
    }),
  });
  limits.push(limit(`pinbar scan of ${FUNCTIONS} functions`, least(scans['pinbar scan'] ?? []), 500, ' ms'));
  return { part: 'captures', tables, limits, skipped };
}

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 256 * MiB });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status ?? 'a signal'}: ${stderr}`);
  return stdout;
}

/** Runs of pinbar. Node says when it ends what they took: a busy machine moves processor time less than the clock. */
class Pinbar {
  /** Milliseconds of all threads. */
  readonly processor: number[] = [];
  /** The most that was resident, MiB. */
  readonly memory: number[] = [];

  constructor(readonly program: string) {}

  go(...args: string[]): void {
    const says =
      'data:text/javascript,process.on("exit",()=>{const{user,system}=process.cpuUsage();' +
      'process.stderr.write(`took ${user+system} ${process.resourceUsage().maxRSS}`)})';
    const { status, stderr } = spawnSync(process.execPath, ['--import', says, this.program, ...args], {
      encoding: 'utf8',
      maxBuffer: 256 * MiB,
    });
    const [, microseconds, kibibytes] = /took (\d+) (\d+)$/.exec(stderr) ?? [];
    if (status !== 0 || kibibytes === undefined) throw new Error(`pinbar ${args.join(' ')} failed: ${stderr}`);
    this.processor.push(Number(microseconds) / 1000);
    this.memory.push(Number(kibibytes) / 1024);
  }
}

/** Mostly lines of other subsystems, as in a log of a machine that ran for long. */
function writeLog(path: string): void {
  const random = new Random(1);
  const other = [
    (n: number) => `usb 1-${n % 9}: new high-speed USB device number ${n % 100} using xhci_hcd`,
    (n: number) => `audit: type=1400 audit(${n}.${n % 999}:3): apparmor="STATUS" operation="profile_load"`,
    (n: number) => `nvme nvme${n % 4}: ${n % 64}/0/0 default/read/poll queues`,
    (n: number) => `CPU${n % 256}: Core temperature above threshold, cpu clock throttled (total events = ${n})`,
    (n: number) => `docker0: port ${n % 99}(veth${n}) entered blocking state`,
  ];
  const pci = [
    (bus: string) => `pci 0000:${bus}:00.0: [8086:1521] type 00 class 0x020000 PCIe Endpoint`,
    (bus: string) => `pci 0000:${bus}:00.0: BAR 0 [mem 0x91120000-0x9113ffff]`,
    (bus: string) => `pci 0000:${bus}:00.0: PME# supported from D0 D3hot`,
  ];
  const file = openSync(path, 'w');
  let written = 0;
  for (let line = 0; written < LOG_BYTES;) {
    let block = '';
    while (block.length < MiB) {
      const n = random.int(0, 9999);
      const of =
        n % 20 === 0 ? pci[n % pci.length]?.((n % 256).toString(16).padStart(2, '0')) : other[n % other.length]?.(n);
      block += `[${(++line / 1000).toFixed(6).padStart(12)}] ${of ?? ''}\n`;
    }
    written += writeSync(file, block);
  }
  closeSync(file);
}

/** sysfs of a host whose functions are all alike: what matters is how many files there are. */
function writeHost(root: string): void {
  const devices = join(root, 'sys/devices/pci0000:00');
  const list = join(root, 'sys/bus/pci/devices');
  mkdirSync(devices, { recursive: true });
  mkdirSync(list, { recursive: true });
  const config = Buffer.alloc(4096);
  config.writeUInt32LE(0x1521_8086, 0);
  config.writeUInt32LE(0x0010_0006, 4);
  config.writeUInt32LE(0x0200_0000, 8);
  // A capability list with PCI Express alone.
  config[0x34] = 0x40;
  config.writeUInt32LE(0x0002_0010, 0x40);
  const none = `0x${'0'.repeat(16)} 0x${'0'.repeat(16)} 0x${'0'.repeat(16)}\n`;
  const hex = (value: number) => `0x${value.toString(16).padStart(16, '0')}`;
  for (let i = 0; i < FUNCTIONS; i++) {
    const name = `0000:${(i >> 3).toString(16).padStart(2, '0')}:00.${i & 7}`;
    const own = join(devices, name);
    mkdirSync(own);
    const base = 0x9000_0000 + i * MiB;
    const files = {
      ...{
        vendor: '0x8086\n',
        device: '0x1521\n',
        class: '0x020000\n',
        revision: '0x01\n',
        irq: '10\n',
        enable: '1\n',
      },
      ...{ subsystem_vendor: '0x8086\n', subsystem_device: '0x0001\n', numa_node: '0\n' },
      resource: `${hex(base)} ${hex(base + MiB - 1)} ${hex(0x40200)}\n${none.repeat(12)}`,
    };
    for (const [file, text] of Object.entries(files)) writeFileSync(join(own, file), text);
    writeFileSync(join(own, 'config'), config);
    symlinkSync(join('../../../devices/pci0000:00', name), join(list, name));
  }
}
