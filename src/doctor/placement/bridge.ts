import { formatSize, hex } from '../../address/format.js';
import { formatBdf } from '../../pci/bdf.js';
import { ask } from '../missing.js';
import type { Candidate } from '../finding.js';
import { widerBridge } from '../remedies/windows.js';
import { windowsAbove } from '../scene/host-windows.js';
import type { Scene, SceneBridge } from '../scene/scene.js';
import { besideSiblings, lateWindow, narrowAbove, outgrown, refusedAbove } from './bridge-signs.js';
import { cite, failureLine, placedLine } from './cite.js';
import { alignmentFor, freeOf, nameOfStory, placedOn, reachOf, windowOf, type Bottleneck } from './demand.js';
import { bytes, rangeText, slotIn, sumOf } from './fit.js';
import { isHotplugged } from './hotplug.js';
import { reservedInside } from './withdrawn.js';

/**
 * Judges resources that failed behind a bridge whose own window did not fail: the bridge is what is too small. Undefined
 * where nothing shows that.
 */
export function judgeAtBridge(scene: Scene, bottlenecks: readonly Bottleneck[]): Candidate | undefined {
  for (const bottleneck of bottlenecks.toSorted(bySize)) {
    const found = judgeOne(scene, bottleneck, bottlenecks);
    if (found) return found;
  }
  return undefined;
}

const bySize = (a: Bottleneck, b: Bottleneck) => ((a.top.size ?? 0n) > (b.top.size ?? 0n) ? -1 : 1);

function judgeOne(scene: Scene, { top, leaf, above }: Bottleneck, all: readonly Bottleneck[]): Candidate | undefined {
  if (!above)
    return (
      lateWindow(scene, top, leaf) ??
      outgrown(scene, top, leaf) ??
      narrowAbove(scene, top, leaf) ??
      besideSiblings(scene, top) ??
      refusedAbove(scene, top, leaf)
    );
  const kinds =
    reachOf(scene, top) === 'any' && top.prefetchable ? (['prefetchable', 'memory'] as const) : (['memory'] as const);
  const shown = kinds.flatMap((kind) => windowOf(scene, above, kind, top) ?? []);
  const open = shown.filter(({ placed }) => placed !== undefined);
  const siblings = all.filter((other) => other.above?.address === above.address).map((other) => other.top);
  const need = sumOf([...new Set(siblings)].map((story) => story.size ?? 0n));
  const size = top.size ?? 0n;
  const late = lateWindow(scene, top, leaf);
  if (late) return late;
  const ranges = open.flatMap(({ placed }) => placed ?? []);
  const inside = placedOn(scene, above.secondary, top, ranges);
  const free = freeOf(ranges, inside);
  const alignment = alignmentFor(top, all);
  const fits = free.some((range) => slotIn(range, size, alignment));
  const window = open[0];
  const reserved = fits ? reservedInside(scene, { top, leaf, above, atRoot: false }, free, alignment) : undefined;
  if (reserved) return reserved;
  const evidence = cite(
    failureLine(top),
    window ? placedLine(window) : undefined,
    above.line,
    failureLine(leaf),
    siblings.map(failureLine),
    inside.slice(0, 3).map(placedLine),
  );
  // Firmware gave the BAR up: what helps is a kernel that places anew, not room that firmware would not have either.
  const leftOut = leaf.events.some(({ verb }) => verb === 'not-covered');
  const reach = reachOf(scene, top);
  const [own, others] = [true, false].map((same) =>
    sumOf(
      [...new Set(siblings)]
        .filter((story) => (reachOf(scene, story) === reach) === same)
        .map((story) => story.size ?? 0n),
    ),
  ) as [bigint, bigint];
  const hotplugged = isHotplugged(scene);
  const wider = [
    ...widerBridge(scene.stack, own, kinds.length > 1, hotplugged),
    ...(others > 0n ? widerBridge(scene.stack, others, kinds.length === 1, hotplugged).slice(0, 1) : []),
  ];
  const hosts = windowsAbove(scene.windows, top).filter(({ space }) => space === 'memory');
  const largestHost = hosts.reduce((most, { bars }) => (bars.size > most ? bars.size : most), 0n);
  const notAbove =
    largestHost > 0n && largestHost < size
      ? `The host bridge's largest window, ${bytes(largestHost)}, would not hold it either.`
      : "The bridge's own window did not fail, so the host bridge is not what is short.";
  const remedies =
    leftOut && scene.stack.isGuest === true ? wider.filter(({ change }) => change.includes('realloc')) : wider;
  const base = { cause: 'bridge-window-too-small', fault: true, evidence, remedies } as const;
  const at = formatBdf(above.address);
  if (window?.placed && !fits) {
    const left = free.reduce((most, range) => (range.size > most ? range.size : most), 0n);
    return {
      ...base,
      confidence: 'certain',
      weight: 88,
      summary: `Bridge ${at} has a ${window.name === 'memory' ? 'memory' : 'prefetchable'} window of ${formatSize(window.placed.size)}, and ${nameOfStory(top)} behind it needs ${formatSize(size)}.`,
      proof: `${bridgeText(above)}: window ${rangeText(window.placed)}; asked for are ${bytes(size)}${size > window.placed.size ? `, ${hex(size - window.placed.size)} more than it has` : inside.length > 0 ? `; beside ${inside.map(nameOfStory).slice(0, 3).join(', ')} the largest free piece is ${bytes(left)}${left >= size ? `, without a place aligned to ${formatSize(alignment)}` : ''}` : `, and no place aligned to ${formatSize(alignment)} lies in it`}. ${notAbove}`,
    };
  }
  if (window?.placed && need > window.placed.size) {
    return {
      ...base,
      confidence: 'certain',
      weight: 86,
      summary: `The window of bridge ${at} is too small for all that is behind it: ${formatSize(need)} have no place.`,
      proof: `${bridgeText(above)}: window ${rangeText(window.placed)}; ${bytes(need)} are asked for in vain.`,
    };
  }
  if (shown.length === 0 && listsWindows(scene, above)) {
    return {
      ...base,
      confidence: 'likely',
      weight: 80,
      summary: `Bridge ${at} has no open ${kinds[0] === 'memory' ? 'memory' : 'prefetchable'} window for ${nameOfStory(top)}.`,
      proof: `${bridgeText(above)} lists its windows, and none can hold ${bytes(size)} of ${nameOfStory(top)}.`,
      missing: [ask.bridges],
    };
  }
  return refusedAbove(scene, top, leaf);
}

const bridgeText = ({ address, secondary, subordinate }: SceneBridge) =>
  `Bridge ${formatBdf(address)} to buses ${secondary.toString(16).padStart(2, '0')}-${subordinate.toString(16).padStart(2, '0')}`;

/** Whether the log shows any memory window of the bridge, so that one that is absent is closed. */
function listsWindows(scene: Scene, bridge: SceneBridge): boolean {
  return scene.stories.some(
    ({ isWindow, space, address, outcome }) =>
      isWindow && space === 'memory' && outcome === 'placed' && formatBdf(address) === formatBdf(bridge.address),
  );
}
