import { alignDown, alignUp, maxOf } from '../address/align.js';

/**
 * The smallest window that holds BARs of these sizes wherever it starts, on a multiple of `step`; bytes, a multiple of `step`. The
 * guest takes the largest BAR first, each at the lowest place that is free and a multiple of its size, as Linux does
 * (drivers/pci/setup-bus.c, pdev_sort_resources; kernel/resource.c, find_resource_space).
 */
export function windowWherever(sizes: readonly bigint[], step: bigint): bigint {
  const [largest, ...rest] = sizes.toSorted((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  if (largest === undefined) return 0n;
  if (largest <= step) return alignUp(sum(sizes), step);
  // In front of the largest BAR there are `gap` bytes, which end at a multiple of its size. With a little less of them one BAR
  // more lies behind it, so only gaps that just miss a sum of BARs can be the worst.
  const gaps = [...sums(rest)].filter((gap) => gap > 0n).map((gap) => alignDown(gap - 1n, step));
  const need = [0n, ...gaps, largest - step].filter((gap) => gap < largest).map((gap) => withGap(gap, largest, rest));
  return alignUp(need.reduce(maxOf), step);
}

/** Bytes from the window's start to the end of the last BAR. */
function withGap(gap: bigint, largest: bigint, rest: readonly bigint[]): bigint {
  let inside = 0n;
  let behind = 0n;
  for (const size of rest) {
    if (inside + size <= alignDown(gap, size)) inside += size;
    else behind += size;
  }
  return gap + largest + behind;
}

const sum = (sizes: readonly bigint[]): bigint => sizes.reduce((all, size) => all + size, 0n);

const sums = (sizes: readonly bigint[]): ReadonlySet<bigint> =>
  sizes.reduce((known, size) => new Set([...known, ...[...known].map((one) => one + size)]), new Set([0n]));
