import { isPowerOfTwo } from '../../address/align.js';
import type { AddressRange } from '../../address/range.js';
import { formatSize } from '../../address/format.js';
import type { HostWindow } from '../scene/host-windows.js';
import { isRootBus, type Scene } from '../scene/scene.js';
import type { Candidate } from '../finding.js';
import type { Story } from '../scene/stories.js';
import { cite, failureLine, placedLine } from './cite.js';
import { alignmentFor, freeOf, nameOfStory, placedOn, type Bottleneck } from './demand.js';
import { ask } from '../missing.js';
import { widerBridge } from '../remedies/windows.js';
import { isHotplugged } from './hotplug.js';
import { bytes, rangeText, slotIn, sumOf } from './fit.js';
import { canPack } from './packing.js';

/** What failed on a host bridge's bus, and the host bridge's memory windows as far as they are known. */
export interface Context {
  readonly scene: Scene;
  readonly main: Bottleneck;
  readonly failures: readonly Bottleneck[];
  readonly windows: readonly HostWindow[];
}

export const compareSizes = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0);
export const largest = (windows: readonly HostWindow[]) =>
  windows.toSorted((a, b) => compareSizes(b.bars.size, a.bars.size))[0];
export const tops = (failures: readonly Bottleneck[]) => [...new Set(failures.map(({ top }) => top))];
export const leaves = (failures: readonly Bottleneck[]) => [...new Set(failures.map(({ leaf }) => leaf))];

export function failureLines({ main, failures }: Context) {
  return [
    failureLine(main.top),
    failureLine(main.leaf),
    ...leaves(failures).map(failureLine),
    ...tops(failures).map(failureLine),
  ];
}

/** A BAR that failed for which no window has an aligned slot, though one has the bytes. Bridge windows align less. */
export function noAlignedSlot({ failures }: Context, usable: readonly HostWindow[]) {
  for (const story of leaves(failures)) {
    const { size, isWindow, isVf } = story;
    // A size that is no power of two is a broken line: no BAR has it.
    if (size === undefined || !isPowerOfTwo(size) || isWindow || isVf || story.space === 'io') continue;
    if (usable.some(({ bars }) => slotIn(bars, size, size))) continue;
    const window = largest(usable);
    if (window && window.bars.size >= size) return { story, size, window: window.bars };
  }
  return undefined;
}

/** What lies on the host bridge's bus and has to share the windows: what failed, and what is placed in them. */
export function demandIn(
  scene: Scene,
  { main, failures }: Context,
  usable: readonly HostWindow[],
  reach: 'low' | 'any',
) {
  const { segment } = main.top.address;
  const failed = tops(failures).filter(({ size }) => size !== undefined);
  const placed = scene.stories.filter(
    (story) =>
      story.outcome === 'placed' &&
      story.space === 'memory' &&
      story.placed !== undefined &&
      story.file === main.top.file &&
      story.boot === main.top.boot &&
      story.address.segment === segment &&
      isRootBus(scene, segment, story.address.bus) &&
      usable.some(
        ({ range, bars }) => range.covers(story.placed as AddressRange) || bars.covers(story.placed as AddressRange),
      ),
  );
  const sizes = [...failed.map(({ size }) => size ?? 0n), ...placed.map(({ placed: at }) => at?.size ?? 0n)];
  const parts = [
    ...failed.map(({ size }) => `${formatSize(size ?? 0n)} (failed)`),
    ...(placed.length > 0 ? [`${bytes(sumOf(placed.map(({ placed: at }) => at?.size ?? 0n)))} placed already`] : []),
  ];
  return { total: sumOf(sizes), parts, placed, reach };
}

/** The bytes suffice and each BAR has a slot, and still no arrangement holds them all: solved, not guessed. */
export function tooMany(
  { failures }: Context,
  usable: readonly HostWindow[],
  placed: readonly Story[],
): Candidate | undefined {
  const bars = [...tops(failures), ...placed];
  const windows = usable.map(({ bars: range }) => range);
  const [first] = tops(failures);
  if (!first || bars.length < 2 || canPack(windows, bars) !== false) return undefined;
  const sizes = bars.map(({ size = 0n }) => size).toSorted((a, b) => compareSizes(b, a));
  return {
    cause: 'alignment-no-slot',
    confidence: 'certain',
    fault: true,
    weight: 87,
    summary: `The window has bytes enough for the ${bars.length} BARs on this bus, but no arrangement of them, each at a multiple of its size, fits.`,
    evidence: cite(
      failureLine(first),
      usable.map(({ line }) => line),
      tops(failures).map(failureLine),
      placed.slice(0, 4).map(placedLine),
    ),
    proof: `${sizes.map((size) => formatSize(size)).join(' + ')} = ${bytes(sumOf(sizes))} in ${windows.map(rangeText).join(', ')}: solved exactly, there is no placement, in whatever order.`,
    remedies: [],
  };
}

/**
 * Something behind a bridge failed, no window above it did, and the host bridge has a place for it: a window between is full.
 */
export function fullBridge(
  { scene, main, failures }: Context,
  usable: readonly HostWindow[],
  placed: readonly Story[],
): Candidate | undefined {
  if (main.atRoot) return undefined;
  const { top, leaf } = main;
  const size = top.size ?? 0n;
  const free = freeOf(
    usable.map(({ range }) => range),
    placed,
  ).find((range) => slotIn(range, size, alignmentFor(top, failures)));
  if (!free) return undefined;
  const { bus } = top.address;
  const beside = placedOn(
    scene,
    bus,
    top,
    usable.map(({ range }) => range),
  );
  return {
    cause: 'bridge-window-too-small',
    confidence: 'likely',
    fault: true,
    weight: 82,
    summary: `The host bridge has room for ${nameOfStory(top)} (${formatSize(size)}); the window of a bridge between has not.`,
    evidence: cite(
      failureLine(top),
      usable.map(({ line }) => line),
      failureLine(leaf),
      beside.slice(0, 3).map(placedLine),
    ),
    proof: `It is on bus ${bus.toString(16).padStart(2, '0')}, behind a bridge whose own window did not fail. In the host bridge's windows ${rangeText(free)} is free of what the input shows, with an aligned place for ${bytes(size)}.${
      beside.length > 0
        ? ` Beside it, in the same bridge's window, lie ${beside
            .map((one) => `${nameOfStory(one)} at ${one.placed?.toString() ?? ''}`)
            .slice(0, 3)
            .join(', ')}.`
        : ''
    }`,
    remedies: widerBridge(scene.stack, size, top.prefetchable, isHotplugged(scene, top)),
    missing: [ask.bridges],
  };
}
