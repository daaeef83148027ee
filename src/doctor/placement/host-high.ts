import { formatSize, hex } from '../../address/format.js';
import { FOUR_GIB, GiB } from '../../address/kinds.js';
import type { AddressRange } from '../../address/range.js';
import { ask } from '../missing.js';
import type { Candidate, Missing } from '../finding.js';
import { moreRoomAbove, moreRoomBelow, open64 } from '../remedies/windows.js';
import { isRootBus } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import { cite, failureLine, placedLine } from './cite.js';
import { nameOfStory, reachOf } from './demand.js';
import { bytes, noSlotSentence, rangeText, sumOf } from './fit.js';
import {
  demandIn,
  failureLines,
  fullBridge,
  largest,
  leaves,
  noAlignedSlot,
  tooMany,
  tops,
  type Context,
} from './host-context.js';
import { isHotplugged } from './hotplug.js';
import { judgeLow } from './host-low.js';
import { takenAway, withdrawnFrom } from './withdrawn.js';

/** A BAR this large leaves no room for anything else below 4 GiB, where RAM, ECAM and interrupt controllers are too. */
const NOT_BELOW_FOUR = 2n * GiB;

/** What may lie above 4 GiB on a host bridge's bus. */
export function judgeHigh(context: Context): Candidate | undefined {
  const { scene, main, failures, windows } = context;
  const { top } = main;
  const size = top.size ?? 0n;
  const what = nameOfStory(top);
  const high = windows.filter(({ high: isHigh }) => isHigh);
  const base = {
    fault: true,
    weight: 85,
    evidence: cite(
      ...failureLines(context).slice(0, 6),
      windows.map(({ line }) => line),
    ),
  };
  const total = sumOf(tops(failures).map((story) => story.size ?? 0n));
  if (windows.length === 0) return highUnknown(context, total);
  const clipped = takenAway(scene, main, windows);
  if (clipped) return clipped;
  if (high.length === 0) {
    if (total < NOT_BELOW_FOUR) return judgeLow(context);
    const window = largest(windows);
    return {
      ...base,
      evidence: cite(
        failureLine(top),
        windows.map(({ line }) => line),
        base.evidence,
      ),
      cause: 'no-64bit-window',
      confidence: 'certain',
      summary: `${what} needs ${formatSize(size)}, which cannot lie below 4 GiB, and the host bridge has no window above.`,
      proof: `${bytes(total)} are asked for. The host bridge's memory windows end at ${window ? hex(windows.reduce((most, { bars }) => (bars.limit > most ? bars.limit : most), 0n)) : 'below 4 GiB'}; the largest is ${window ? rangeText(window.bars) : 'unknown'}.`,
      remedies: open64(scene.stack, total, isHotplugged(scene, top)),
    };
  }
  const window = largest(high);
  if (!window) return undefined;
  const demand = demandIn(scene, context, high, 'any');
  const room = sumOf(high.map(({ bars }) => bars.size));
  if (size > window.bars.size || demand.total > room) {
    return {
      ...base,
      evidence: cite(failureLine(top), window.line, base.evidence),
      cause: 'aperture64-too-small',
      confidence: 'certain',
      summary: `The host bridge's 64-bit window is ${formatSize(window.bars.size)}; ${what} needs ${formatSize(size)}${size > window.bars.size ? '' : ' beside what is placed already'}.`,
      proof:
        size > window.bars.size
          ? `${hex(size)} bytes are asked for; ${rangeText(window.bars)} is ${hex(size - window.bars.size)} bytes smaller.`
          : `${demand.parts.join(' + ')} = ${bytes(demand.total)}; the windows above 4 GiB hold ${bytes(room)}.`,
      remedies: moreRoomAbove(scene.stack, demand.total > size ? demand.total : size),
    };
  }
  const alignment = noAlignedSlot(context, high);
  if (alignment) {
    return {
      ...base,
      evidence: cite(failureLine(alignment.story), window.line, base.evidence),
      cause: 'alignment-no-slot',
      confidence: 'certain',
      summary: `The 64-bit window has bytes enough for ${nameOfStory(alignment.story)} (${formatSize(alignment.size)}), but no place that is a multiple of its size.`,
      proof: `Window ${rangeText(alignment.window)}; ${noSlotSentence(alignment.window, alignment.size)}.`,
      remedies: moreRoomAbove(scene.stack, alignment.size * 2n),
    };
  }
  const crowded = tooMany(context, high, demand.placed);
  if (crowded) return { ...crowded, remedies: moreRoomAbove(scene.stack, demand.total * 2n) };
  return (
    withdrawnFrom(scene, main, windows) ??
    fullBridge(context, high, demand.placed) ?? {
      ...base,
      evidence: cite(failureLine(top), window.line, base.evidence),
      cause: 'aperture64-too-small',
      confidence: 'possible',
      weight: 60,
      summary: `${what} found no ${formatSize(size)} in the 64-bit window, although what the input shows would fit there.`,
      proof: `${bytes(size)} against ${rangeText(window.bars)}: what takes the rest is not in the input.`,
      remedies: moreRoomAbove(scene.stack, size),
      missing: [ask.windows, ask.bridges],
    }
  );
}

/** A host bridge that maps a window below 4 GiB on the bus to CPU addresses above, as SoCs do; it is full. */
function translatedWindow({ scene, main, failures }: Context, translated: Story, total: bigint): Candidate {
  const { top } = main;
  const size = top.size ?? 0n;
  const { placed } = translated;
  return {
    cause: 'window-too-small-32bit',
    confidence: 'likely',
    fault: true,
    weight: 76,
    summary: `${nameOfStory(top)} finds no ${formatSize(size)}: the host bridge's window, below 4 GiB on the bus, is too small for what is behind it.`,
    evidence: cite(failureLine(top), placedLine(translated), leaves(failures).map(failureLine)),
    proof: `${nameOfStory(translated)} has 32 address bits and lies at CPU address ${placed ? rangeText(placed) : ''}, so the host bridge translates a window below 4 GiB. ${bytes(total)} more find no place in it.`,
    remedies: moreRoomBelow({ ...scene.stack, deviceTree: true }, total + (placed?.size ?? 0n)),
    missing: [ask.windows, ask.bridges],
  };
}

/** No window is shown: where other resources of the same machine were placed tells whether there is one above 4 GiB. */
function highUnknown(context: Context, total: bigint): Candidate {
  const { scene, main } = context;
  const { top } = main;
  const size = top.size ?? 0n;
  const what = nameOfStory(top);
  const here = scene.stories.filter(
    (story) =>
      story.file === top.file &&
      story.boot === top.boot &&
      story.address.segment === top.address.segment &&
      story.placed,
  );
  // A bridge's non-prefetchable window and 32-bit BARs have 32 bits on the bus: where the CPU sees them above 4 GiB, the
  // host bridge translates, and CPU addresses say nothing of a 64-bit window.
  const translated = here.find(
    (story) =>
      reachOf(scene, story) === 'low' && story.space === 'memory' && (story.placed as AddressRange).base >= FOUR_GIB,
  );
  const above = translated ? undefined : here.find(({ placed }) => placed !== undefined && placed.base >= FOUR_GIB);
  const wideBelow = here.find(
    (story) =>
      story.wide &&
      (story.prefetchable || isRootBus(scene, story.address.segment, story.address.bus)) &&
      (story.placed as AddressRange).limit < FOUR_GIB &&
      story.placed !== story.initial,
  );
  const missing: Missing[] = [ask.windows, ask.bridges];
  const base = { fault: true, evidence: cite(...failureLines(context).slice(0, 8)), missing } as const;
  const impossible = total >= NOT_BELOW_FOUR;
  if (translated && !impossible) return translatedWindow(context, translated, total);
  if (!impossible && !above) {
    return {
      ...base,
      cause: 'window-too-small-32bit',
      confidence: 'possible',
      weight: 65,
      summary: `${what} finds no ${formatSize(size)}; no line shows the windows above it.`,
      proof: `${bytes(total)} have no place. They would fit below 4 GiB in a window that is large enough.`,
      remedies: moreRoomBelow(scene.stack, total),
    };
  }
  if (above) {
    return {
      ...base,
      evidence: cite(failureLine(top), placedLine(above), base.evidence),
      cause: 'aperture64-too-small',
      confidence: 'likely',
      weight: 72,
      summary: `There is a window above 4 GiB, and it has no ${formatSize(size)} for ${what}.`,
      proof: `${nameOfStory(above)} lies at ${above.placed?.toString() ?? ''}, above 4 GiB; ${bytes(total)} more are asked for in vain.`,
      remedies: moreRoomAbove(scene.stack, total),
    };
  }
  if (wideBelow || main.atRoot) {
    return {
      ...base,
      evidence: cite(failureLine(top), wideBelow ? placedLine(wideBelow) : undefined, base.evidence),
      cause: 'no-64bit-window',
      confidence: wideBelow ? 'likely' : 'possible',
      weight: 72,
      summary: `${what} needs ${formatSize(size)}, which cannot lie below 4 GiB, and no window above 4 GiB is in use.`,
      proof: `${bytes(total)} are asked for.${wideBelow ? ` ${nameOfStory(wideBelow)}, 64-bit as well, was placed below 4 GiB at ${wideBelow.placed?.toString() ?? ''}: the kernel tries a window above 4 GiB first, so it has none.` : ''}`,
      remedies: open64(scene.stack, total, isHotplugged(scene, top)),
    };
  }
  // Behind a bridge, with nothing shown above it: on a board with a device tree the SoC's range is what is short.
  const embedded = scene.stack.deviceTree || top.address.segment !== 0 || scene.stack.isGuest === true;
  return {
    ...base,
    cause: embedded ? 'aperture64-too-small' : 'no-64bit-window',
    confidence: 'possible',
    weight: 68,
    summary: embedded
      ? `${what} needs ${formatSize(size)}, more than the windows above it have.`
      : `${what} needs ${formatSize(size)}, which cannot lie below 4 GiB; no window above 4 GiB is shown.`,
    proof: `${bytes(total)} are asked for, more than all address space below 4 GiB can give. The windows above are not in the input.`,
    remedies: embedded ? moreRoomAbove(scene.stack, total) : open64(scene.stack, total, isHotplugged(scene, top)),
  };
}
