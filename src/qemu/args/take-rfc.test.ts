import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../problem/problem.js';
import { formatQemuArgs, parseQemuArgs } from './command-line.js';
import { controlOf } from './control.js';
import { devicesOf } from './devices.js';
import { requireDeviceIds } from './known-ids.js';
import { bootOf, memoryOf } from './machine.js';
import { parsePinList, parsePinOption } from './pins.js';
import { takeRfc } from './take-rfc.js';

const read = (...words: string[]) => parseQemuArgs(['qemu-system-aarch64', ...words]);
const take = (...words: string[]) => {
  const { command, ...rest } = takeRfc(read(...words));
  return {
    ...rest,
    words: formatQemuArgs(command).slice(1),
    pins: rest.pins.map(({ id, bar, address }) => ({ id, bar, address })),
  };
};
function problemOf(run: () => unknown): Problem {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('no Problem');
}

const dev0 = ['-device', 'pci-testdev,id=dev0,bus=rp1,membar=64G'];
const bar2 = { id: 'dev0', bar: 2, address: 0x6b8000000000n };
const bar4 = { id: 'dev0', bar: 4, address: 0x6c8000000000n };
const list = 'bar2@0x6b8000000000,bar4@0x6c8000000000';

describe('the options of the QEMU series', () => {
  it('as its cover letter has them', () => {
    const taken = take(
      ...['-machine', 'virt,gic-version=3,pcie-mmio-window=0x400000000000:0x400000000000,pci-pre-enum=on', '-m', '4G'],
      ...['-device', 'vfio-pci,host=0009:06:00.0,id=dev0', '-set', `device.dev0.fixed-bars=${list}`],
    );
    expect(taken).toEqual({
      words: ['-machine', 'virt,gic-version=3', '-m', '4G', '-device', 'vfio-pci,host=0009:06:00.0,id=dev0'],
      pins: [bar2, bar4],
      preEnumerate: true,
      mmioWindow: {
        base: 1n << 46n,
        size: 1n << 46n,
        where: { index: 1, text: expect.stringContaining('-machine virt') as string },
      },
      fixedRootPorts: [],
    });
  });

  it.each([
    ['escaped commas', `pci-testdev,fixed-bars=${list.replace(',', ',,')},id=dev0,membar=64G`],
    ['single commas', `pci-testdev,fixed-bars=${list},id=dev0,membar=64G`],
    ['two lists', `pci-testdev,fixed-bars=bar2@0x6b8000000000,id=dev0,membar=64G,fixed-bars=bar4@0x6c8000000000`],
    ['the successor', `pci-testdev,id=dev0,membar=64G,pci-bars=${list}`],
  ])('inside -device with %s', (_, text) => {
    expect(take('--device', text)).toMatchObject({
      words: ['--device', 'pci-testdev,id=dev0,membar=64G'],
      pins: [bar2, bar4],
    });
  });

  it('inside JSON, where the rest stays as it is', () => {
    const text = `{"driver": "pci-testdev", "fixed-bars":"${list}","id":"dev0","membar":18446744073709551615}`;
    expect(take('-device', text)).toMatchObject({
      words: ['-device', '{"driver": "pci-testdev","id":"dev0","membar":18446744073709551615}'],
      pins: [bar2, bar4],
    });
  });

  it('gives a pinned device without id one that is free', () => {
    expect(
      take(
        '-device',
        'nvme,id=pinbar-0',
        '-device',
        'nvme,,x=1,fixed-bars=rom@0x1000',
        '-device',
        '{"driver":"edu","fixed-bars":"bar0@4096"}',
      ),
    ).toMatchObject({
      words: [
        '-device',
        'nvme,id=pinbar-0',
        '-device',
        'nvme,,x=1,id=pinbar-1',
        '-device',
        '{"id":"pinbar-2","driver":"edu"}',
      ],
      pins: [
        { id: 'pinbar-1', bar: 'rom', address: 0x1000n },
        { id: 'pinbar-2', bar: 0, address: 4096n },
      ],
    });
  });

  it('-global for the one device of a driver, -set for an id with a dot', () => {
    expect(
      take(
        '-global',
        `pci-testdev.fixed-bars=${list}`,
        '-device',
        'pci-testdev',
        '-device',
        'nvme,id=a.b',
        '-set',
        'device.a.b.pci-bars=vf0@0x10',
      ),
    ).toMatchObject({
      words: ['-device', 'pci-testdev,id=pinbar-0', '-device', 'nvme,id=a.b'],
      pins: [
        { ...bar2, id: 'pinbar-0' },
        { ...bar4, id: 'pinbar-0' },
        { id: 'a.b', bar: 'vf0', address: 0x10n },
      ],
    });
  });

  it('fixed-bar of root ports, and a -machine that holds nothing else', () => {
    expect(
      take(
        '-M',
        'pci-pre-enum=off',
        '-device',
        'pcie-root-port,id=rp1,fixed-bar=on',
        '-device',
        '{"driver":"pcie-root-port","fixed-bar":false}',
      ),
    ).toMatchObject({
      words: ['-device', 'pcie-root-port,id=rp1', '-device', '{"id":"pinbar-0","driver":"pcie-root-port"}'],
      preEnumerate: false,
      fixedRootPorts: [{ id: 'rp1' }],
    });
  });

  it('the same pin twice is one', () => {
    expect(
      take(...dev0, '-set', `device.dev0.fixed-bars=${list}`, '-set', `device.dev0.fixed-bars=bar2@0x6b8000000000`)
        .pins,
    ).toEqual([bar2, bar4]);
  });

  it.each([
    [
      'unknown id',
      [...dev0, '-set', 'device.dev1.fixed-bars=bar2@0x1'],
      'pin-unknown-device',
      'did you mean dev0? the ids are: dev0',
    ],
    ['no ids at all', ['-set', 'device.dev1.fixed-bars=bar2@0x1'], 'pin-unknown-device', 'no -device has an id'],
    ['BAR 6', [...dev0, '-set', 'device.dev0.fixed-bars=bar6@0x1'], 'pin-bar', 'rom@'],
    ['no @', [...dev0, '-set', 'device.dev0.fixed-bars=bar2'], 'pin-syntax', 'barN@ADDRESS'],
    ['no BAR', [...dev0, '-set', 'device.dev0.fixed-bars=region2@0x1'], 'pin-syntax', 'barN@ADDRESS'],
    ['no number', [...dev0, '-set', 'device.dev0.fixed-bars=bar2@here'], 'pin-address', '0x6b8000000000'],
    ['no address', [...dev0, '-set', 'device.dev0.fixed-bars=bar2@'], 'pin-address', '0x6b8000000000'],
    ['66 bits', [...dev0, '-set', 'device.dev0.fixed-bars=bar2@0x20000000000000000'], 'pin-address', '0x'],
    ['octal', [...dev0, '-set', 'device.dev0.fixed-bars=bar2@010'], 'pin-address', 'octal'],
    ['empty list', [...dev0, '-set', 'device.dev0.fixed-bars='], 'pin-syntax', 'barN@ADDRESS'],
    ['trailing comma', [...dev0, '-set', 'device.dev0.fixed-bars=bar2@0x1,'], 'pin-syntax', 'barN@ADDRESS'],
    ['trailing comma in -device', ['-device', 'nvme,id=a,fixed-bars=bar2@0x1,'], 'pin-syntax', 'barN@ADDRESS'],
    ['a continuation without address', ['-device', 'nvme,id=a,fixed-bars=bar2@0x1,bar4'], 'pin-syntax', 'barN@ADDRESS'],
    ['no value', ['-device', 'nvme,id=a,fixed-bars'], 'pin-syntax', 'barN@ADDRESS'],
    ['a number in JSON', ['-device', '{"driver":"nvme","id":"a","fixed-bars":2}'], 'pin-syntax', '"fixed-bars":"bar2@'],
    ['two addresses', [...dev0, '-set', 'device.dev0.fixed-bars=bar2@0x1,bar2@0x2'], 'pin-conflict', 'one address'],
    [
      '-global for two',
      ['-device', 'nvme', '-device', 'nvme', '-global', 'nvme.fixed-bars=bar0@0x1'],
      'pin-global',
      '-set device.ID',
    ],
    ['-global for none', ['-global', 'nvme.fixed-bars=bar0@0x1'], 'pin-global', '-set device.ID'],
    ['pci-pre-enum=maybe', ['-M', 'virt,pci-pre-enum=maybe'], 'pci-pre-enum', 'pci-pre-enum=on'],
    ['pci-pre-enum', ['-M', 'virt,pci-pre-enum'], 'pci-pre-enum', 'pci-pre-enum=on'],
    ['window without colon', ['-M', 'virt,pcie-mmio-window=0x400000000000'], 'pcie-mmio-window', 'BASE:SIZE'],
    ['window without size', ['-M', 'virt,pcie-mmio-window=0x400000000000:'], 'pcie-mmio-window', 'hexadecimal'],
    ['window of no bytes', ['-M', 'virt,pcie-mmio-window=0x400000000000:0'], 'pcie-mmio-window', 'BASE:SIZE'],
    ['window with a strange unit', ['-M', 'virt,pcie-mmio-window=0x400000000000:4X'], 'pcie-mmio-window', 'BASE:SIZE'],
    ['window at 0', ['-M', 'virt,pcie-mmio-window=0:0x1000'], 'pcie-mmio-window', 'above the guest RAM'],
    [
      'window of three',
      ['-M', 'virt,pcie-mmio-window=0x3000:0x3000'],
      'pcie-mmio-window',
      'the next are 0x2000 and 0x4000',
    ],
    [
      'window off its size',
      ['-M', 'virt,pcie-mmio-window=0x5000:0x2000'],
      'pcie-mmio-window',
      'next to it are 0x4000 and 0x6000',
    ],
  ])('%s is a Problem that says what to do', (_, words, code, hint) => {
    const problem = problemOf(() => take(...words));
    expect(problem).toMatchObject({ code, exit: 1 });
    expect(problem.hint).toContain(hint);
    expect(problem.message).toMatch(/^(?:-set|-device|-global|-M|bar2 of dev0)/);
  });

  it('takes a window with a unit, in decimal, and the last one', () => {
    expect(take('-M', 'virt,pcie-mmio-window=70368744177664:64T').mmioWindow).toMatchObject({
      base: 1n << 46n,
      size: 1n << 46n,
    });
    expect(
      take('-M', 'pcie-mmio-window=0x1000:0x1000', '-M', 'virt,pcie-mmio-window=0x2000:8K,acpi=off'),
    ).toMatchObject({
      words: ['-M', 'virt,acpi=off'],
      mmioWindow: { base: 0x2000n, size: 0x2000n },
    });
  });

  it('lets any id through where -readconfig may define it', () => {
    expect(take('-readconfig', 'vm.cfg', '-set', `device.dev0.fixed-bars=${list}`).pins).toEqual([bar2, bar4]);
  });
});

describe('--pin', () => {
  it('names a device, BARs, ROM and VF BAR groups', () => {
    expect(
      parsePinOption(`dev0=${list},rom@0x1000,vf0@8192`).map(({ id, bar, address }) => ({ id, bar, address })),
    ).toEqual([bar2, bar4, { id: 'dev0', bar: 'rom', address: 0x1000n }, { id: 'dev0', bar: 'vf0', address: 8192n }]);
  });
  it.each(['dev0', '=bar2@0x1', 'dev0=', 'dev0=bar2@0x1,,bar4@0x2', 'dev0=,bar2@0x1'])('%s is a Problem', (text) => {
    const problem = problemOf(() => parsePinOption(text));
    expect(problem.code).toBe('pin-syntax');
    expect(problem.message).toContain(`--pin ${text}`);
  });
  it('is checked against the ids of the command', () => {
    expect(problemOf(() => requireDeviceIds(read(...dev0), parsePinOption('dve0=bar2@0x1'))).hint).toContain(
      'did you mean dev0?',
    );
    expect(problemOf(() => requireDeviceIds(read(...dev0), parsePinOption('gpu=bar2@0x1'))).hint).not.toContain(
      'did you mean',
    );
  });
});

describe('anything at all', () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'fixed-bars=',
      'pci-bars',
      'bar2@0x10',
      ',',
      ',,',
      '=',
      '@',
      'nvme',
      'id=a',
      '{',
      '}',
      '"',
      ':',
      '"fixed-bars"',
      'pcie-mmio-window=',
      '0x1000',
      'device.a.',
      '.',
      'fixed-bar=',
      'nvme.',
    ),
  );
  const text = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
  const option = fc.constantFrom(
    '-device',
    '-set',
    '-global',
    '-machine',
    '-m',
    '-chardev',
    '-drive',
    '-nic',
    '-accel',
    '-action',
  );

  it('is read, or is a Problem', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(option, text), { maxLength: 4 }), (pairs) => {
        const command = read(...pairs.flat());
        for (const run of [takeRfc, devicesOf, controlOf, memoryOf, bootOf]) {
          try {
            run(command);
          } catch (error) {
            expect(error).toBeInstanceOf(Problem);
          }
        }
      }),
      { numRuns: 2000 },
    ));

  it('a command without the options comes back as it was', () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(option, fc.stringMatching(/^[a-z0-9=.,-]*$/)), { maxLength: 4 }), (pairs) => {
        fc.pre(!pairs.some(([, value]) => /fixed-bar|pci-bars|pre-enum|mmio-window/.test(value)));
        expect(take(...pairs.flat()).words).toEqual(pairs.flat());
      }),
    ));

  it('a list of pins is read or is a Problem, and means what was written', () => {
    fc.assert(
      fc.property(text, (value) => {
        try {
          parsePinList(value, { text: 'x' });
          parsePinOption(value);
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
        }
      }),
    );
    const pins = fc.array(fc.record({ bar: fc.nat(5), address: fc.bigInt(0n, (1n << 64n) - 1n) }), { minLength: 1 });
    fc.assert(
      fc.property(pins, fc.boolean(), (given, hex) => {
        const written = given
          .map(({ bar, address }) => `bar${bar}@${hex ? `0x${address.toString(16)}` : address}`)
          .join(',');
        expect(parsePinList(written, { text: 'x' })).toEqual(given);
      }),
    );
  });
});
