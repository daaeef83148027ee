import { describe, expect, it } from 'vitest';
import { machineOf } from '../../test/machines.js';
import { parsePinOption } from './args/pins.js';
import { runRequest, type RunRequest } from './request.js';

const QEMU = 'qemu-system-aarch64';
const boot = ['-kernel', 'Image'];

function request(
  words: readonly string[],
  more: { pins?: string[]; program?: string; transport?: 'qtest' | 'gdb' } = {},
) {
  const notices: string[] = [];
  const made = runRequest([more.program ?? QEMU, ...words], {
    pins: (more.pins ?? []).flatMap(parsePinOption),
    transport: more.transport ?? 'qtest',
    verify: false,
    notice: (text) => notices.push(text),
  });
  return { ...made, notices };
}
/** What was put behind the user's own words, which stay as they are. */
function added(words: readonly string[]): string[] {
  const { argv } = request(words);
  expect(argv.slice(0, words.length + 1)).toEqual([QEMU, ...words]);
  return argv.slice(words.length + 1);
}
const virt = (...words: string[]) => ['-machine', 'virt', '-nodefaults', ...boot, ...words];
const problem = (code: string, text: string) =>
  expect.objectContaining({ code, exit: 1, message: expect.stringContaining(text) as string }) as Error;

describe('the proposed options', () => {
  it('of the series’ own command line are taken out, and mean what they say', () => {
    const words =
      '-machine virt,gic-version=3,pcie-mmio-window=0x400000000000:0x400000000000,pci-pre-enum=on -cpu max -m 4G -nographic -device pcie-root-port,id=rp1,chassis=1 -device pci-testdev,id=dev0,bus=rp1,membar=64G -set device.dev0.fixed-bars=bar2@0x6b8000000000 -kernel Image -initrd initrd -append console=ttyAMA0';
    const made = request(words.split(' '));
    expect(made.argv.join(' ')).toBe(
      `${QEMU} -machine virt,gic-version=3 -cpu max -m 4G -nographic -device pcie-root-port,id=rp1,chassis=1 -device pci-testdev,id=dev0,bus=rp1,membar=64G -kernel Image -initrd initrd -append console=ttyAMA0 -serial mon:stdio -machine highmem-mmio-size=64T`,
    );
    expect(made).toMatchObject({
      machine: { arch: 'aarch64', board: 'virt', type: 'virt' },
      pins: [
        {
          id: 'dev0',
          target: 2,
          address: 0x6b80_0000_0000n,
          source: '-set device.dev0.fixed-bars=bar2@0x6b8000000000',
        },
      ],
      mmioWindow: { base: 0x4000_0000_0000n, size: 0x4000_0000_0000n },
      paused: false,
      verify: false,
      notices: [],
    });
  });

  it('and --pin come together, each BAR once', () => {
    const words = virt('-device', 'nvme,id=a,fixed-bars=bar0@0x8000000000', '-device', 'nvme,id=b');
    const made = request(words, { pins: ['b=bar0@0x8100000000,rom@0x10000000', 'a=bar0@0x8000000000'] });
    expect(made.pins.map(({ id, target, address }) => [id, target, address])).toEqual([
      ['a', 0, 0x80_0000_0000n],
      ['b', 0, 0x81_0000_0000n],
      ['b', 'rom', 0x1000_0000n],
    ]);
    expect(() => request(words, { pins: ['a=bar0@0x8100000000'] })).toThrow(
      problem('pin-conflict', 'bar0 of a is pinned at'),
    );
    expect(() => request(words, { pins: ['c=bar0@0x0'] })).toThrow(
      problem('pin-unknown-device', 'no -device has the id "c"'),
    );
  });

  it('a machine file goes along', () => {
    const machineFile = { machine: machineOf([]), name: 'm.yaml' };
    const made = runRequest([QEMU, ...virt()], {
      pins: [],
      machineFile,
      transport: 'gdb',
      verify: true,
      notice: () => undefined,
    });
    expect(made).toMatchObject({ machineFile, transport: 'gdb', verify: true });
  });
});

describe('the monitor that QEMU would have made by itself', () => {
  const plain = (...words: string[]) => ['-M', 'virt', ...boot, ...words];
  it.each<[string, string[], string[]]>([
    ['in a window', [], ['-monitor', 'vc:80Cx24C']],
    ['on the serial line', ['-nographic'], ['-serial', 'mon:stdio']],
    ['on standard output beside another serial line', ['-nographic', '-serial', 'file:log'], ['-monitor', 'stdio']],
    ['in a window beside another serial line', ['-serial', 'stdio'], ['-monitor', 'vc:80Cx24C']],
    ['is not there with -nodefaults', ['-nodefaults'], []],
    ['is not there with -monitor', ['-monitor', 'none'], []],
    ['is not there with -qmp', ['-nographic', '-qmp', 'unix:s'], []],
    ['is not there with -qmp-pretty', ['-qmp-pretty', 'unix:s'], []],
    ['is not there with -mon', ['-mon', 'chardev=c'], []],
  ])('%s', (_, words, extra) => {
    expect(added(plain(...words))).toEqual(extra);
  });
});

describe('pcie-mmio-window', () => {
  const window = (range: string, ...words: string[]) =>
    request(['-M', `virt,pcie-mmio-window=${range}`, '-nodefaults', ...boot, ...words]).argv;

  it.each([
    ['the board’s own window', '0x8000000000:0x8000000000', undefined],
    ['a part of it', '0xc000000000:0x4000000000', undefined],
    ['the next power of two', '0x10000000000:0x10000000000', '1T'],
    ['a part of a larger one', '0x6b8000000000:0x8000000000', '64T'],
    ['the largest', '0x8000000000000:0x8000000000000', '2P'],
  ])('%s', (_, range, size) => {
    const words = [QEMU, '-M', 'virt', '-nodefaults', ...boot];
    expect(window(range)).toEqual([...words, ...(size === undefined ? [] : ['-machine', `highmem-mmio-size=${size}`])]);
  });

  it('goes up with RAM, which lies below it', () => {
    // 600 GiB of RAM end above 512 GiB: the window of that size begins at 1 TiB.
    expect(window('0x10000000000:0x8000000000', '-m', '600G')).not.toContain('-machine');
    expect(window('0x10000000000:0x8000000000', '-m', '1G,maxmem=600G')).not.toContain('-machine');
    expect(window('0x10000000000:0x8000000000', '-m', '1G').at(-1)).toBe('highmem-mmio-size=1T');
  });

  it('does not overrule the user', () => {
    expect(window('0x400000000000:0x400000000000', '-M', 'highmem-mmio-size=128T').slice(-2)).toEqual([
      '-M',
      'highmem-mmio-size=128T',
    ]);
  });

  it.each([
    ['below the board’s', '0x4000000000:0x4000000000', '0x8000000000-0xffffffffff'],
    ['as large as everything below it', '0x20000000000000:0x20000000000000', ''],
  ])('%s is refused', (_, range, hint) => {
    expect(() => window(range)).toThrow(
      expect.objectContaining({
        code: 'window-impossible',
        exit: 1,
        hint: expect.stringContaining(hint) as string,
      }) as Error,
    );
  });
});

describe('what cannot be kept is refused', () => {
  it.each([
    ['daemonize', ['-daemonize'], 'stays beside QEMU'],
    ['incoming', ['-incoming', 'defer'], 'incoming migration'],
    ['loadvm', ['-loadvm', 'a'], 'snapshot'],
    ['preconfig', ['--preconfig'], 'no machine to program'],
    ['qtest', ['-qtest', 'stdio'], 'one qtest server'],
    ['qtest-log', ['-qtest-log', 'none'], 'one qtest server'],
  ])('-%s', (option, words, why) => {
    expect(() => request(virt(...words))).toThrow(
      expect.objectContaining({
        code: 'option-refused',
        facts: { option },
        hint: expect.any(String) as string,
        message: expect.stringContaining(why) as string,
      }) as Error,
    );
  });

  it.each([
    ['gdb', ['-gdb', 'tcp::1234'], 'one gdbstub'],
    ['s', ['-s'], 'one gdbstub'],
    ['semihosting', ['-semihosting'], 'semihosting'],
    ['semihosting-config', ['-semihosting-config', 'enable=on'], 'semihosting'],
  ])('-%s with --transport gdb alone', (option, words, why) => {
    expect(() => request(virt(...words), { transport: 'gdb' })).toThrow(problem('option-refused', why));
    expect(request(virt(...words)).argv).toContain(`-${option}`);
  });

  it.each(['qtest', 'qtest-log'])('-%s but with --transport gdb, which leaves it to the user', (option) => {
    expect(request(virt(`-${option}`, 'none'), { transport: 'gdb' }).argv).toContain(`-${option}`);
  });

  it.each([['-version'], ['-h'], ['-device help'], ['-M help'], ['-M virt,dumpdtb=a']])(
    '%s, for which there is no machine',
    (words) => {
      expect(() => request(words.split(' '))).toThrow(problem('option-refused', 'QEMU would print something and end'));
    },
  );

  it.each([
    ['no machine', [...boot], QEMU, 'machine-missing'],
    ['another board', ['-M', 'sbsa-ref', ...boot], QEMU, 'machine-unsupported'],
    ['no board', ['-M', 'none', ...boot], QEMU, 'machine-unsupported'],
    ['another architecture', virt(), '/usr/bin/qemu-system-x86_64', 'machine-unsupported'],
    ['nothing to run', ['-M', 'virt'], QEMU, 'kernel-missing'],
  ])('%s', (_, words, program, code) => {
    expect(() => request(words, { program })).toThrow(expect.objectContaining({ code, exit: 1 }) as Error);
  });

  it.each(['virt', 'virt-7.2', 'type=virt-10.0'])('the board %s is fine, and so is any program’s path', (board) => {
    for (const program of ['/opt/qemu/bin/qemu-system-aarch64', './my-qemu']) {
      expect(request(['-machine', board, ...boot], { program }).machine).toMatchObject({
        arch: 'aarch64',
        board: 'virt',
      });
    }
  });
});

describe('what the guest starts', () => {
  it('may be loaded by hand, or later', () => {
    expect(request(['-M', 'virt', '-device', 'loader,file=a,addr=0x40000000']).notices).toEqual([]);
    expect(request(['-M', 'virt', '-S']).paused).toBe(true);
  });

  it.each([['-bios'], ['-pflash']])('firmware (%s) is given the driver, if that is not left out', (option) => {
    const words = ['-M', 'virt', '-nodefaults', option, 'edk2.fd'];
    const made = request(words);
    expect(made.argv.slice(-2)).toEqual(['-global', 'gpex-root.romfile=/proc/self/fd/5']);
    expect(made).toMatchObject({ firmware: { name: 'edk2.fd', driver: true }, strict: false });
    expect(made.files).toHaveLength(1);
    const without = runRequest([QEMU, ...words], {
      pins: [],
      transport: 'qtest',
      verify: false,
      strict: true,
      uefiDriver: false,
      notice: () => undefined,
    });
    expect(without.argv).toEqual([QEMU, ...words]);
    expect(without).toMatchObject({ firmware: { name: 'edk2.fd', driver: false }, files: [], strict: true });
  });

  it('pci-pre-enum=off with pins is said to be of no effect', () => {
    const words = ['-M', 'virt,pci-pre-enum=off', ...boot, '-device', 'nvme,id=a'];
    expect(request(words).notices).toEqual([]);
    expect(request(words, { pins: ['a=bar0@0x8000000000'] }).notices).toEqual([
      expect.stringContaining('pci-pre-enum=off'),
    ]);
  });
});

describe('what happens at the end', () => {
  const defaults: RunRequest['actions'] = { reboot: 'reset', shutdown: 'poweroff', panic: 'shutdown' };
  it.each<[string[], Partial<RunRequest['actions']>]>([
    [[], {}],
    [['-no-reboot'], { reboot: 'shutdown' }],
    [['-no-shutdown'], { shutdown: 'pause' }],
    [
      ['-action', 'reboot=shutdown,shutdown=pause,panic=none'],
      { reboot: 'shutdown', shutdown: 'pause', panic: 'none' },
    ],
    [['-action', 'panic=exit-failure'], { panic: 'exit-failure' }],
    [['-action', 'panic=pause'], { panic: 'pause' }],
    [['-no-reboot', '-action', 'reboot=reset'], {}],
    [['-action', 'reboot=reset', '-no-reboot'], { reboot: 'shutdown' }],
  ])('with %j', (words, actions) => {
    expect(request(virt(...words)).actions).toEqual({ ...defaults, ...actions });
  });
});
