import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigBytes } from '../config-bytes.js';
import { decodeCapabilities, unreadExtended } from './chain.js';
import { capability, extendedById, standardById, type CapabilityData, type CapabilityKind } from './index.js';
import { decodeQemuReservation } from './vendor-specific.js';

type Bytes = readonly (readonly [register: number, width: 1 | 2 | 4, value: number])[];

/** Config space of a function with the given registers and a capability list that starts at 0x40. */
function configOf(registers: Bytes, size = 0x1000, headerType = 0): ConfigBytes {
  const bytes = new Uint8Array(0x1000);
  const view = new DataView(bytes.buffer);
  const put = (register: number, width: number, value: number) => {
    for (let i = 0; i < width; i++) view.setUint8(register + i, Math.floor(value / 2 ** (8 * i)) & 0xff);
  };
  const header = [
    [0x06, 2, 0x10],
    [0x0e, 1, headerType],
    [0x34, 1, 0x40],
  ] as const;
  for (const [register, width, value] of [...header, ...registers]) put(register, width, value);
  return ConfigBytes.of(bytes.subarray(0, size));
}

const AT = 0x40;
const EXT = 0x100;
const EXPRESS: Bytes = [
  [AT, 1, 0x10],
  [AT + 2, 2, 2],
];

function standard<K extends CapabilityKind>(kind: K, registers: Bytes, headerType = 0): CapabilityData<K> {
  const id = [...standardById.values()].find((one) => one.kind === kind)!.decoder.id;
  const shifted = registers.map(([offset, width, value]) => [AT + offset, width, value] as const);
  const { capabilities, issues } = decodeCapabilities(configOf([[AT, 1, id], ...shifted], 0x100, headerType));
  expect(issues).toEqual([]);
  return capability(capabilities, kind)!.data;
}

function extended<K extends CapabilityKind>(kind: K, registers: Bytes): CapabilityData<K> {
  const id = [...extendedById.values()].find((one) => one.kind === kind)!.decoder.id;
  const shifted = registers.map(([offset, width, value]) => [EXT + offset, width, value] as const);
  const { capabilities, issues } = decodeCapabilities(configOf([...EXPRESS, [EXT, 4, 0x1_0000 + id], ...shifted]));
  expect(issues).toEqual([]);
  return capability(capabilities, kind)!.data;
}

/** The names of the true flags of an object. */
const flags = (data: object) =>
  Object.entries(data)
    .filter(([, value]) => value === true)
    .map(([name]) => name);

describe('standard capabilities, one bit at a time', () => {
  it.each([
    [4, 'endpoint', 0],
    [4, 'legacy-endpoint', 1],
    [4, 'root-port', 4],
    [4, 'upstream-port', 5],
    [4, 'downstream-port', 6],
    [4, 'pcie-pci-bridge', 7],
    [4, 'pci-pcie-bridge', 8],
    [4, 'integrated-endpoint', 9],
    [4, 'event-collector', 10],
    [4, { reserved: 15 }, 15],
  ])('PCI Express port type in bits 7:%i: %j', (shift, name, value) => {
    expect(standard('express', [[2, 2, 2 | (value << shift)]]).portType).toEqual(name);
  });

  it.each([
    [0x14, 0, 'attentionButton'],
    [0x14, 1, 'powerController'],
    [0x14, 5, 'hotplugSurprise'],
    [0x14, 6, 'hotplugCapable'],
    [0x18, 22, 'presenceDetected'],
  ] as const)('slot register 0x%s bit %i is %s', (offset, index, flag) => {
    const { slot } = standard('express', [
      [2, 2, 0x142],
      [offset, 4, 2 ** index],
    ]);
    expect(flags(slot!)).toEqual([flag]);
  });

  it('PCI Express: no slot where none is implemented, and in an endpoint', () => {
    expect(
      standard('express', [
        [2, 2, 0x042],
        [0x14, 4, 0x40],
      ]).slot,
    ).toBeNull();
    expect(
      standard('express', [
        [2, 2, 0x102],
        [0x14, 4, 0x40],
      ]).slot,
    ).toBeNull();
  });

  it.each([
    [0x24, 5, 'ariForwardingSupported'],
    [0x28, 5, 'ariForwardingEnabled'],
    [0x04, 28, 'functionLevelReset'],
  ] as const)('PCI Express register 0x%s bit %i is %s', (offset, index, flag) => {
    expect(
      flags(
        standard('express', [
          [2, 2, 2],
          [offset, 4, 2 ** index],
        ]),
      ),
    ).toEqual([flag]);
  });

  it('PCI Express version 1 has no second half', () => {
    expect(
      flags(
        standard('express', [
          [2, 2, 1],
          [0x24, 4, 0x20],
          [0x28, 2, 0x20],
        ]),
      ),
    ).toEqual([]);
  });

  it('MSI-X: table and pending bits', () => {
    expect(
      standard('msix', [
        [2, 2, 0x8040],
        [4, 4, 0x2003],
        [8, 4, 0x3005],
      ]),
    ).toEqual({
      enabled: true,
      masked: false,
      vectors: 65,
      table: { bar: 3, offset: 0x2000 },
      pending: { bar: 5, offset: 0x3000 },
    });
  });

  it('MSI: where data lies depends on the address width', () => {
    const wide = standard('msi', [
      [2, 2, 0x0188],
      [4, 4, 0xfee0_0000],
      [8, 4, 1],
      [12, 2, 0x4021],
    ]);
    expect(wide).toMatchObject({
      address: 0x1_fee0_0000n,
      data: 0x4021,
      vectors: 16,
      address64: true,
      perVectorMasking: true,
    });
    expect(
      standard('msi', [
        [2, 2, 1],
        [4, 4, 0xfee0_0000],
        [8, 2, 0x21],
      ]),
    ).toMatchObject({ enabled: true, data: 0x21 });
  });

  it.each([
    [2, 2, 9, 'd1'],
    [2, 2, 10, 'd2'],
    [4, 2, 3, 'noSoftReset'],
    [4, 2, 8, 'pmeEnabled'],
  ] as const)('Power Management register %i, bit %i/%i is %s', (offset, width, index, flag) => {
    expect(flags(standard('powerManagement', [[offset, width, 1 << index]]))).toEqual([flag]);
  });

  it('Enhanced Allocation: 32- and 64-bit entries, and bus numbers in a bridge', () => {
    const entry32 = [0x8000_0002, 0xe000_0000, 0x000f_fffc];
    const entry64 = [0x8000_0124, 0x4000_0002, 0xffff_ffff, 0x12, 0x3];
    const dwords = (at: number) => [...entry32, ...entry64].map((value, i) => [at + 4 * i, 4, value] as const);
    const { entries } = standard('enhancedAllocation', [[2, 1, 2], ...dwords(4)]);
    expect(entries).toMatchObject([
      { equivalent: 'bar0', primary: 'memory', enabled: true, base: 0xe000_0000n, size: 0x10_0000n },
      { equivalent: 'bar2', primary: 'memory-prefetchable', base: 0x12_4000_0000n, size: 1n << 34n },
    ]);
    const bridge = standard('enhancedAllocation', [[2, 1, 2], [4, 1, 3], [5, 1, 9], ...dwords(8)], 1);
    expect(bridge.buses).toEqual({ secondary: 3, subordinate: 9 });
    expect(bridge.entries).toEqual(entries);
  });

  it("decodes QEMU's reservation, and only that", () => {
    const bytes = [
      1,
      4,
      0,
      0,
      0,
      0,
      0x10,
      0,
      0,
      0,
      0,
      0,
      0,
      ...Array<number>(4).fill(0xff),
      ...Array<number>(4).fill(0xff),
      0,
      0,
      0,
      0,
      1,
      0,
      0,
      0,
    ];
    expect(decodeQemuReservation(bytes)).toEqual({ buses: 4, io: 0x1000n, prefetchable64: 1n << 32n });
    expect(decodeQemuReservation([2, ...bytes.slice(1)])).toBeNull();
    expect(decodeQemuReservation(bytes.slice(0, 20))).toBeNull();
  });
});

describe('extended capabilities', () => {
  it('SR-IOV', () => {
    expect(
      extended('singleRootIov', [
        [0x08, 2, 0x19],
        [0x0c, 2, 7],
        [0x0e, 2, 8],
        [0x10, 2, 3],
        [0x14, 2, 0x80],
        [0x16, 2, 2],
        [0x1a, 2, 0x1889],
        [0x1c, 4, 0x553],
        [0x20, 4, 1],
        [0x24, 4, 0xc],
        [0x38, 4, 0x8],
      ]),
    ).toEqual({
      enabled: true,
      memorySpace: true,
      ariCapableHierarchy: true,
      initialVfs: 7,
      totalVfs: 8,
      numVfs: 3,
      firstVfOffset: 0x80,
      vfStride: 2,
      vfDevice: 0x1889,
      supportedPageSizes: 0x553,
      systemPageSize: 1,
      bars: [0xc, 0, 0, 0, 0, 8],
    });
  });

  it.each([
    [0, 4, 1n << 20n],
    [0, 31, 1n << 47n],
    [1, 16, 1n << 48n],
    [1, 31, 1n << 63n],
  ])('Resizable BAR: dword %i bit %i is a size', (dword, index, size) => {
    const control = 0x22 + (dword === 1 ? 2 ** index : 0);
    const { bars } = extended('resizableBar', [
      [4, 4, dword === 0 ? 2 ** index : 0],
      [8, 4, control],
    ]);
    expect(bars).toEqual([{ index: 2, sizes: [size], size: 1n << 20n }]);
  });

  it('Resizable BAR: several, and the size chosen', () => {
    const { bars } = extended('resizableBar', [
      [4, 4, 0x30],
      [8, 4, 0x0140],
      [12, 4, 0x10],
      [16, 4, 0x0004],
    ]);
    expect(bars).toMatchObject([{ index: 0, size: 2n << 20n, sizes: [1n << 20n, 2n << 20n] }, { index: 4 }]);
  });

  it('VF Resizable BAR is told apart', () => {
    expect(extended('vfResizableBar', [[8, 4, 0x20]]).bars).toHaveLength(1);
  });

  it.each(
    [
      'sourceValidation',
      'translationBlocking',
      'requestRedirect',
      'completionRedirect',
      'upstreamForwarding',
      'egressControl',
      'directTranslated',
    ].map((name, i) => [i, name] as const),
  )('ACS bit %i is %s', (index, name) => {
    expect(extended('accessControlServices', [[4, 2, 1 << index]])).toEqual({ capable: [name], enabled: [] });
    expect(extended('accessControlServices', [[6, 2, 1 << index]])).toEqual({ capable: [], enabled: [name] });
  });

  it('ARI, DSN, ATS, PASID, LTR, DPC, VSEC, DVSEC', () => {
    expect(extended('alternativeRoutingId', [[4, 2, 0x0900]])).toEqual({ nextFunction: 9, functionGroup: 0 });
    expect(
      extended('deviceSerialNumber', [
        [4, 4, 0x8765_4321],
        [8, 4, 0xfedc_ba98],
      ]).serial,
    ).toBe(0xfedc_ba98_8765_4321n);
    expect(
      extended('addressTranslation', [
        [4, 2, 0x20],
        [6, 2, 0x8000],
      ]),
    ).toEqual({ queueDepth: 32, pageAligned: true, enabled: true });
    expect(extended('processAddressSpaceId', [[4, 2, 0x1402]])).toEqual({
      execute: true,
      privileged: false,
      maxWidth: 20,
      enabled: false,
    });
    expect(extended('latencyTolerance', [[4, 2, 0x1003]]).maxSnoopNanoseconds).toBe(3 * 32 ** 4);
    expect(
      extended('downstreamPortContainment', [
        [6, 2, 2],
        [8, 2, 1],
      ]),
    ).toEqual({ rootPortExtensions: false, trigger: 'non-fatal', triggered: true });
    expect(extended('vendorSpecificExtended', [[4, 4, 0x0183_0021]])).toEqual({
      vsecId: 0x21,
      revision: 3,
      length: 0x18,
    });
    expect(
      extended('designatedVendorSpecific', [
        [4, 4, 0x0101_1e98],
        [8, 2, 3],
      ]),
    ).toEqual({ vendor: 0x1e98, revision: 1, length: 0x10, dvsecId: 3 });
  });
});

describe('capability lists', () => {
  const codes = (config: ConfigBytes) =>
    decodeCapabilities(config).issues.map(({ code, register }) => [code, register]);

  it('keep unknown ids raw', () => {
    expect(decodeCapabilities(configOf([[AT, 1, 0x77]])).capabilities).toEqual([
      { at: AT, id: 0x77, extended: false, version: 0, kind: 'raw' },
    ]);
  });

  it('are not there where the Status register says so', () => {
    expect(
      decodeCapabilities(
        configOf([
          [0x06, 2, 0],
          [AT, 1, 5],
        ]),
      ).capabilities,
    ).toEqual([]);
  });

  it.each<[string, Bytes, string, number]>([
    [
      'a loop',
      [
        [AT, 1, 1],
        [AT + 1, 1, 0x50],
        [0x50, 1, 5],
        [0x51, 1, AT],
      ],
      'capability-chain-broken',
      AT,
    ],
    [
      'itself',
      [
        [AT, 1, 1],
        [AT + 1, 1, AT],
      ],
      'capability-chain-broken',
      AT,
    ],
    [
      'the header',
      [
        [AT, 1, 1],
        [AT + 1, 1, 0x10],
      ],
      'capability-chain-broken',
      0x10,
    ],
    [
      'all ones',
      [
        [AT, 1, 1],
        [AT + 1, 1, 0xf0],
        [0xf0, 4, 0xffff_ffff],
      ],
      'capability-chain-broken',
      0xf0,
    ],
    [
      'the last dword, cut off',
      [
        [AT, 1, 1],
        [AT + 1, 1, 0xfc],
        [0xfc, 1, 0x11],
      ],
      'capability-cut-off',
      0xfc,
    ],
    ['an extended loop', [...EXPRESS, [EXT, 4, 0x1501_0003], [0x150, 4, 0x1001_0003]], 'capability-chain-broken', EXT],
    ['extended below 0x100', [...EXPRESS, [EXT, 4, 0x0801_0003]], 'capability-chain-broken', 0x80],
    [
      'extended, all ones',
      [...EXPRESS, [EXT, 4, 0x2001_0003], [0x200, 4, 0xffff_ffff]],
      'capability-chain-broken',
      0x200,
    ],
    ['extended, cut off', [...EXPRESS, [EXT, 4, 0xffc1_0003], [0xffc, 4, 0x0001_0010]], 'capability-cut-off', 0xffc],
  ])('that point to %s are findings', (_name, registers, code, register) => {
    expect(codes(configOf(registers))).toEqual([[code, register]]);
  });

  it('decode what a dump of 64 or 256 bytes has', () => {
    expect(codes(configOf(EXPRESS, 64))).toEqual([['capability-cut-off', AT]]);
    expect(decodeCapabilities(configOf(EXPRESS, 256)).capabilities.map(({ kind }) => kind)).toEqual(['express']);
  });

  it('end on any bytes, read or not, within the space there is', () => {
    const bytes = fc.uint8Array({ minLength: 4096, maxLength: 4096 });
    fc.assert(
      fc.property(bytes, fc.integer({ min: 16, max: 1024 }), (random, dwords) => {
        random.set([0x10], 0x06);
        random.set([0, 0x40], 0x0e);
        random.set([0x40], 0x34);
        random.set([0x10, 0], 0x40);
        const config = ConfigBytes.of(random.subarray(0, dwords * 4));
        const { capabilities } = decodeCapabilities(config);
        expect(capabilities.length).toBeLessThanOrEqual(48 + 960);
        if (dwords === 1024) expect(unreadExtended(config)).toEqual([]);
        let rounds = 0;
        for (let need = unreadExtended(config); need.length > 0; need = unreadExtended(config)) {
          for (const register of need) config.set(register, new DataView(random.buffer).getUint32(register, true));
          expect(++rounds).toBeLessThanOrEqual(1024);
        }
      }),
      { numRuns: 50 },
    );
  });
});
