import { expect, it } from 'vitest';
import { AddressRange } from '../../src/address/range.js';
import { RangeSet } from '../../src/address/range-set.js';
import { moreRoomAbove, moreRoomBelow, open64, widerBridge } from '../../src/doctor/remedies/windows.js';
import type { Stack } from '../../src/doctor/scene/stack.js';
import { machineFrom } from '../../src/machine/load.js';
import { place } from '../../src/place/place.js';
import { startSession, type Session } from '../../src/qemu/session.js';
import { readFlatView } from '../lab/flat-view.js';
import { firmwareDrives, qemuBinary, type GuestArch, type QemuVersion } from '../lab/lab.js';
import { describeInLab } from '../lab/suite.js';

/*
 * Remedies that name an option of QEMU: the real one takes it without a word, and has the window that was promised.
 */

type Json = Readonly<Record<string, unknown>>;

/** QEMU before its first instruction, or with `runs` in the midst of its firmware. It may say nothing. */
async function started<T>(
  version: QemuVersion,
  arch: GuestArch,
  options: readonly string[],
  look: (session: Session) => Promise<T>,
): Promise<T> {
  const quiet = ['-display', 'none', '-nodefaults', '-serial', 'none', '-monitor', 'none'];
  const said: string[] = [];
  const session = await startSession(
    [qemuBinary(version, arch), ...quiet, ...options],
    'qtest',
    { onStderr: (chunk) => said.push(String(chunk)), onNotice: () => undefined },
    () => undefined,
  );
  try {
    return await look(session);
  } finally {
    await session.process.kill();
    expect(said.join('')).toBe('');
  }
}

const refusalOf = (version: QemuVersion, arch: GuestArch, options: readonly string[]): Promise<string> =>
  started(version, arch, options, () => Promise.resolve('')).then(
    () => 'accepted',
    (error: unknown) => String(error),
  );

/** The first remedy that names an option; what it promises is in its words. */
function remedyOf(machine: Json, functions: readonly Json[], names: RegExp, host: Json = {}): string {
  const id = machine['board'] === 'pc' ? 'pci.0' : 'pcie.0';
  const result = place(machineFrom({ pinbar: 1, machine, hostBridges: [{ id, ...host, functions }] }, 'test'));
  const found = result.status === 'infeasible' ? result.remedies.find(({ change }) => names.test(change)) : undefined;
  expect(found, result.status).toMatchObject({ verified: true });
  return found?.change ?? '';
}

const device = (size: string, more: Json = {}): Json => ({
  id: 'gpu',
  slot: '1.0',
  bars: [{ index: 0, type: 'mem64', prefetchable: true, size, ...more }],
});
const ports = (count: number): Json[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `rp${i}`,
    slot: `${(1 + (i >> 3)).toString(16)}.${i & 7}`,
    bridge: { kind: 'root-port', functions: [] },
  }));

/** `0x…-0x…` in a remedy's words. */
function rangeIn(change: string): string {
  const [range] = /0x[0-9a-f]+-0x[0-9a-f]+$/.exec(change) ?? [];
  expect(range).toBeDefined();
  return range ?? '';
}
const optionIn = (change: string, option: RegExp): string => {
  const [, value] = option.exec(change) ?? [];
  expect(value, change).toBeDefined();
  return value ?? '';
};
/** The properties that a remedy sets. */
const propertyIn = (change: string) => optionIn(change, /set the machine property (\S+=[^ :,]+)/);

async function pieces({ qmp }: Session, name: RegExp): Promise<string[]> {
  const found = readFlatView(await qmp.monitor('info mtree -f')).filter((piece) => name.test(piece.name));
  return [...RangeSet.of(found.map(({ range }) => range))].map(String);
}
const hole = async ({ qmp }: Session, board: string, property: string): Promise<bigint> => {
  const path = board === 'q35' ? '/machine/q35' : '/machine/i440fx';
  return BigInt((await qmp.execute('qom-get', { path, property })) as number);
};

const both: readonly QemuVersion[] = ['7.2', '10.0'];

describeInLab('remedies on aarch64 virt', ['qemu-7.2', 'qemu-10.0'], () => {
  const virt = (properties: Json = {}, more: Json = {}): Json => ({
    arch: 'aarch64',
    board: 'virt',
    ram: '1GiB',
    properties,
    ...more,
  });
  const windows = (session: Session) => pieces(session, /^gpex_mmio_window$/);

  it('highmem-mmio-size: the window is the one in the remedy, from QEMU 10.0 on', async () => {
    const change = remedyOf(virt(), [device('1TiB')], /highmem-mmio-size/);
    expect(change).toContain('(QEMU 10.0 or later)');
    const options = ['-machine', `virt,${propertyIn(change)}`, '-cpu', 'max', '-m', '1G'];
    expect(await started('10.0', 'aarch64', options, windows)).toContain(rangeIn(change));
    expect(await refusalOf('7.2', 'aarch64', options)).toContain('not found');
  });

  it('highmem-mmio-size with more address bits: a CPU has them', async () => {
    const pinned = device('256GiB', { pin: '0x6b8000000000' });
    const change = remedyOf(virt({}, { physicalAddressBits: 44 }), [pinned], /highmem-mmio-size/);
    expect(change).toContain('47 physical address bits instead of 44');
    const options = (cpu: string) => ['-machine', `virt,${propertyIn(change)}`, '-cpu', cpu, '-m', '1G'];
    expect(await started('10.0', 'aarch64', options('max'), windows)).toContain(rangeIn(change));
  });

  it.each([
    ['highmem', device('8GiB'), both],
    ['highmem-mmio', device('8GiB'), ['10.0'] as const],
  ])('%s left on: there is a 64-bit window', async (property, gpu, versions) => {
    expect(remedyOf(virt({ [property]: 'off' }), [gpu], /leave the machine property/)).toContain(
      `property ${property} on`,
    );
    for (const version of versions) {
      const options = (value: string) => ['-machine', `virt${value}`, '-cpu', 'max', '-m', '1G'];
      expect(await started(version, 'aarch64', options(`,${property}=off`), windows)).toHaveLength(1);
      expect(await started(version, 'aarch64', options(''), windows)).toContain('0x8000000000-0xffffffffff');
    }
  });

  it('highmem-ecam left on: there are 256 buses', async () => {
    expect(remedyOf(virt({ 'highmem-ecam': 'off' }), ports(20), /leave/)).toContain('property highmem-ecam on');
    const options = ['-machine', 'virt', '-cpu', 'max', '-m', '1G'];
    const [ecam] = await started('10.0', 'aarch64', options, (session) => pieces(session, /^pcie-mmcfg-mmio$/));
    expect(ecam).toBe(AddressRange.sized(0x40_1000_0000n, 256n << 20n).toString());
  });
});

describeInLab('remedies on PCs', ['qemu-7.2-x86_64', 'qemu-10.0-x86_64'], () => {
  const pc = (board: string, more: Json = {}): Json => ({ arch: 'x86_64', board, ram: '4GiB', ...more });
  const cases = both.flatMap((version) => ['q35', 'pc'].map((board) => [version, board] as const));

  it.each(cases)('QEMU %s, %s: phys-bits, as many as the remedy says', async (version, board) => {
    const pinned = device('1GiB', { pin: '0x20000000000' });
    const change = remedyOf(pc(board, { physicalAddressBits: 40 }), [pinned], /phys-bits/);
    const cpu = optionIn(change, /\(-cpu (MODEL,phys-bits=\d+)\)/).replace('MODEL', 'max');
    const bits = await started(version, 'x86_64', ['-machine', board, '-cpu', cpu, '-m', '4G'], async ({ qmp }) => {
      const [first] = (await qmp.execute('query-cpus-fast')) as { 'qom-path': string }[];
      return qmp.execute('qom-get', { path: first?.['qom-path'], property: 'phys-bits' });
    });
    expect(cpu).toBe(`max,phys-bits=${String(bits)}`);
    expect(change).toContain(`ends at 0x${((1n << BigInt(bits as number)) - 1n).toString(16)}`);
  });

  it('no CPU has more than 52 address bits: none is promised', async () => {
    const options = ['-machine', 'q35', '-cpu', 'max,phys-bits=53'];
    for (const version of both) expect(await refusalOf(version, 'x86_64', options)).toContain('between 32 and 52');
    const machine = machineFrom(
      {
        pinbar: 1,
        machine: pc('q35', { physicalAddressBits: 40 }),
        hostBridges: [{ id: 'pcie.0', functions: [device('1GiB', { pin: '0x20000000000000' })] }],
      },
      'test',
    );
    const result = place(machine);
    expect(result.status === 'infeasible' && result.remedies.filter(({ change }) => change.includes('bits'))).toEqual(
      [],
    );
  });

  it.each(cases)('QEMU %s, %s: max-ram-below-4g, and the 32-bit window begins there', async (version, board) => {
    const low = { id: 'fpga', slot: '1.0', bars: [{ index: 0, type: 'mem32', size: '1GiB' }] };
    // q35 has its ECAM at 0xb0000000.
    const ram = board === 'q35' ? '2560MiB' : '4GiB';
    const change = remedyOf(pc(board, { ram }), [low], /the 32-bit window then begins/);
    const options = ['-machine', `${board},${propertyIn(change)}`, '-m', ram.replace('iB', '')];
    const start = await started(version, 'x86_64', options, (session) => hole(session, board, 'pci-hole-start'));
    expect(change).toContain(`begins at 0x${start.toString(16)}`);
  });

  it.each(cases)('QEMU %s, %s: max-ram-below-4g, and RAM keeps off a reserved range', async (version, board) => {
    const machine = machineFrom(
      {
        pinbar: 1,
        machine: pc(board),
        reserved: [{ base: '0x7b000000', size: '8MiB', reason: 'RMRR' }],
        hostBridges: [{ id: board === 'pc' ? 'pci.0' : 'pcie.0', functions: [] }],
      },
      'test',
    );
    const result = place(machine);
    const change = result.status === 'infeasible' ? (result.remedies[0]?.change ?? '') : '';
    const options = ['-machine', `${board},${propertyIn(change)}`, '-m', '4G'];
    const ram = await started(version, 'x86_64', options, (session) => pieces(session, /^pc\.ram$/));
    const above = (ranges: readonly string[]) => ranges.filter((range) => range.startsWith('0x1')).join(' and ');
    expect(change).toContain(` and ${above(ram.slice(-1))}`);
    expect(ram.some((range) => range.endsWith('-0x3fffffff'))).toBe(true);
    expect(change).toContain('RAM is then 0x0-0x3fffffff');
  });
});

describeInLab(
  'remedies with OVMF',
  ['qemu-7.2-x86_64', 'qemu-10.0-x86_64', 'edk2-2022.11-x86_64', 'edk2-2025.02-x86_64'],
  () => {
    it.concurrent.each([
      ['7.2', '2022.11'],
      ['10.0', '2025.02'],
    ] as const)('QEMU %s, EDK2 %s: BARs lie in the window of the remedy', async (version, edk2) => {
      const machine = { arch: 'x86_64', board: 'q35', ram: '1GiB', physicalAddressBits: 40 };
      const windows = [
        { type: 'mem32', base: '0xc0000000', size: '0x3ec00000' },
        { type: 'mem64', base: '0x800000000', size: '32GiB' },
      ];
      const change = remedyOf(machine, [device('64GiB')], /OVMF/, { windows });
      const [base = 0n, limit = 0n] = rangeIn(change).split('-').map(BigInt);
      const options = [
        ...['-machine', 'q35', '-cpu', 'max', '-m', '1G', '-fw_cfg', optionIn(change, /-fw_cfg (\S+?):/)],
        ...firmwareDrives(edk2, 'x86_64'),
        ...['-device', 'pci-testdev,membar=64G'],
      ];
      const at = await started(version, 'x86_64', options, async ({ qmp }) => {
        await qmp.execute('cont');
        for (let tries = 0; tries < 300; tries++) {
          const [, found] = /64 bit prefetchable memory at (0x[0-9a-f]+) /.exec(await qmp.monitor('info pci')) ?? [];
          if (found !== undefined && BigInt(found) < 1n << 63n && BigInt(found) > 0n) return BigInt(found);
          await new Promise((wake) => setTimeout(wake, 300));
        }
        throw new Error('OVMF has not placed the BAR');
      });
      expect(at).toBeGreaterThanOrEqual(base);
      expect(at + (64n << 30n) - 1n).toBeLessThanOrEqual(limit);
      // At the window's beginning: by itself OVMF puts it elsewhere.
      expect(at).toBe(base);
    });
  },
);

describeInLab('remedies of the doctor', ['qemu-7.2', 'qemu-10.0', 'qemu-7.2-x86_64', 'qemu-10.0-x86_64'], () => {
  const need = 96n << 30n;
  const stack = (arch: 'x86_64' | 'aarch64'): Stack => ({
    ...{ isGuest: true, vmm: 'qemu', deviceTree: arch === 'aarch64', arch },
    ...{ kernel: undefined, pciOptions: new Set(), firmware: undefined },
  });
  /** What of a remedy's words is an option of QEMU. */
  const optionsIn = (change: string): string[][] =>
    [...change.matchAll(/-(global|machine|device|fw_cfg|cpu) ([^\s,;()]+(?:,[^\s;()]+)*)/g)].map(
      ([, option, value]) => [`-${option}`, (value ?? '').replace(',…', '')],
    );
  const remedies = (arch: 'x86_64' | 'aarch64') => {
    const own = stack(arch);
    return [
      ...moreRoomAbove(own, need),
      ...open64(own, need, true),
      ...moreRoomBelow(own, 1n << 28n),
      ...widerBridge(own, need, true, false),
      ...widerBridge(own, 1n << 28n, false, false),
    ].filter(({ where }) => where === 'qemu');
  };

  const names = {
    x86_64: [
      ...['-cpu max,host-phys-bits', '-global q35-pcihost.pci-hole64-size', '-machine pc,max-ram-below-4g'],
      ...['-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string'],
      ...['-device pcie-root-port,mem-reserve', '-device pcie-root-port,pref64-reserve'],
    ],
    aarch64: [
      ...['-machine virt', '-machine virt,highmem-mmio-size'],
      ...['-device pcie-root-port,mem-reserve', '-device pcie-root-port,pref64-reserve'],
    ],
  };

  it.each([
    ['x86_64', 'q35'],
    ['aarch64', 'virt'],
  ] as const)('%s: QEMU takes every option', async (arch, board) => {
    const tried = new Set<string>();
    for (const { change } of remedies(arch)) {
      for (const [option = '', value = ''] of optionsIn(change)) {
        const versions = /QEMU 10\.0 and later/.test(change) ? (['10.0'] as const) : both;
        // `host` needs KVM.
        const own = [option, value.replace(/^host,/, 'max,')];
        const more = option === '-machine' ? [] : ['-machine', board];
        for (const version of versions) await started(version, arch, [...more, ...own], () => Promise.resolve());
        // How much is for the doctor to say.
        tried.add(own.join(' ').replace(/=[^=]*$/, ''));
      }
    }
    expect([...tried]).toEqual(expect.arrayContaining(names[arch]));
  });

  it('the host bridge of pc, too', async () => {
    const [, name] =
      moreRoomAbove(stack('x86_64'), need)
        .map(({ change }) => /\((\S+) for pc/.exec(change))
        .find(Boolean) ?? [];
    const options = ['-machine', 'pc', '-global', `${name ?? ''}.pci-hole64-size=64G`];
    for (const version of both) {
      const size = await started(version, 'x86_64', options, ({ qmp }) =>
        qmp.execute('qom-get', { path: '/machine/i440fx', property: 'pci-hole64-size' }),
      );
      expect(size).toBe(64 * 2 ** 30);
    }
  });
});
