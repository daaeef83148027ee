import { readdirSync, readFileSync } from 'node:fs';
import { toMachine } from '../src/enumerate/to-machine.js';
import { enumerate } from '../src/enumerate/enumerate.js';
import { formatBdf } from '../src/pci/bdf.js';
import { readOp, type ConfigAccess, type ConfigOp } from '../src/pci/config-access.js';
import { planOf } from '../src/pin/pin.js';
import { program } from '../src/program/program.js';
import { programme } from '../src/program/programme.js';
import { crossCheck } from '../src/qemu/crosscheck.js';
import { findDeviceTree, readDeviceTree } from '../src/qemu/machines/device-tree-rom.js';
import { EcamAccess } from '../src/pci/ecam.js';
import { queryPci } from '../src/qemu/query-pci.js';
import { encodePacket } from '../src/qemu/gdb-packet.js';
import { startSession, type Session, type TransportName } from '../src/qemu/session.js';
import { virtMachine } from '../src/qemu/machines/virt-tree.js';
import { lacking, qemuBinary, type QemuVersion } from '../test/lab/lab.js';
import { durations, runPinbar } from './cli-run.js';
import { least, median, timed } from './measure.js';
import { limit, type Bench, type Cell, type Limit, type Report, type Table } from './report.js';
import { TREE_FUNCTIONS, trees, type Tree } from './tree.js';

/** ECAM of aarch64 `virt`, hw/arm/virt.c: VIRT_HIGH_PCIE_ECAM. */
const ECAM = 0x4010000000;
const ONE_BY_ONE = 3000;
const PIPELINED = 30_000;
const RUNS = 7;

/** Config accesses over a transport: raw rates of this very QEMU, and pinbar's work on a tree of 64 functions beside them. */
export const measureTransport = (transport: TransportName) => (bench: Bench) => measure(transport, bench);

async function measure(transport: TransportName, bench: Bench): Promise<Report> {
  const versions = (['7.2', '10.0'] as const).map((version) => ({ version, reason: lacking([`qemu-${version}`]) }));
  const measured: { readonly tables: readonly Table[]; readonly limits: readonly Limit[] }[] = [];
  for (const { version, reason } of versions) {
    if (reason) continue;
    const rates = await inSession([qemuBinary(version), ...(trees[0]?.argv ?? [])], transport, rawRates);
    const columns = ['', 'accesses', 'ms', 'per second'];
    measured.push({ tables: [{ title: `QEMU ${version}: raw`, columns, rows: rates }], limits: [] });
    for (const tree of trees) measured.push(await measureTree(version, tree, transport, bench));
  }
  return {
    part: transport,
    tables: measured.flatMap(({ tables }) => tables),
    limits: measured.flatMap(({ limits }) => limits),
    skipped: versions.flatMap(({ reason }) => reason ?? []),
  };
}

/** What `pinbar run` does between QEMU's start and the guest's, as its stages are called. */
const WORK = ['looking at the machine', 'enumerating, solving and programming', 'checking against QEMU'] as const;

async function measureTree(version: QemuVersion, tree: Tree, transport: TransportName, { pinbar }: Bench) {
  const argv = [qemuBinary(version), ...tree.argv];
  const name = `QEMU ${version}, ${TREE_FUNCTIONS} functions, ${tree.name}`;
  const warm: Awaited<ReturnType<typeof spine>>[] = [];
  for (let run = 0; run < RUNS; run++) warm.push(await inSession(argv, transport, spine));
  const cold: Map<string, number>[] = [];
  for (let run = 0; run < RUNS; run++)
    cold.push(durations(await runPinbar(pinbar, [...argv, '-S'], ['--quiet', '--transport', transport], true)));
  const [first] = warm;
  const stage = (stageName: string) => cold.map((lengths) => lengths.get(stageName) ?? NaN);
  const whole = cold.map((lengths) => WORK.reduce((sum, one) => sum + (lengths.get(one) ?? NaN), 0));
  const tables: Table[] = [
    {
      title: `${name}: ${RUNS} runs in one process, each on a fresh QEMU`,
      columns: ['', 'accesses', 'round trips', 'first ms', 'best ms', 'median ms', 'of it QEMU’s CPU, best ms'],
      rows: Object.keys(first?.ms ?? {}).map((step): Cell[] => {
        const all = warm.map(({ ms }) => ms[step] ?? NaN);
        const { accesses = 0, batches = 0 } = first?.counts[step] ?? {};
        const qemu = least(warm.map(({ cpu }) => cpu[step] ?? NaN));
        return [step, accesses || '-', batches || '-', all[0] ?? NaN, least(all), median(all), qemu];
      }),
    },
    {
      title: `${name}: pinbar run --verbose --transport ${transport}, ${RUNS} processes`,
      columns: ['', 'best ms', 'median ms'],
      rows: [
        ...WORK.map((one): Cell[] => [one, least(stage(one)), median(stage(one))]),
        ['together', least(whole), median(whole)],
      ],
    },
  ];
  return {
    tables,
    limits: [limit(`${name}, pinbar run --transport ${transport}, best of ${RUNS}`, least(whole), 50, ' ms')],
  };
}

/** Runs `work` beside a QEMU that never leaves its first instruction, and ends that. */
async function inSession<T>(
  argv: readonly string[],
  transport: TransportName,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await startSession(
    argv,
    transport,
    { onStderr: () => undefined, onNotice: () => undefined },
    () => undefined,
  );
  try {
    return await work(session);
  } finally {
    await session.process.kill();
  }
}

/** How a dword of ECAM is read: the command, and the byte that each answer has once. */
const raw = {
  qtest: { name: 'readl', command: `readl 0x${ECAM.toString(16)}\n`, mark: '\n' },
  gdbstub: { name: 'm', command: encodePacket(`m${ECAM.toString(16)},4`), mark: '#' },
} as const;

/** What QEMU's own server can do: commands written and answers counted, nothing parsed; and what pinbar makes of it. */
async function rawRates({ process: { transport: stream }, memory }: Session): Promise<Cell[][]> {
  const { name, command, mark } = raw[memory.source];
  const parsing = stream.listeners('data') as ((chunk: Buffer) => void)[];
  for (const listener of parsing) stream.off('data', listener);
  let answered: (answers: number) => void = () => undefined;
  const count = (chunk: Buffer) => {
    let answers = 0;
    for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + 1)) answers++;
    answered(answers);
  };
  stream.on('data', count);
  const exchange = (commands: string, expected: number) =>
    new Promise<void>((resolve) => {
      answered = (answers) => {
        expected -= answers;
        if (expected <= 0) resolve();
      };
      stream.write(commands);
    });
  await exchange(command.repeat(1000), 1000);
  const single = await timed(async () => {
    for (let i = 0; i < ONE_BY_ONE; i++) await exchange(command, 1);
  });
  const piped = await timed(() => exchange(command.repeat(PIPELINED), PIPELINED));
  stream.off('data', count);
  for (const listener of parsing) stream.on('data', listener);

  const access = new EcamAccess(memory, [{ segment: 0, base: BigInt(ECAM), firstBus: 0, lastBus: 255 }]);
  const scan = Array.from({ length: 256 * 8 }, (_, i): ConfigOp =>
    readOp({ segment: 0, bus: i >> 8, device: (i >> 3) & 31, fn: i & 7 }, 0, 4),
  );
  const scans: number[] = [];
  for (let i = 0; i < RUNS; i++) scans.push((await timed(() => access.batch(scan))).ms);
  const row = (what: string, accesses: number, ms: number): Cell[] => [
    what,
    accesses,
    ms,
    Math.round((accesses / ms) * 1000),
  ];
  return [
    row(`${name} of ECAM, one by one`, ONE_BY_ONE, single.ms),
    row(`${name} of ECAM, pipelined`, PIPELINED, piped.ms),
    row('ConfigAccess: scan of 256 slots x 8 functions, first', scan.length, scans[0] ?? NaN),
    row('ConfigAccess: scan of 256 slots x 8 functions, best', scan.length, least(scans)),
  ];
}

class Counting implements ConfigAccess {
  accesses = 0;
  batches = 0;

  constructor(private readonly inner: ConfigAccess) {}

  get source() {
    return this.inner.source;
  }
  get writable() {
    return this.inner.writable;
  }
  batch(ops: readonly ConfigOp[]): Promise<number[]> {
    this.accesses += ops.length;
    this.batches++;
    return this.inner.batch(ops);
  }
}

/** The spine, step by step, as `pinbar run` walks it. */
async function spine({ qmp, memory, version, process: { pid } }: Session) {
  const ms: Record<string, number> = {};
  const cpu: Record<string, number> = {};
  const counts: Record<string, { readonly accesses: number; readonly batches: number }> = {};
  let access: Counting | undefined;
  const step = async <T>(name: string, work: () => T | Promise<T>): Promise<T> => {
    const before = { accesses: access?.accesses ?? 0, batches: access?.batches ?? 0 };
    const used = processorTime(pid);
    const { ms: length, value } = await timed(work);
    ms[name] = length;
    cpu[name] = processorTime(pid) - used;
    counts[name] = {
      accesses: (access?.accesses ?? 0) - before.accesses,
      batches: (access?.batches ?? 0) - before.batches,
    };
    return value;
  };
  const machine = await step('read the device tree', async () => {
    const tree = await readDeviceTree(memory, await findDeviceTree(qmp));
    return virtMachine(tree, { arch: 'aarch64', lowPorts: false, otherRootBuses: [], qemu: version });
  });
  const counting = (access = new Counting(new EcamAccess(memory, machine.ecam)));
  const topology = await step('enumerate', () => enumerate(counting, machine.hosts));
  const plan = await step('solve', async () => {
    const names = new Map((await queryPci(qmp)).map((fn) => [`${fn.bus}:${fn.device}.${fn.fn}`, fn.id]));
    const name = ({ at }: { readonly at: Parameters<typeof formatBdf>[0] }) =>
      names.get(`${at.bus}:${at.device}.${at.fn}`) || formatBdf(at);
    return planOf(toMachine(topology, machine.base, { name }));
  });
  if (plan.functions.length !== TREE_FUNCTIONS)
    throw new Error(`the tree has ${plan.functions.length} functions, not ${TREE_FUNCTIONS}`);
  await step('program and read back', () => program(counting, programme(topology, plan)));
  const differences = await step('check against QEMU', async () => {
    const [seen, mtree] = await Promise.all([queryPci(qmp), qmp.monitor('info mtree')]);
    return crossCheck(plan, seen, mtree);
  });
  if (differences.length > 0) throw new Error(`QEMU disagrees:\n${differences.join('\n')}`);
  for (const each of [ms, cpu]) each['together'] = Object.values(each).reduce((sum, one) => sum + one, 0);
  counts['together'] = { accesses: counting.accesses, batches: counting.batches };
  return { ms, cpu, counts };
}

/** Milliseconds of processor time that all threads of a process have had: proc(5), /proc/PID/task/TID/schedstat. */
function processorTime(pid: number | undefined): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
}
