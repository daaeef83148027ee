import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../problem/problem.js';
import { appendArgs, formatQemuArgs, parseQemuArgs } from './command-line.js';
import { controlOf } from './control.js';
import { devicesOf, parseGlobal, parseSet } from './devices.js';
import { isJson, parseJsonObject, withMember, withoutMembers } from './json-object.js';
import { joinKeyValues, parseKeyValues } from './key-values.js';
import { bootOf, machineOf, memoryOf } from './machine.js';

const read = (...words: string[]) => parseQemuArgs(['qemu-system-aarch64', ...words]);
/** A word of a command line: any text, and often something that looks like an option. */
const anyWord = fc.oneof(
  fc.string(),
  fc.constantFrom(
    '-device',
    '--machine',
    '-set',
    '-global',
    '-m',
    '-S',
    '-nic',
    '-drive',
    '-chardev',
    '-newoption',
    '-',
    '--',
    '{',
  ),
  fc.string().map((text) => `-${text}`),
);

describe('the words of a command line', () => {
  it('finds options, their arguments and disk images', () => {
    const command = read('-M', 'virt', '--device', 'nvme,id=a', '-S', 'disk.img', '-append', '-S');
    expect(command.arguments.map(({ index, option, value }) => [index, option, value])).toEqual([
      [1, 'machine', 'virt'],
      [3, 'device', 'nvme,id=a'],
      [5, 'S', undefined],
      [6, null, undefined],
      [7, 'append', '-S'],
    ]);
  });

  it('lets an unknown option through, and does not lose its place', () => {
    const command = read('-later', 'value', '-device', 'nvme', '-other', '-S', '-last');
    expect(command.arguments.map(({ option, value, known }) => [option, value, known])).toEqual([
      ['later', 'value', false],
      ['device', 'nvme', true],
      ['other', undefined, false],
      ['S', undefined, true],
      ['last', undefined, false],
    ]);
    expect(command.arguments.filter(({ known }) => !known).map(({ option }) => option)).toEqual([
      'later',
      'other',
      'last',
    ]);
  });

  it.each([
    [[], 'qemu-program'],
    [['-machine', 'virt'], 'qemu-program'],
    [['qemu', '-S', '-device'], 'qemu-argument-missing'],
  ])('%j is a Problem', (argv, code) => {
    expect(() => parseQemuArgs(argv)).toThrow(expect.objectContaining({ code, exit: 1 }) as Error);
  });

  it('gives back the words that it read', () =>
    fc.assert(
      fc.property(fc.array(anyWord), (words) => {
        try {
          expect(formatQemuArgs(read(...words))).toEqual(['qemu-system-aarch64', ...words]);
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          expect(error.code).toBe('qemu-argument-missing');
        }
      }),
    ));

  it('adds words', () => {
    const command = appendArgs(read('-S', '-m', '1G'), ['-qmp', 'stdio']);
    expect(command.arguments.map(({ index }) => index)).toEqual([1, 2, 4]);
    expect(formatQemuArgs(command).slice(1)).toEqual(['-S', '-m', '1G', '-qmp', 'stdio']);
  });
});

describe('keys and values', () => {
  it.each([
    [
      'virt,gic-version=3',
      [
        ['type', 'virt'],
        ['gic-version', '3'],
      ],
    ],
    ['type=virt', [['type', 'virt']]],
    [
      'a,,b,x=1,,2,y=,z',
      [
        ['type', 'a,b'],
        ['x', '1,2'],
        ['y', ''],
        ['z', 'on'],
      ],
    ],
    [
      'x,nowait,server',
      [
        ['type', 'x'],
        ['wait', 'off'],
        ['server', 'on'],
      ],
    ],
    ['path=a=b', [['path', 'a=b']]],
    ['x,', [['type', 'x']]],
    ['', []],
  ])('%s', (text, pairs) => {
    expect(parseKeyValues(text, 'type').map(({ key, value }) => [key, value])).toEqual(pairs);
  });

  it('reads what it wrote', () => {
    const pairs = fc.array(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9.-]*$/), fc.string()));
    fc.assert(
      fc.property(pairs, (given) => {
        const text = given.map(([key, value]) => `${key}=${value.replaceAll(',', ',,')}`).join(',');
        expect(parseKeyValues(text).map(({ key, value }) => [key, value])).toEqual(given);
        expect(joinKeyValues(parseKeyValues(text))).toBe(text);
      }),
    );
  });

  it('does not make a comma part of a value when the flag between is taken out', () => {
    const parts = parseKeyValues('d,a=1,flag,,b=2', 'driver');
    expect(joinKeyValues(parts.filter(({ key }) => key !== 'flag'))).toBe('d,a=1,b=2');
  });

  it('means the same after it is put together again', () =>
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(',', '=', 'a', 'n', 'o') }), (text) => {
        // A comma alone is one empty value, and what is left of it when it is put together is nothing.
        fc.pre(text !== ',');
        const parts = parseKeyValues(text, 'first');
        expect(parseKeyValues(joinKeyValues(parts), 'first')).toEqual(
          parts.filter((part) => !part.bare || part.text !== ''),
        );
      }),
    ));
});

describe('JSON', () => {
  it('reads members, also with single quotes as QEMU does, and nested values', () => {
    const text = `{ "driver":"nvme", 'id':'it\\'s "one"', "n": 18446744073709551615, "deep": {"a":["}",{}]} }`;
    const members = parseJsonObject(text, '-device');
    expect(members.map(({ key, value }) => [key, value])).toEqual([
      ['driver', 'nvme'],
      ['id', `it's "one"`],
      ['n', '18446744073709551615'],
      ['deep', '{"a":["}",{}]}'],
    ]);
    const shorter = withoutMembers(text, new Set([members[1]!]), members);
    expect(shorter).toBe('{"driver":"nvme","n": 18446744073709551615,"deep": {"a":["}",{}]}}');
    expect(withMember(shorter, 'id', 'a')).toMatch(/^\{"id":"a","driver"/);
    expect(withMember('{ }', 'id', 'a')).toBe('{"id":"a" }');
  });

  it.each(['{', '{"a"}', '{"a":}', '{"a":1,}', '{"a":1}x', '{a:1}', '{"a":"\\q"}', '{"a":[1}', '{"a":1 2}'])(
    '%s is a Problem',
    (text) => {
      expect(() => parseJsonObject(text, '-device')).toThrow(expect.objectContaining({ code: 'qemu-json' }) as Error);
    },
  );

  it('agrees with JSON.parse', () =>
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.boolean(), (value, indent) => {
        const members = parseJsonObject(JSON.stringify(value, null, indent ? 1 : undefined), '-device');
        const back = members.map(({ key, value: text, isString }) => [
          key,
          isString ? text : (JSON.parse(text) as unknown),
        ]);
        expect(back).toEqual(Object.entries(JSON.parse(JSON.stringify(value)) as object));
      }),
    ));

  it('any text after a brace is an object or a Problem', () =>
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('{', '}', '[', ']', '"', "'", ':', ',', '1', 'a', '\\', ' ') }),
        (text) => {
          expect(isJson(`{${text}`)).toBe(true);
          try {
            parseJsonObject(`{${text}`, '-device');
          } catch (error) {
            expect(error).toBeInstanceOf(Problem);
          }
        },
      ),
      { numRuns: 2000 },
    ));
});

describe('what a command says', () => {
  it('merges -machine, -M and their short forms, the last one wins', () => {
    const command = read(
      '-machine',
      'virt,gic-version=2',
      '-M',
      'gic-version=3,kernel=a',
      '-kernel',
      'b',
      '-bios',
      'fw',
    );
    expect(machineOf(command)).toEqual({
      type: 'virt',
      properties: new Map([
        ['gic-version', '3'],
        ['kernel', 'b'],
        ['firmware', 'fw'],
      ]),
    });
    expect(bootOf(command)).toEqual({ kernel: 'b', bios: 'fw', flash: undefined });
  });

  it.each<[string[], string | undefined]>([
    [['-drive', 'if=pflash,file=code.fd', '-drive', 'if=pflash,file=vars.fd'], 'code.fd'],
    [['-drive', 'file=disk,if=virtio', '-drive', 'file=a,,b.fd,if=pflash'], 'a,b.fd'],
    [['-pflash', 'code.fd'], 'code.fd'],
    [['-machine', 'pflash0=p0', '-blockdev', 'node-name=p0,driver=file,filename=code.fd'], 'code.fd'],
    [
      ['-machine', 'pflash0=p0', '-blockdev', '{"node-name":"p0","driver":"raw","file":"f"}'].concat([
        '-blockdev',
        '{"driver":"file","filename":"code.fd","node-name":"f"}',
      ]),
      'code.fd',
    ],
    [
      ['-machine', 'pflash0=p0', '-blockdev', 'node-name=p0,driver=raw,file.driver=file,file.filename=code.fd'],
      'code.fd',
    ],
    [['-machine', 'pflash0=p0', '-blockdev', '{"node-name":"p0","file":{"filename":"code.fd"}}'], 'code.fd'],
    [['-machine', 'pflash0=p0', '-blockdev', '{broken'], 'p0'],
    [['-machine', 'pflash1=p1', '-drive', 'file=disk'], undefined],
  ])('flash of %j', (words, flash) => {
    expect(bootOf(read(...words)).flash).toBe(flash);
  });

  it.each([
    [['4096'], 1n << 32n, undefined],
    [['1.5G,slots=2,maxmem=8G'], 3n << 29n, 8n << 30n],
    [['size=1G', 'maxmem=4096'], 1n << 30n, 4096n],
    [['512M', '1g'], 1n << 30n, undefined],
  ])('memory of -m %j', (values, size, maximum) => {
    expect(memoryOf(read(...values.flatMap((value) => ['-m', value])))).toMatchObject({ size, maximum });
  });
  it('an amount of memory that is none is a Problem', () => {
    expect(() => memoryOf(read('-m', 'lots'))).toThrow(expect.objectContaining({ code: 'qemu-memory' }) as Error);
  });

  it('devices of both forms', () => {
    const command = read(
      ...['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'driver=nvme,bus=rp1,serial=a,,b,id=c,id=d'],
      ...['-device', '{"driver":"ivshmem-plain","id":"shm","size":4096}', '-device', 'nvme'],
    );
    expect(devicesOf(command)).toMatchObject([
      { driver: 'pcie-root-port', id: 'rp1', argument: { index: 1 } },
      { driver: 'nvme', id: 'c' },
      { driver: 'ivshmem-plain', id: 'shm' },
      { driver: 'nvme', id: undefined },
    ]);
  });

  it('-set and -global take what follows literally', () => {
    expect(parseSet('device.dev0.fixed-bars=bar2@1,bar4@2')).toEqual({
      group: 'device',
      id: 'dev0',
      key: 'fixed-bars',
      value: 'bar2@1,bar4@2',
    });
    expect(parseGlobal('nvme.x=1,2')).toEqual({ driver: 'nvme', property: 'x', value: '1,2' });
    expect(parseGlobal('driver=nvme,property=x,value=1')).toEqual({ driver: 'nvme', property: 'x', value: '1' });
    expect([parseSet('x'), parseGlobal('x')]).toEqual([undefined, undefined]);
  });

  it('who controls QEMU', () => {
    const words = ['-S', '-no-reboot', '-action', 'reboot=reset,panic=none', '-no-shutdown', '-mon', 'chardev=c'];
    expect(controlOf(read(...words))).toEqual({
      paused: true,
      nodefaults: false,
      nographic: false,
      monitor: true,
      actions: { reboot: 'reset', panic: 'none', shutdown: 'pause' },
      printsAndEnds: undefined,
    });
    expect(controlOf(read('-nodefaults', '-nographic', '-serial', 'mon:stdio'))).toMatchObject({
      paused: false,
      nodefaults: true,
      nographic: true,
      monitor: false,
      actions: {},
    });
  });

  it.each([
    [['-version'], 1],
    [['-S', '-device', 'nvme,help'], 2],
    [['-M', 'virt,dumpdtb=a'], 1],
    [['-cpu', '?'], 1],
    [['-append', 'help', '-drive', 'file=help', '-device', 'nvme,serial=help'], undefined],
  ])('whether QEMU prints and ends with %j', (words, index) => {
    expect(controlOf(read(...words)).printsAndEnds?.index).toBe(index);
  });
});
