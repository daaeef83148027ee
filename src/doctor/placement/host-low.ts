import { formatSize, hex } from '../../address/format.js';
import { FOUR_GIB, MiB } from '../../address/kinds.js';
import type { AddressRange } from '../../address/range.js';
import { ask } from '../missing.js';
import type { Candidate, Missing } from '../finding.js';
import { moreRoomBelow, open32, open64 } from '../remedies/windows.js';
import type { HostWindow } from '../scene/host-windows.js';
import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import { cite, failureLine, placedLine } from './cite.js';
import { alignmentFor, freeOf, nameOfStory, reachOf } from './demand.js';
import { bytes, noSlotSentence, rangeText, slotIn, sumOf } from './fit.js';
import {
  compareSizes,
  demandIn,
  failureLines,
  fullBridge,
  largest,
  noAlignedSlot,
  tooMany,
  tops,
  type Context,
} from './host-context.js';
import { takenAway, withdrawnFrom } from './withdrawn.js';

/** What needs an address below 4 GiB on a host bridge's bus. */
export function judgeLow(context: Context): Candidate | undefined {
  const { scene, main, windows } = context;
  const { top } = main;
  const size = top.size ?? 0n;
  const what = nameOfStory(top);
  if (windows.length === 0) return lowUnknown(context);
  const low = windows.filter(({ low: isLow }) => isLow);
  const usable = unflagged(
    context,
    low.filter(({ prefetchable }) => !prefetchable || top.prefetchable),
  );
  const base = {
    fault: true,
    weight: 85,
    evidence: cite(
      ...failureLines(context).slice(0, 6),
      windows.map(({ line }) => line),
    ),
  };
  const clipped = takenAway(scene, main, windows);
  if (clipped) return clipped;
  if (usable.length === 0) {
    const why =
      low.length > 0 ? 'flagged prefetchable, which it may not use' : 'above 4 GiB, where its register cannot point';
    return {
      ...base,
      cause: 'no-32bit-window',
      confidence: 'certain',
      summary: `${what} needs a non-prefetchable window below 4 GiB, and the host bridge has none.`,
      proof: `${windows.map(({ bars }) => rangeText(bars)).join(', ')}: ${windows.length === 1 ? 'the only window is' : 'all windows are'} ${why}. ${what} asks for ${bytes(size)} with 32 address bits.`,
      remedies: open32(scene.stack, size),
    };
  }
  const window = largest(usable);
  if (!window) return undefined;
  const alignment = noAlignedSlot(context, usable);
  const demand = demandIn(scene, context, usable, 'low');
  const room = sumOf(usable.map(({ bars }) => clipBelowFour(bars)));
  if (size > window.bars.size || demand.total > room) {
    const alone = size > window.bars.size;
    const wanted = demand.total > size ? demand.total : size;
    // What may lie above 4 GiB is judged here where the host bridge has no window there.
    const high = reachOf(scene, top) === 'any';
    return {
      ...base,
      evidence: cite(failureLine(top), window.line, base.evidence),
      cause: 'window-too-small-32bit',
      confidence: 'certain',
      summary: high
        ? `${what} needs ${formatSize(size)}; the host bridge has no window above 4 GiB, and the one below ${alone ? `is only ${formatSize(window.bars.size)}` : 'does not hold that beside the rest'}.`
        : `${what} needs ${formatSize(size)} below 4 GiB, and the host bridge's window there ${alone ? `is only ${formatSize(window.bars.size)}` : 'does not hold that beside the rest'}.`,
      proof: alone
        ? `${hex(size)} bytes are asked for; the window ${rangeText(window.bars)} is ${hex(size - window.bars.size)} bytes smaller.`
        : `${demand.parts.join(' + ')} = ${bytes(demand.total)}; the window${usable.length > 1 ? 's hold' : ` ${rangeText(window.bars)} holds`} ${bytes(room)}.`,
      remedies: high
        ? [...moreRoomBelow(scene.stack, wanted).slice(0, 1), ...open64(scene.stack, wanted, false).slice(0, 1)]
        : moreRoomBelow(scene.stack, wanted),
    };
  }
  if (alignment) {
    return {
      ...base,
      evidence: cite(failureLine(alignment.story), window.line, base.evidence),
      cause: 'alignment-no-slot',
      confidence: 'certain',
      summary: `The window has bytes enough for ${nameOfStory(alignment.story)} (${formatSize(alignment.size)}), but no place that is a multiple of its size: no order of placement can succeed.`,
      proof:
        `Window ${rangeText(alignment.window)}; ${noSlotSentence(alignment.window, alignment.size)}. ${otherWindows(windows, usable)}`.trim(),
      remedies: alignmentRemedies(scene, alignment.size),
    };
  }
  const crowded = tooMany(context, usable, demand.placed);
  if (crowded) return { ...crowded, remedies: moreRoomBelow(scene.stack, demand.total * 2n) };
  return (
    withdrawnFrom(scene, main, usable) ??
    flagged(context, window) ??
    fullBridge(context, usable, demand.placed) ??
    tight(context, usable, window, demand.placed)
  );
}

/**
 * Lines of a device tree's `ranges` show no flags. A window in which prefetchable BARs were placed, and into which a
 * non-prefetchable resource was not put although it would fit, is prefetchable.
 */
function unflagged({ scene, main: { top } }: Context, low: readonly HostWindow[]): readonly HostWindow[] {
  if (top.prefetchable || top.size === undefined) return low;
  const size = top.size;
  const plain = low.filter(
    ({ from, bars, range }) =>
      from === 'root' ||
      !slotIn(bars, size, MiB) ||
      !scene.stories.some(
        ({ placed, prefetchable, wide }) => prefetchable && wide && placed !== undefined && range.covers(placed),
      ),
  );
  return plain.length > 0 ? plain : low;
}

const clipBelowFour = (range: AddressRange) => (range.limit < FOUR_GIB ? range.size : FOUR_GIB - range.base);

function otherWindows(all: readonly HostWindow[], usable: readonly HostWindow[]): string {
  const high = all.filter((window) => !usable.includes(window));
  return high.length === 0
    ? ''
    : `It is a 32-bit resource, so ${high.map(({ bars }) => bars.toString()).join(', ')} cannot hold it.`;
}

function alignmentRemedies(scene: Scene, size: bigint) {
  const more = moreRoomBelow(scene.stack, size * 2n);
  // A window that no option moves.
  if (more.every(({ where }) => where === 'hardware')) return more;
  return [
    ...more,
    {
      change: `a window that covers a whole aligned ${formatSize(size)}, or a BAR that is 64-bit prefetchable or smaller (an FPGA's BAR size is a parameter of its PCIe core)`,
      where: 'hardware' as const,
      why: 'the order in which BARs are placed does not matter: the empty window has no slot',
    },
  ];
}

/** No window line is in the input: what is known is the sizes, and where others were placed. */
function lowUnknown(context: Context): Candidate {
  const { scene, main, failures } = context;
  const { top } = main;
  const size = top.size ?? 0n;
  const total = sumOf(tops(failures).map((story) => story.size ?? 0n));
  const missing: Missing[] = [ask.windows, ask.bridges];
  const withdrawn = withdrawnFrom(scene, main, []);
  if (withdrawn) return withdrawn;
  const large = total >= 8n << 20n;
  return {
    cause: 'window-too-small-32bit',
    confidence: large ? 'likely' : 'possible',
    fault: true,
    weight: 70,
    summary: `${nameOfStory(top)} finds no ${formatSize(size)} below 4 GiB; the window there is not shown, and is too small for what is behind it.`,
    evidence: cite(...failureLines(context)),
    proof: `${bytes(total)} without a place have 32 address bits; the lines that show the window are not in the input.`,
    remedies: moreRoomBelow(scene.stack, total),
    missing,
  };
}

/** A device tree's window that is large enough, and is not used for a 32-bit resource. */
function flagged({ scene, main }: Context, window: HostWindow): Candidate | undefined {
  const fromTree = scene.stack.deviceTree || window.prefetchable;
  if (!fromTree || scene.stack.arch === 'x86_64') return undefined;
  const { top } = main;
  // Something of the same kind lies there: the kernel takes the window for what it is.
  const used = scene.stories.some(
    ({ placed, space, prefetchable, wide, name, file, boot }) =>
      placed !== undefined &&
      space === 'memory' &&
      file === top.file &&
      boot === top.boot &&
      (name === 'memory' || (!wide && !prefetchable)) &&
      window.range.covers(placed),
  );
  if (used) return undefined;
  const older = scene.stories.find(
    (story) => story !== top && story.name === top.name && story.outcome === 'placed' && story.file !== top.file,
  );
  return {
    cause: 'no-32bit-window',
    confidence: 'likely',
    fault: true,
    weight: 80,
    summary: `${nameOfStory(top)} needs ${formatSize(top.size ?? 0n)} of 32-bit non-prefetchable space. The window ${window.bars.toString()} is large enough and lies below 4 GiB, but the kernel does not take it for that.`,
    evidence: cite(failureLine(top), window.line, failureLine(main.leaf), older ? placedLine(older) : undefined),
    proof: `${bytes(top.size ?? 0n)} fit in ${rangeText(window.bars)}, so size is not the question${older ? `, and another boot placed it there` : ''}: what is left is the window's type. A device tree that calls it 64-bit (0x03000000) or prefetchable (0x42000000, 0x43000000) makes the kernel keep 32-bit resources out (Linux 5.13 takes the 64-bit flag at its word; 5.14 clears it for non-prefetchable ranges below 4 GiB).`,
    remedies: [
      {
        change: 'declare the range as 32-bit non-prefetchable memory (0x82000000 in "ranges")',
        where: 'device-tree',
        why: 'bridge windows for non-prefetchable memory have 32 address bits and use only such a range',
      },
      {
        change: 'a kernel other than 5.13, in which of_pci clears the 64-bit flag of low non-prefetchable ranges',
        where: 'kernel',
        why: 'the window is then used whatever the device tree says',
      },
    ],
    missing: [ask.windows],
  };
}

/** There was no space, and neither the sizes nor the alignment by themselves tell why. */
function tight(
  context: Context,
  usable: readonly HostWindow[],
  window: HostWindow,
  placed: readonly Story[],
): Candidate {
  const { scene, main, failures } = context;
  const { top } = main;
  const size = top.size ?? 0n;
  const free = freeOf(
    usable.map(({ range }) => range),
    placed,
  );
  const alignment = alignmentFor(top, failures);
  const full = placed.length > 0 && !free.some((range) => slotIn(range, size, alignment));
  const left = free.toSorted((a, b) => compareSizes(b.size, a.size))[0];
  const base = {
    cause: 'window-too-small-32bit',
    fault: true,
    remedies: moreRoomBelow(scene.stack, size),
  } as const;
  if (full) {
    return {
      ...base,
      confidence: 'likely',
      weight: 80,
      summary: `${nameOfStory(top)} found no ${formatSize(size)} in the host bridge's window below 4 GiB: what is placed there leaves no aligned place.`,
      evidence: cite(failureLine(top), window.line, failureLine(main.leaf), placed.slice(0, 6).map(placedLine)),
      proof: `${placed.length} resources on the host bridge's bus take ${bytes(sumOf(placed.map(({ placed: at }) => at?.size ?? 0n)))} of ${rangeText(window.bars)}. ${left ? `The largest free piece is ${rangeText(left)}` : 'Nothing is left'}; ${bytes(size)} with an alignment of ${formatSize(alignment)} do not fit. The sum of all sizes would: another order of placement may hold everything.`,
    };
  }
  return {
    ...base,
    confidence: 'possible',
    weight: 60,
    summary: `${nameOfStory(top)} found no ${formatSize(size)} in the host bridge's window below 4 GiB, although what the input shows would fit.`,
    evidence: cite(failureLine(top), window.line, failureLine(main.leaf)),
    proof: `${bytes(size)} against ${rangeText(window.bars)}: the rest of the window is taken by devices or reservations that the input does not show.`,
    missing: [ask.windows, ask.iomem],
  };
}
