import { hostBridgeWindows, isHigh, moveHighWindow, windowsOfOthers } from '../../acpi/host-bridge.js';
import { FOUR_GIB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { Plan } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';

/**
 * The DSDT that QEMU made when firmware had placed everything, with the host bridge's window above 4 GiB so wide that it
 * holds the plan as well. Linux takes only what lies in a window, and on x86 it takes that as it stands.
 * @throws Problem `acpi-windows`, `acpi-…`, exit 3
 */
export function holdPlan(dsdt: Uint8Array, plan: Plan): Uint8Array {
  const used = rangesOf(plan);
  const windowsOf = (table: Uint8Array) => hostBridgeWindows(table).filter(({ kind }) => kind !== 'bus');
  const outsideOf = (table: Uint8Array) =>
    used.filter(
      ({ isPort, range }) =>
        !windowsOf(table).some(
          ({ kind, base, limit }) => (kind === 'io') === isPort && base <= range.base && range.limit <= limit,
        ),
    );
  if (outsideOf(dsdt).length === 0) return dsdt;
  const high = used.filter(({ isPort, range }) => !isPort && range.base >= FOUR_GIB).map(({ range }) => range);
  const all = high.reduce<AddressRange | null>((hull, range) => hull?.hull(range) ?? range, null);
  const now = windowsOf(dsdt).find(isHigh);
  const wide = all && now ? all.hull(AddressRange.of(now.base, now.limit)) : all;
  const edited = all && wide ? moveHighWindow(dsdt, free(dsdt, wide, all)) : dsdt;
  const has = windowsOf(edited);
  const outside = outsideOf(edited).map(({ what, range }) => `${what} is at ${range.toString()}`);
  if (outside.length === 0) return edited;
  throw new Problem(
    'acpi-windows',
    `the guest would not keep the plan: its ACPI tables have the host bridge windows ${has.map(({ base, limit }) => AddressRange.of(base, limit).toString()).join(', ')}, and\n  ${outside.slice(0, 20).join('\n  ')}`,
    { exit: Exit.outside, hint: 'pin within these windows, or above 4 GiB', facts: { outside } },
  );
}

/** The wider of two ranges that takes nothing from other host bridges (pxb-pcie). */
function free(dsdt: Uint8Array, wide: AddressRange, narrow: AddressRange): AddressRange {
  const others = windowsOfOthers(dsdt);
  const clash = (range: AddressRange) => others.find((other) => other.overlaps(range));
  if (!clash(wide)) return wide;
  const taken = clash(narrow);
  if (!taken) return narrow;
  throw new Problem(
    'acpi-windows',
    `the guest would not keep the plan: it spans ${narrow.toString()}, and a pxb-pcie has ${taken.toString()} of that`,
    { exit: Exit.outside, hint: 'pin everything above 4 GiB on one side of it' },
  );
}

/** What the plan has on root buses and behind them: BARs, VF BARs, and the windows of bridges above 4 GiB. */
function rangesOf(plan: Plan) {
  const bars = plan.functions.flatMap(({ id, bars: own, sriov }) => [
    ...own.map((bar) => ({ what: `${id} BAR ${bar.index}`, bar, size: bar.size })),
    ...(sriov?.bars ?? []).map((bar) => ({
      what: `${id} VF BAR ${bar.index}`,
      bar,
      size: bar.size * BigInt(bar.count),
    })),
  ]);
  return [
    ...bars.map(({ what, bar, size }) => ({
      what,
      isPort: bar.type === 'io',
      range: AddressRange.sized(bar.address, size),
    })),
    ...plan.bridges.flatMap(({ id, prefetchable }) =>
      prefetchable ? [{ what: `the prefetchable window of ${id}`, isPort: false, range: prefetchable }] : [],
    ),
  ];
}
