import { describe, expect, it } from 'vitest';
import { head, marked, mistakes, withFunctions } from '../../test/support/machine-mistakes.js';

describe('a mistake is shown at its line and column', () => {
  it.each<[string, string, string[]]>([
    ['nothing', '‸', ['machine-schema: expected a map, found nothing']],
    ['no map', '‸hello', ['machine-schema: expected a map, found "hello"']],
    ['a long text', `‸${'x'.repeat(5000)}`, [`machine-schema: expected a map, found "${'x'.repeat(59)}...`]],
    ['another format', head.replace('1', '‸2'), ['machine-schema: pinbar: this pinbar reads format 1']],
    ['a missing key', '‸pinbar: 1\n', ['machine-schema: machine: is missing']],
    ['an unknown key', `${head}‸hostBridge: []\n`, ['machine-schema: hostBridge: pinbar does not know this key']],
    [
      'an unknown key, deeper',
      withFunctions('      - { id: a, slot: "1.0", ‸bar: [] }'),
      ['machine-schema: hostBridges[0].functions[0].bar: pinbar does not know this key'],
    ],
    [
      'a slot that YAML reads as a number',
      withFunctions('      - id: a\n        slot: ‸1.0'),
      ['machine-schema: hostBridges[0].functions[0].slot: 1 is a number, not a slot: put it in quotes, such as "1.0"'],
    ],
    [
      'a slot that does not exist',
      withFunctions('      - { id: a, slot: ‸"20.0" }'),
      [
        'machine-schema: hostBridges[0].functions[0].slot: "20.0" is not a slot: write device and function in hexadecimal, 00.0 to 1f.7, such as "1e.1"',
      ],
    ],
    [
      'what is no host address, and no device of QEMU',
      withFunctions('      - { id: a, slot: "1.0", hostAddress: ‸"6:0.0", qemuDevice: ‸",membar=64M" }'),
      [
        'machine-schema: hostBridges[0].functions[0].hostAddress: "6:0.0" is not a PCI address: write segment:bus:device.function in hexadecimal, such as 0000:01:00.0',
        'machine-schema: hostBridges[0].functions[0].qemuDevice: begins with the name of a device, such as "pci-testdev,membar=64M"',
      ],
    ],
    [
      'a device of QEMU that says where it is',
      withFunctions('      - { id: a, slot: "1.0", qemuDevice: ‸"pci-testdev,bus=rp1" }'),
      [
        'machine-schema: hostBridges[0].functions[0].qemuDevice: says id, bus, addr or multifunction, which the machine file says in its own place',
      ],
    ],
    [
      'wrong types',
      withFunctions('      - { id: ‸7, slot: "1.0", ‸bars: {}, vendor: ‸x, bridge: ‸none }'),
      [
        'machine-schema: hostBridges[0].functions[0].id: expected a string, found 7',
        'machine-schema: hostBridges[0].functions[0].bars: expected a list, found a map',
        'machine-schema: hostBridges[0].functions[0].vendor: x is not a vendor id, 0x0 to 0xffff',
        'machine-schema: hostBridges[0].functions[0].bridge: expected a map, found "none"',
      ],
    ],
    [
      'numbers out of range',
      withFunctions('      - { id: a, slot: "1.0", vendor: ‸0x10000, bars: [{ index: ‸6, type: io, size: 4 }] }'),
      [
        'machine-schema: hostBridges[0].functions[0].vendor: 65536 is not a vendor id, 0x0 to 0xffff',
        'machine-schema: hostBridges[0].functions[0].bars[0].index: 6 is not a BAR number, 0 to 5',
      ],
    ],
    [
      'a window that a bridge cannot have',
      withFunctions('      - { id: a, slot: "1.0", bridge: { kind: root-port, io: ‸64 } }'),
      [
        'machine-schema: hostBridges[0].functions[0].bridge.io: 64 is not one of 0, 16, 32 (address bits; 0: no such window)',
      ],
    ],
    [
      'a word that is none of a list',
      withFunctions('      - { id: a, slot: "1.0", bars: [{ index: 0, type: ‸mem, size: 4KiB }] }'),
      ['machine-schema: hostBridges[0].functions[0].bars[0].type: expected "io" or "mem32" or "mem64", found "mem"'],
    ],
    [
      'RAM that is no size',
      head.replace('1GiB', '‸1.5'),
      ['machine-schema: machine.ram: 1.5 is not a whole number of bytes'],
    ],
    [
      'a list of RAM with a mistake in it',
      head.replace('1GiB', '[{ base: 0, size: ‸x }]'),
      ['machine-schema: machine.ram[0].size: "x" is not a size: write 4KiB, 16MiB, 64GiB, 64G, 4096 or 0x1000'],
    ],
    [
      'a key given twice',
      'pinbar: 1\nmachine: {}\n‸pinbar: 1\n',
      ['machine-syntax: not valid YAML: Map keys must be unique'],
    ],
    [
      'a key given twice in JSON',
      '{ "pinbar": 1,\n  "machine": { "arch": "aarch64", ‸"arch": "x86_64", "ram": [] } }',
      ['machine-syntax: not valid YAML: Map keys must be unique'],
    ],
    [
      'two documents',
      `${head}‸---\na: 1\n`,
      ['machine-syntax: a second document begins here, and a machine file has one'],
    ],
    [
      'an alias of nothing',
      `${head}reserved: ‸*nothing\n`,
      ['machine-syntax: *nothing stands for nothing: no &nothing comes before it'],
    ],
  ])('%s', async (_, marks, messages) => {
    const { text, expected } = marked(marks, messages);
    expect(await mistakes(text)).toEqual(expected);
  });

  it('broken YAML and broken JSON have a place', async () => {
    expect(await mistakes('a: [1,\nb: }')).toEqual([expect.stringMatching(/^2:1 machine-syntax: not valid YAML: /)]);
    expect(await mistakes('{"pinbar": 1,\n "machine": {"arch": }}')).toEqual([expect.stringMatching(/^[12]:\d+ /)]);
    expect(await mistakes('a: "\\q"')).toEqual([expect.stringMatching(/^1:\d+ machine-syntax: not valid YAML: /)]);
  });

  it('is the same for JSON', async () => {
    const value = {
      pinbar: 1,
      machine: { arch: 'aarch64', board: 'virt', ram: '1GiB' },
      hostBridges: [{ id: 'h', functions: [{ id: 'a', slot: 1 }] }],
    };
    expect(await mistakes(JSON.stringify(value, null, 2))).toEqual([
      expect.stringMatching(/^14:19 machine-schema: hostBridges\[0\]\.functions\[0\]\.slot: 1 is a number/),
    ]);
  });
});

describe('what the values have to agree on', () => {
  const bars = (list: string, more = '') => withFunctions(`      - { id: a, slot: "1.0", bars: [${list}]${more} }`);

  it.each<[string, string, string[]]>([
    [
      'a BAR behind the last register',
      bars('{ index: ‸5, type: mem64, size: 16 }'),
      ['machine-invalid: a BAR 5 takes registers 5 and 6'],
    ],
    [
      'a third BAR of a bridge',
      bars('{ index: ‸2, type: mem32, size: 4KiB }', ', bridge: { kind: root-port }'),
      ['machine-invalid: a BAR 2 does not exist'],
    ],
    [
      'a 64-bit BAR 1 of a bridge',
      bars('{ index: ‸1, type: mem64, size: 4KiB }', ', bridge: { kind: root-port }'),
      ['machine-invalid: a BAR 1 takes registers 1 and 2'],
    ],
    [
      'two BARs in one register',
      bars('{ index: 0, type: mem64, size: 4KiB }, { index: ‸1, type: io, size: 4 }'),
      ["machine-invalid: a BAR 1 takes register 1, which is BAR 0's already"],
    ],
    [
      'sizes that are no power of two, or too small, or too large',
      bars(
        '{ index: 0, type: mem32, size: ‸3KiB }, { index: 1, type: mem32, size: ‸8 }, { index: 2, type: io, size: ‸2 }, { index: 3, type: mem32, size: ‸4GiB }, { index: 4, type: mem64, size: ‸0 }',
      ),
      [
        'machine-invalid: a BAR 0 has size 0xc00, which is not a power of two',
        'machine-invalid: a BAR 1 has size 0x8: the smallest mem32 BAR has 16 bytes',
        'machine-invalid: a BAR 2 has size 0x2: the smallest io BAR has 4 bytes',
        'machine-invalid: a BAR 3 has size 0x100000000: a mem32 BAR has at most 0x80000000 bytes',
        'machine-invalid: a BAR 4 has size 0x0, which is not a power of two',
      ],
    ],
    [
      'prefetchable I/O',
      bars('{ index: 0, type: io, size: 4, prefetchable: ‸true }'),
      ['machine-invalid: a BAR 0 is io: only memory can be prefetchable'],
    ],
    [
      'sizes that a resizable BAR does not offer, or cannot have',
      bars(
        '{ index: 0, type: mem32, size: ‸2MiB, sizes: [1MiB, ‸512KiB, ‸3MiB], resize: ‸4MiB }, { index: 1, type: mem32, size: 4KiB, resize: ‸largest }',
      ),
      [
        'machine-invalid: a BAR 0 has no size 2 MiB: it offers 1 MiB, 512 KiB, 3 MiB',
        'machine-invalid: a BAR 0 offers 0x80000: a resizable BAR has at least 0x100000 bytes',
        'machine-invalid: a BAR 0 has size 0x300000, which is not a power of two',
        'machine-invalid: a BAR 0 has no size 4 MiB: it offers 1 MiB, 512 KiB, 3 MiB',
        'machine-invalid: a BAR 1 lists no sizes',
      ],
    ],
    [
      'a wish for a size that is none',
      bars('{ index: 0, type: mem32, size: 1MiB, sizes: [1MiB], resize: ‸huge }'),
      [
        'machine-schema: hostBridges[0].functions[0].bars[0].resize: "huge" is not a size: write 4KiB, 16MiB, 64GiB, 64G, 4096 or 0x1000, or keep or largest',
      ],
    ],
    [
      'a ROM of a size that none has',
      bars('', ', rom: { size: ‸1KiB }'),
      ['machine-invalid: the ROM of a has size 0x400: a ROM register can hold 2 KiB to 2 GiB'],
    ],
    [
      'a VF BAR of ports',
      bars('', ', sriov: { totalVfs: 1, firstVfOffset: 1, vfStride: 1, bars: [{ index: 0, type: ‸io, size: 16 }] }'),
      ['machine-invalid: a VF BAR 0 is io: VFs have no I/O space (PCI Express Base 6.0 §9.3.3.14)'],
    ],
    [
      'an id twice, and a slot twice',
      withFunctions('      - { id: ‸pcie.0, slot: "1.0" }\n      - { id: b, slot: ‸"1.0" }'),
      [
        'machine-invalid: function pcie.0 has the same id as another host bridge',
        'machine-invalid: b sits in the same slot as pcie.0',
      ],
    ],
    [
      'an id twice on different buses',
      withFunctions(
        '      - { id: a, slot: "1.0", bridge: { kind: root-port, functions: [{ id: ‸a, slot: "1.0" }] } }',
      ),
      ['machine-invalid: function a has the same id as another function'],
    ],
    [
      'ranges past 64 bits, or of no bytes',
      `${head}reserved:\n  - ‸{ base: 0xffffffffffffffff, size: 2 }\n  - ‸{ base: 0, size: 0 }\n`,
      [
        'machine-invalid: 0xffffffffffffffff plus 0x2 runs past 64 bits',
        'machine-invalid: the range at 0x0 has size 0',
      ],
    ],
    [
      'windows past the end of their space',
      `${head}hostBridges:
  - id: h
    windows:
      - ‸{ type: mem32, base: 0xf0000000, size: 512MiB }
      - { type: io, base: 0, size: 4GiB, cpuBase: ‸0xffffffffffff0000 }
      - { type: mem64, base: 0xffffffff00000000, size: 4GiB }
`,
      [
        'machine-invalid: the mem32 window 0xf0000000-0x10fffffff runs past 4 GiB',
        'machine-invalid: 0xffffffffffff0000 plus 0x100000000 runs past 64 bits',
      ],
    ],
    [
      'buses that run backwards',
      `${head}hostBridges:\n  - { id: h, ‸buses: [5, 4] }\n`,
      ['machine-invalid: first bus 5 lies above last bus 4'],
    ],
    [
      'a pinned window of no bytes',
      withFunctions(
        '      - { id: a, slot: "1.0", bridge: { kind: root-port, pin: { ‸memory: { base: 0x10, size: 0 } } } }',
      ),
      ['machine-invalid: the range at 0x10 has size 0'],
    ],
    [
      'RAM that overlaps itself',
      head.replace('ram: 1GiB', '‸ram: [{ base: 0, size: 8 }, { base: 7, size: 1 }]').replace('virt', 'none'),
      ['machine-invalid: RAM ranges 0x0-0x7 and 0x7-0x7 overlap'],
    ],
    [
      'RAM without a place',
      head.replace('virt', 'none').replace('1GiB', '‸1GiB'),
      ['machine-invalid: with board none pinbar cannot know where RAM lies'],
    ],
    [
      'no RAM for a board',
      head.replace(', ram: 1GiB', '').replace('machine', '‸machine'),
      ['machine-invalid: board virt needs to know how much RAM there is'],
    ],
    [
      'a board that pinbar does not know',
      head.replace('virt', '‸sbsa-ref'),
      ['machine-invalid: pinbar does not know the memory map of board sbsa-ref for aarch64'],
    ],
    [
      'a property that moves nothing',
      head.replace('ram: 1GiB', 'ram: 1GiB, properties: { gic: ‸3 }'),
      ['machine-invalid: board virt (aarch64) has no property gic that moves its map'],
    ],
    [
      'a board property with a value that it cannot have',
      head.replace('ram: 1GiB', 'ram: 1GiB, properties: { highmem-mmio-size: ‸3GiB }'),
      [
        'machine-invalid: board virt cannot have this map: highmem-mmio-size: 0xc0000000 is not a power of two, or less than 512 GiB',
      ],
    ],
    [
      'no windows, and none implied',
      `pinbar: 1\nmachine: { arch: x86_64, ram: [] }\nhostBridges:\n  - ‸{ id: h }\n`,
      ['machine-invalid: host bridge h has no windows, and no board implies them'],
    ],
  ])('%s', async (_, marks, messages) => {
    const { text, expected } = marked(marks, messages);
    expect(await mistakes(text)).toEqual(expected);
  });

  it('a board that pinbar does not know is fine where the file says everything', async () => {
    const text = `pinbar: 1
machine: { arch: aarch64, board: sbsa-ref, ram: [{ base: 0x10000000000, size: 1GiB }] }
hostBridges: [{ id: h, windows: [{ type: mem32, base: 0x80000000, size: 1GiB }] }]
`;
    expect(await mistakes(text)).toEqual([]);
  });
});
