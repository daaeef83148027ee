import { expect, it } from 'vitest';
import { AddressRange } from '../../src/address/range.js';
import { RangeSet } from '../../src/address/range-set.js';
import type { BoardMap } from '../../src/machine/boards/board.js';
import { boards } from '../../src/machine/boards/boards.js';
import { parseRelease } from '../../src/machine/boards/release.js';
import { startSession } from '../../src/qemu/session.js';
import { readFlatView, type FlatPiece } from '../lab/flat-view.js';
import { qemuBinary, type QemuVersion } from '../lab/lab.js';
import { describeInLab } from '../lab/suite.js';

/** The map of a board beside what QEMU itself says of the machine, which stands before its first instruction. */
interface Combination {
  readonly board: string;
  /** In MiB. */
  readonly ram: number;
  readonly properties?: Readonly<Record<string, string>>;
  readonly cpu?: readonly [name: string, addressBits: number];
  /** Of QEMU's options, what only says something that the map does not depend on. */
  readonly more?: readonly string[];
  readonly on?: readonly QemuVersion[];
}

const both: readonly QemuVersion[] = ['7.2', '10.0'];
const only10: readonly QemuVersion[] = ['10.0'];

// prettier-ignore
const combinations: readonly Combination[] = [
  { board: 'virt-aarch64', ram: 1024 },
  { board: 'virt-aarch64', ram: 4096, properties: { 'gic-version': '3' }, cpu: ['max', 48] },
  { board: 'virt-aarch64', ram: 2048, properties: { 'gic-version': '2', virtualization: 'on' }, cpu: ['cortex-a72', 44] },
  { board: 'virt-aarch64', ram: 2048, properties: { highmem: 'off' }, cpu: ['cortex-a57', 44] },
  { board: 'virt-aarch64', ram: 512, cpu: ['cortex-a35', 40], properties: { 'gic-version': '3', its: 'off', iommu: 'smmuv3' } },
  { board: 'virt-aarch64', ram: 1024, properties: { maxmem: '300G', slots: '4', secure: 'on' }, cpu: ['max', 48] },
  { board: 'virt-aarch64', ram: 1024, properties: { 'highmem-mmio-size': '64T' }, cpu: ['max', 52], on: only10 },
  { board: 'virt-aarch64', ram: 1024, properties: { 'highmem-mmio-size': '2T' }, cpu: ['cortex-a35', 40], on: only10 },
  { board: 'virt-aarch64', ram: 1024, properties: { 'highmem-ecam': 'off' }, cpu: ['max', 52], on: only10 },
  { board: 'virt-aarch64', ram: 1024, properties: { 'highmem-mmio': 'off', 'highmem-redists': 'off' }, cpu: ['max', 52], on: only10 },
  { board: 'virt-aarch64', ram: 1024, properties: { 'highmem-redists': 'off', maxmem: '510G', 'compact-highmem': 'on' }, cpu: ['max', 52], on: only10 },
  { board: 'virt-aarch64', ram: 1024, properties: { 'highmem-redists': 'off', maxmem: '510G', 'compact-highmem': 'off' }, cpu: ['max', 52], on: only10 },
  { board: 'virt-riscv64', ram: 1024 },
  { board: 'virt-riscv64', ram: 4096 },
  { board: 'virt-riscv64', ram: 15 * 1024 },
  { board: 'virt-riscv64', ram: 2048, properties: { aia: 'aplic-imsic', aclint: 'on' } },
  { board: 'virt-riscv64', ram: 2048, properties: { aia: 'aplic', aclint: 'on' } },
  { board: 'virt-riscv64', ram: 2048, properties: { 'iommu-sys': 'on' }, on: only10 },
  { board: 'q35', ram: 1024 },
  { board: 'q35', ram: 2815 },
  { board: 'q35', ram: 2816 },
  { board: 'q35', ram: 8192, cpu: ['qemu64,phys-bits=42', 42] },
  { board: 'q35', ram: 4096, properties: { 'max-ram-below-4g': '1G', maxmem: '16G', slots: '2' } },
  { board: 'pc', ram: 1024 },
  { board: 'pc', ram: 3583 },
  { board: 'pc', ram: 3584 },
  { board: 'pc', ram: 6144, properties: { 'max-ram-below-4g': '2G' } },
];

const named = ({ board, ram, properties = {}, cpu }: Combination) =>
  [board, `${ram} MiB`, ...Object.entries(properties).map(([key, value]) => `${key}=${value}`), cpu?.[0] ?? '']
    .join(' ')
    .trim();

interface Seen {
  readonly pieces: readonly FlatPiece[];
  /** Of a PC: first address of the 32-bit PCI hole, one past its last, first address of the 64-bit one. */
  readonly holes?: readonly bigint[];
}

async function seen(
  { board: id, ram, properties = {}, cpu, more = [] }: Combination,
  version: QemuVersion,
): Promise<Seen> {
  const board = boards.find((one) => one.id === id)!;
  const { maxmem, slots, ...machine } = properties;
  const memory = [`${ram}M`, ...(maxmem ? [`maxmem=${maxmem}`] : []), ...(slots ? [`slots=${slots}`] : [])];
  const argv = [
    ...[qemuBinary(version, board.arch), '-display', 'none', '-nodefaults', '-serial', 'none', '-monitor', 'none'],
    ...['-machine', [board.name, ...Object.entries(machine).map(([key, value]) => `${key}=${value}`)].join()],
    ...['-m', memory.join(), ...(cpu ? ['-cpu', cpu[0]] : []), ...more],
  ];
  const said: string[] = [];
  const session = await startSession(
    argv,
    'qtest',
    { onStderr: (chunk) => said.push(String(chunk)), onNotice: () => undefined },
    () => undefined,
  );
  try {
    const pieces = readFlatView(await session.qmp.monitor('info mtree -f'));
    if (board.arch !== 'x86_64') return { pieces };
    const path = board.name === 'q35' ? '/machine/q35' : '/machine/i440fx';
    const holes = [];
    for (const property of ['pci-hole-start', 'pci-hole-end', 'pci-hole64-start']) {
      holes.push(BigInt((await session.qmp.execute('qom-get', { path, property })) as number));
    }
    return { pieces, holes };
  } finally {
    await session.process.kill();
    expect(said.join('')).toBe('');
  }
}

const strings = (ranges: Iterable<AddressRange>) => [...RangeSet.of(ranges)].map(String);
const of = (pieces: readonly FlatPiece[], name: RegExp) =>
  pieces.filter((one) => name.test(one.name)).map(({ range }) => range);
/** On a PC, what lies below 1 MiB lies over RAM. */
const LEGACY = AddressRange.of(0xa0000n, 0xfffffn);
const mainRam = /^(?:mach-virt\.ram|riscv_virt_board\.ram|pc\.ram)$/;

/** Every address that answers is in the map, and everything in the map that has to answer does. */
function agree(map: BoardMap, { pieces, holes }: Seen, isPc: boolean) {
  const beside = (ranges: Iterable<AddressRange>) => strings(RangeSet.of(ranges).subtract(isPc ? [LEGACY] : []));
  expect(beside(of(pieces, mainRam))).toEqual(beside(map.ram));

  const memory = map.hostBridge.windows.filter(({ type }) => type !== 'io');
  const windows = memory.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size));
  if (holes) {
    const [start = 0n, end = 0n, start64 = 0n] = holes;
    const ecam = map.regions.filter(({ use }) => use === 'ecam').map(({ range }) => range);
    const low = windows.filter(({ limit }) => limit < 1n << 32n);
    expect(strings(low)).toEqual(strings(RangeSet.of([AddressRange.of(start, end - 1n)]).subtract(ecam)));
    expect(windows.find(({ base }) => base >= 1n << 32n)?.base).toBe(start64);
  } else {
    expect(strings(of(pieces, /^gpex_mmio_window$/))).toEqual(strings(windows));
    const ports = map.hostBridge.windows.filter(({ type }) => type === 'io');
    expect(strings(of(pieces, /^gpex_ioport_window$/))).toEqual(
      ports.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size).toString()),
    );
    const ecam = map.regions.filter(({ use }) => use === 'ecam').map(({ range }) => range);
    expect(strings(of(pieces, /^pcie-mmcfg-mmio$/))).toEqual(strings(ecam));
    const [first, last] = map.hostBridge.buses;
    expect(BigInt(last - first + 1) << 20n).toBe(ecam[0]?.size);
  }

  const inMap = RangeSet.of([
    ...map.ram,
    ...windows,
    ...map.regions.map(({ range }) => range),
    ...(holes ? [] : map.hostBridge.windows.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size))),
  ]);
  expect(
    pieces.filter(({ range }) => !inMap.covers(range)).map(({ range, name }) => `${range.toString()} ${name}`),
  ).toEqual([]);
  const answers = (range: AddressRange) =>
    pieces.some((piece) => piece.range.base === range.base || (isPc && piece.range.contains(range.base)));
  const silent = map.regions.filter(({ use, range }) => use !== 'kept' && !(isPc && use === 'ecam') && !answers(range));
  expect(silent.map(({ name }) => name)).toEqual([]);

  // Nothing of the map lies on anything else of it, but for the first MiB of a PC and what firmware takes from its RAM.
  const over = map.regions.filter(({ range, name }) => !LEGACY.covers(range) && !name.startsWith('TSEG'));
  const all = [...map.ram, ...windows, ...over.map(({ range }) => range)].sort((a, b) => (a.base < b.base ? -1 : 1));
  expect(
    all.flatMap((range, i) =>
      all[i + 1]?.overlaps(range) ? [`${range.toString()} and ${all[i + 1]!.toString()}`] : [],
    ),
  ).toEqual([]);
}

describeInLab(
  'maps of boards are QEMU’s',
  ['qemu-7.2', 'qemu-10.0', 'qemu-7.2-riscv64', 'qemu-10.0-riscv64', 'qemu-7.2-x86_64', 'qemu-10.0-x86_64'],
  () => {
    const cases = combinations.flatMap((one) => (one.on ?? both).map((version) => [version, named(one), one] as const));
    it.each(cases)('QEMU %s: %s', async (version, _, combination) => {
      const { board: id, ram, properties = {}, cpu } = combination;
      const board = boards.find((one) => one.id === id)!;
      const options = {
        ram: BigInt(ram) << 20n,
        properties,
        qemu: parseRelease(version),
        physicalAddressBits: cpu?.[1],
      };
      agree(board.map(options), await seen(combination, version), board.arch === 'x86_64');
    });
  },
);
