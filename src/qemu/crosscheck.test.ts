import { describe, expect, it } from 'vitest';
import { contractPlan } from '../../test/support/contract.js';
import { planFromJson } from '../place/plan-json.js';
import type { Plan } from '../place/plan.js';
import { crossCheck, decodedRanges } from './crosscheck.js';
import { parseQueryPci } from './query-pci.js';

const plan = planFromJson(contractPlan) as Plan;

/** QEMU's answer to query-pci for a machine that follows the contract's plan. */
const programmed = () => {
  const region = (bar: number, type: string, address: number, size: number) => ({ bar, type, address, size });
  const dev0 = {
    ...{ bus: 1, slot: 0, function: 0, qdev_id: 'dev0' },
    regions: [
      region(0, 'memory', 0x1000_0000, 0x100_0000),
      region(2, 'memory', 0x6b80_0000_0000, 0x40_0000_0000),
      region(4, 'memory', 0x6c80_0000_0000, 0x200_0000),
    ],
  };
  const bus = {
    ...{ secondary: 1, subordinate: 1 },
    io_range: { base: 0xf000, limit: 0xfff },
    memory_range: { base: 0x1000_0000, limit: 0x110f_ffff },
    prefetchable_range: { base: 0x6b80_0000_0000, limit: 0x6d7f_ffff_ffff },
  };
  const rp1 = {
    ...{ bus: 0, slot: 1, function: 0, qdev_id: 'rp1' },
    regions: [region(0, 'memory', 0x1110_0000, 0x1000)],
    pci_bridge: { bus, devices: [dev0] },
  };
  return { rp1, bus, dev0, answer: [{ bus: 0, devices: [rp1] }] };
};

const mtree = `address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, i/o): system
    0000000010000000-000000003efeffff (prio 0, i/o): alias pcie-mmio @gpex_mmio_window 0000000010000000-000000003efeffff

address-space: gpex_mmio_window
  0000000000000000-ffffffffffffffff (prio 0, i/o): gpex_mmio_window
    0000000010000000-00000000110fffff (prio 1, i/o): alias pci_bridge_mem @pci_bridge_pci 0000000010000000-00000000110fffff
    0000000011100000-0000000011100fff (prio 1, i/o): pcie-root-port-msix

address-space: pci_bridge_pci_mem
  0000000000000000-ffffffffffffffff (prio 0, container): pci_bridge_pci
    0000000010000000-0000000010ffffff (prio 1, i/o): dev0-mmio
    00006b8000000000-00006bbfffffffff (prio 1, ram): dev0-vram
    00006c8000000000-00006c8001ffffff (prio 1, i/o): dev0-regs
`;

const check = (change: (machine: ReturnType<typeof programmed>) => void = () => undefined, tree = mtree) => {
  const machine = programmed();
  change(machine);
  return crossCheck(plan, parseQueryPci(machine.answer), tree);
};

describe('a plan and QEMU’s own view', () => {
  it('agree where the machine follows the plan', () => {
    expect(check()).toEqual([]);
  });

  it.each<[string, (machine: ReturnType<typeof programmed>) => void, string[]]>([
    [
      'a function is missing',
      ({ rp1 }) => (rp1.pci_bridge.devices = []),
      ['QEMU has no function at 0000:01:00.0, where the plan has dev0'],
    ],
    [
      'a function is elsewhere',
      ({ dev0 }) => (dev0.slot = 1),
      ['QEMU has no function at 0000:01:00.0, where the plan has dev0'],
    ],
    ['a BAR is missing', ({ dev0 }) => dev0.regions.pop(), ['dev0 (0000:01:00.0) BAR 4: QEMU has no such BAR']],
    [
      'a BAR has another size',
      ({ dev0 }) => (dev0.regions[0]!.size = 0x1000),
      ['dev0 (0000:01:00.0) BAR 0: 0x1000000 bytes in the plan, 0x1000 in QEMU'],
    ],
    [
      'a BAR is elsewhere',
      ({ dev0 }) => (dev0.regions[1]!.address = 0x6bc0_0000_0000),
      ['dev0 (0000:01:00.0) BAR 2: planned at 0x6b8000000000, QEMU has it at 0x6bc000000000'],
    ],
    [
      'a BAR is not decoded',
      ({ dev0 }) => (dev0.regions[1]!.address = -1),
      ['dev0 (0000:01:00.0) BAR 2: planned at 0x6b8000000000, QEMU does not decode it'],
    ],
    [
      'the bridge is none',
      ({ rp1 }) => Reflect.deleteProperty(rp1, 'pci_bridge'),
      [
        'bridge rp1 (0000:00:01.0): QEMU does not see a bridge',
        'QEMU has no function at 0000:01:00.0, where the plan has dev0',
      ],
    ],
    [
      'the secondary bus differs',
      ({ bus }) => (bus.secondary = 2),
      ['bridge rp1 (0000:00:01.0): secondary is 1 in the plan, 2 in QEMU'],
    ],
    [
      'the subordinate bus differs',
      ({ bus }) => (bus.subordinate = 9),
      ['bridge rp1 (0000:00:01.0): subordinate is 1 in the plan, 9 in QEMU'],
    ],
    [
      'a closed window is open',
      ({ bus }) => (bus.io_range = { base: 0, limit: 0xfff }),
      ['bridge rp1 (0000:00:01.0): io window is closed in the plan, 0x0-0xfff in QEMU'],
    ],
    [
      'an open window is closed',
      ({ bus }) => (bus.memory_range = { base: 0xfff0_0000, limit: 0xf_ffff }),
      ['bridge rp1 (0000:00:01.0): memory window is 0x10000000-0x110fffff in the plan, closed in QEMU'],
    ],
    [
      'a window begins elsewhere',
      ({ bus }) => (bus.prefetchable_range.base = 0x6b70_0000_0000),
      [
        'bridge rp1 (0000:00:01.0): prefetchable window is 0x6b8000000000-0x6d7fffffffff in the plan, 0x6b7000000000-0x6d7fffffffff in QEMU',
      ],
    ],
    [
      'a window ends elsewhere',
      ({ bus }) => (bus.memory_range.limit = 0x10ff_ffff),
      ['bridge rp1 (0000:00:01.0): memory window is 0x10000000-0x110fffff in the plan, 0x10000000-0x10ffffff in QEMU'],
    ],
  ])('differ where %s', (_, change, differences) => {
    expect(check(change)).toEqual(differences);
  });

  it.each([
    ['has nothing there', '    00006c8000000000-00006c8001ffffff (prio 1, i/o): dev0-regs\n', ''],
    ['has it switched off', 'dev0-regs', 'dev0-regs [disabled]'],
    ['has only a part of it', '00006c8001ffffff', '00006c8000ffffff'],
    ['has only an alias there', 'dev0-regs', 'alias pci_bridge_pref_mem @pci_bridge_pci 0-1'],
  ])('differ where the memory tree %s', (_, from, to) => {
    expect(mtree).toContain(from);
    expect(check(undefined, mtree.replace(from, to))).toEqual([
      "dev0 (0000:01:00.0) BAR 4: programmed at 0x6c8000000000, but QEMU's memory tree decodes nothing from there to its end",
    ]);
  });

  it('takes the alias that is a BAR, as of rtl8139, for one', () => {
    expect(check(undefined, mtree.replace('dev0-regs', 'alias rtl8139-mem @rtl8139 0-ff'))).toEqual([]);
  });

  it('any way of being closed is closed', () => {
    expect(check(({ bus }) => (bus.io_range = { base: 0x1000, limit: 0xfff }))).toEqual([]);
  });

  it('ports of a root bus are listed where the CPU sees them', () => {
    const hosts = [
      {
        id: 'h',
        segment: 0,
        buses: [0, 0],
        windows: [{ type: 'io', base: 0n, size: 0x1_0000n, cpuBase: 0x3eff_0000n }],
      },
    ] as const;
    const bar = { index: 0, type: 'io', prefetchable: false, size: 0x20n, address: 0x1000n, pinned: false } as const;
    const address = { segment: 0, bus: 0, device: 2, fn: 0 };
    const ports: Plan = {
      status: 'placed',
      ram: [],
      hostBridges: hosts,
      bridges: [],
      functions: [{ id: 'net', address, bars: [bar] }],
    };
    const seen = parseQueryPci([
      {
        bus: 0,
        devices: [
          {
            bus: 0,
            slot: 2,
            function: 0,
            qdev_id: 'net',
            regions: [{ bar: 0, type: 'io', address: 0x1000, size: 32 }],
          },
        ],
      },
    ]);
    expect(crossCheck(ports, seen, '    000000003eff1000-000000003eff101f (prio 1, i/o): virtio-pci\n')).toEqual([]);
    expect(crossCheck(ports, seen, '    000000003eff2000-000000003eff201f (prio 1, i/o): virtio-pci\n')).toHaveLength(
      1,
    );
  });

  it('what is no line of a range is passed over', () => {
    expect([
      ...decodedRanges(
        'address-space: memory\nno range\n  0000000000000001-0000000000000000 (prio 0, i/o): empty\n  zz\n',
      ),
    ]).toEqual([]);
    expect([...decodedRanges(mtree.replaceAll('\n', '\r\n'))]).toHaveLength(decodedRanges(mtree).size);
  });
});
