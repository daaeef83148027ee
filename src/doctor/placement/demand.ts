import { MiB } from '../../address/kinds.js';
import type { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import { formatBdf } from '../../pci/bdf.js';
import { bridgeAbove, isRootBus, type Scene, type SceneBridge } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';

/**
 * Which windows a resource may lie in: `low` needs bus addresses below 4 GiB (32-bit BARs, ROMs, non-prefetchable
 * windows and whatever lies in them), `any` may lie above.
 */
export type Reach = 'low' | 'any';

export function reachOf(scene: Scene, story: Story): Reach {
  const { name, wide, prefetchable, address } = story;
  if (name === 'memory' || name === 'rom' || !wide) return name === 'prefetchable' && wide ? 'any' : 'low';
  // A bridge's non-prefetchable window has no upper 32 bits (PCI-to-PCI Bridge 1.2 §3.2.5.8).
  return prefetchable || isRootBus(scene, address.segment, address.bus) ? 'any' : 'low';
}

/** `0000:01:00.0 BAR 1`, `the memory window of bridge 0000:00:1c.0`. */
export function nameOfStory({ address, name }: Pick<Story, 'address' | 'name'>): string {
  const at = formatBdf(address);
  if (name === null) return `a resource of ${at}`;
  if (name === 'io') return `the I/O window of bridge ${at}`;
  if (name === 'memory') return `the memory window of bridge ${at}`;
  if (name === 'prefetchable') return `the prefetchable window of bridge ${at}`;
  if (name === 'rom') return `${at} expansion ROM`;
  return typeof name === 'string' ? `${at} VF BAR ${name.slice(2)}` : `${at} BAR ${name}`;
}

/** A resource that failed, and the outermost one that failed for it: the window that could not be had further up. */
export interface Bottleneck {
  readonly leaf: Story;
  readonly top: Story;
  /** The bridge above `top`, where it is known. */
  readonly above: SceneBridge | undefined;
  /** `top` lies on a host bridge's own bus. */
  readonly atRoot: boolean;
}

/** Follows a failed resource up to the outermost window that failed as well. */
export function bottleneckOf(scene: Scene, leaf: Story): Bottleneck {
  let top = leaf;
  for (let depth = 0; depth < 32; depth++) {
    const { segment, bus } = top.address;
    const above = bridgeAbove(scene, top);
    if (isRootBus(scene, segment, bus)) return { leaf, top, above: undefined, atRoot: true };
    const kinds = reachOf(scene, leaf) === 'low' ? (['memory'] as const) : (['prefetchable', 'memory'] as const);
    const window = failedWindow(scene, top, above, kinds);
    if (!window) return { leaf, top, above, atRoot: false };
    top = window;
  }
  return { leaf, top, above: undefined, atRoot: false };
}

/** The window of the bridge above that failed, too; without the bridge's bus numbers the nearest one on a lower bus. */
function failedWindow(
  scene: Scene,
  below: Story,
  above: SceneBridge | undefined,
  kinds: readonly ('memory' | 'prefetchable')[],
): Story | undefined {
  const failed = scene.stories.filter(
    (story) =>
      story.isWindow &&
      story.outcome === 'failed' &&
      story.file === below.file &&
      story.boot === below.boot &&
      story.address.segment === below.address.segment &&
      story.address.bus < below.address.bus,
  );
  for (const kind of kinds) {
    const fitting = failed.filter(({ name }) => name === kind);
    const exact = above && fitting.find(({ address }) => formatBdf(address) === formatBdf(above.address));
    if (exact) return exact;
    if (above) continue;
    const nearest = fitting.toSorted((a, b) => b.address.bus - a.address.bus)[0];
    if (nearest) return nearest;
  }
  return undefined;
}

/** What a bridge's window of a kind is in the end, as far as the log shows it. */
export function windowOf(
  scene: Scene,
  bridge: SceneBridge,
  kind: 'memory' | 'prefetchable',
  near: Story,
): Story | undefined {
  const own = scene.stories.filter(
    (story) => story.isWindow && story.name === kind && formatBdf(story.address) === formatBdf(bridge.address),
  );
  return own.find(({ file, boot }) => file === near.file && boot === near.boot) ?? own[0];
}

/** What a resource is aligned to at least: a BAR to its size, a bridge's window to 1 MiB. */
export const alignmentOf = ({ isWindow, size }: Story): bigint => (isWindow || size === undefined ? MiB : size);

/** The same, with what has to lie in the window: the largest BAR that failed for it. */
export const alignmentFor = (top: Story, all: readonly Bottleneck[]): bigint =>
  all
    .filter((one) => one.top === top && !one.leaf.isVf)
    .map(({ leaf }) => alignmentOf(leaf))
    .reduce((most, one) => (one > most ? one : most), alignmentOf(top));

/** What is placed on a bus, in one of the ranges. */
export function placedOn(scene: Scene, bus: number, near: Story, ranges: readonly AddressRange[]): Story[] {
  return scene.stories.filter(
    ({ placed, space, file, boot, address }) =>
      placed !== undefined &&
      space === 'memory' &&
      file === near.file &&
      boot === near.boot &&
      address.segment === near.address.segment &&
      address.bus === bus &&
      ranges.some((range) => range.covers(placed)),
  );
}

/** What things that are placed leave of ranges. */
export const freeOf = (ranges: readonly AddressRange[], taken: readonly Story[]): AddressRange[] => [
  ...RangeSet.of(ranges).subtract(taken.flatMap(({ placed }) => placed ?? [])),
];
