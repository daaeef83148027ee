import { describe, expect, it } from 'vitest';
import { hostBridgeWindows } from '../../acpi/host-bridge.js';
import { qwordMemory, resourceTemplate } from '../../acpi/resources.js';
import { definitionBlock } from '../../acpi/table.js';
import { buffer, device, name, scope } from '../../acpi/write.js';
import type { Plan } from '../../place/plan.js';
import { holdPlan } from './q35-acpi.js';

const crs = (...ranges: [bigint, bigint][]) =>
  name('_CRS', buffer(resourceTemplate(...ranges.map(([base, limit]) => qwordMemory(base, limit)))));
/** Below 4 GiB, and above; and a second root bus (pxb-pcie), where there is one. */
const dsdt = (high: [bigint, bigint], other?: [bigint, bigint]) =>
  definitionBlock(
    'DSDT',
    'TEST',
    scope(
      '\\_SB',
      device('PCI0', crs([0xc000_0000n, 0xfebf_ffffn], high)),
      ...(other ? [device('PC20', crs(other))] : []),
    ),
  );
const planWith = (...addresses: bigint[]): Plan => ({
  status: 'placed',
  ram: [],
  hostBridges: [],
  bridges: [],
  functions: addresses.map((address, i) => ({
    id: `dev${i}`,
    address: { segment: 0, bus: 0, device: i + 1, fn: 0 },
    bars: [{ index: 0, type: 'mem64', prefetchable: true, size: 0x1_0000_0000n, address, pinned: true }],
  })),
});
const windows = (table: Uint8Array) =>
  hostBridgeWindows(table).map(({ base, limit }) => `0x${base.toString(16)}-0x${limit.toString(16)}`);
const high: [bigint, bigint] = [0xe0_0000_0000n, 0xe7_ffff_ffffn];

describe('the host bridge’s windows', () => {
  it('stay as they are where they hold the plan', () => {
    const table = dsdt(high);
    expect(holdPlan(table, planWith(0xe1_0000_0000n))).toBe(table);
    expect(holdPlan(table, planWith())).toBe(table);
  });

  it('stay as they are, too, where there are several above 4 GiB and each address lies in one', () => {
    const two = definitionBlock(
      'DSDT',
      'TEST',
      scope('\\_SB', device('PCI0', crs(high, [0xf0_0000_0000n, 0xf7_ffff_ffffn]))),
    );
    expect(holdPlan(two, planWith(0xe1_0000_0000n, 0xf1_0000_0000n))).toBe(two);
    expect(() => holdPlan(two, planWith(0x6b_8000_0000n))).toThrow(/2 windows above 4 GiB/);
  });

  it('reach from what firmware uses to the plan', () => {
    const edited = holdPlan(dsdt(high), planWith(0x6b_8000_0000n, 0xe1_0000_0000n));
    expect(windows(edited)).toEqual(['0xc0000000-0xfebfffff', '0x6b80000000-0xe7ffffffff']);
  });

  it('hold the plan alone where another host bridge lies between', () => {
    const other: [bigint, bigint] = [0x80_0000_0000n, 0x80_ffff_ffffn];
    const edited = holdPlan(dsdt(high, other), planWith(0x6b_8000_0000n));
    expect(windows(edited)).toEqual(['0xc0000000-0xfebfffff', '0x6b80000000-0x6c7fffffff']);
    expect(() => holdPlan(dsdt(high, other), planWith(0x6b_8000_0000n, 0xe1_0000_0000n))).toThrow(
      expect.objectContaining({ code: 'acpi-windows', exit: 3 }) as Error,
    );
  });

  it('cannot be moved below 4 GiB: what lies outside is named', () => {
    expect(() => holdPlan(dsdt(high), planWith(0x8000_0000n))).toThrow(/dev0 BAR 0 is at 0x80000000-0x17fffffff/);
  });
});
