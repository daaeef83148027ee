import { formatSize, hex } from '../../address/format.js';
import { GiB } from '../../address/kinds.js';
import { formatBdf } from '../../pci/bdf.js';
import { ask } from '../missing.js';
import type { Candidate } from '../finding.js';
import { widerBridge } from '../remedies/windows.js';
import { isRootBus, type Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import { cite, failureLine, placedLine } from './cite.js';
import { alignmentOf, freeOf, nameOfStory, placedOn, reachOf } from './demand.js';
import { bytes, rangeText, slotIn } from './fit.js';
import { isHotplugged } from './hotplug.js';

/** A bridge's window that was assigned only after what is behind it had failed. */
export function lateWindow(scene: Scene, top: Story, leaf: Story): Candidate | undefined {
  const failed = top.events.find(({ verb }) => verb === 'no-space');
  if (!failed) return undefined;
  const late = scene.stories.find((story) => {
    if (!story.isWindow || story.space !== 'memory' || story.address.segment !== top.address.segment) return false;
    if (story.file !== top.file || story.boot !== top.boot || story.address.bus >= top.address.bus) return false;
    if (story.prefetchable !== top.prefetchable || (top.size ?? 0n) > (story.placed?.size ?? 0n)) return false;
    const assigned = story.events.find(({ verb }) => verb === 'assigned');
    return assigned !== undefined && assigned.line.source.line > failed.line.source.line;
  });
  const window = late?.placed;
  if (!late || !window) return undefined;
  const assigned = late.events.findLast(({ verb }) => verb === 'assigned')?.line;
  const wait =
    assigned?.time !== undefined && failed.line.time !== undefined ? assigned.time - failed.line.time : undefined;
  return {
    cause: 'bridge-window-too-small',
    confidence: 'certain',
    fault: true,
    weight: 90,
    summary: `Bridge ${formatBdf(late.address)} got a window of ${formatSize(window.size)} only after ${nameOfStory(top)} behind it had been given up.`,
    evidence: cite(failed.line, assigned, failureLine(leaf)),
    proof: `${nameOfStory(top)} failed for ${bytes(top.size ?? 0n)}; ${wait === undefined ? 'afterwards' : `${Math.round(wait * 1000)} ms later`} the bridge received ${rangeText(window)}: the host bridge had room, the bridge had not when it was needed.`,
    remedies: widerBridge(scene.stack, window.size, top.prefetchable, true),
  };
}

/** A window that firmware had opened, and that the kernel gave up for a larger one, in vain. */
export function outgrown(scene: Scene, top: Story, leaf: Story): Candidate | undefined {
  const before = top.events.findLast(
    // Registers that nobody wrote read as a window at 0.
    ({ verb, range }) => (verb === 'released' || verb === 'found') && range !== undefined && range.base > 0n,
  );
  const size = top.size ?? 0n;
  if (
    !top.isWindow ||
    !before?.range ||
    before.range.size >= size ||
    isRootBus(scene, top.address.segment, top.address.bus)
  )
    return undefined;
  return {
    cause: 'bridge-window-too-small',
    confidence: 'likely',
    fault: true,
    weight: 83,
    summary: `${nameOfStory(top)} had ${formatSize(before.range.size)}, and ${formatSize(size)} are needed behind it; the windows above do not let it grow.`,
    evidence: cite(before.line, failureLine(top), failureLine(leaf)),
    proof: `It was ${rangeText(before.range)}; asked for are ${bytes(size)}, ${hex(size - before.range.size)} more. It lies behind another bridge, whose window it has to fit into.`,
    remedies: widerBridge(scene.stack, size, top.prefetchable, isHotplugged(scene, top) || top.driver === 'pcieport'),
    missing: [ask.bridges, ask.windows],
  };
}

/** Others on the same bus have their places in the same kind of window; this one is small, so it is their bridge that is full. */
export function besideSiblings(scene: Scene, top: Story): Candidate | undefined {
  const size = top.size ?? 0n;
  if (top.isWindow || size >= GiB) return undefined;
  const siblings = scene.stories.filter(
    ({ placed, isWindow, isVf, space, address, file, boot, wide, prefetchable }) =>
      placed !== undefined &&
      !isWindow &&
      !isVf &&
      space === 'memory' &&
      wide === top.wide &&
      prefetchable === top.prefetchable &&
      file === top.file &&
      boot === top.boot &&
      address.segment === top.address.segment &&
      address.bus === top.address.bus,
  );
  const [first] = siblings;
  if (!first?.placed) return undefined;
  return {
    cause: 'bridge-window-too-small',
    confidence: 'likely',
    fault: true,
    weight: 78,
    summary: `The window of the bridge above bus ${top.address.bus.toString(16).padStart(2, '0')} is full: ${nameOfStory(top)} finds no ${formatSize(size)} beside what is placed there.`,
    evidence: cite(failureLine(top), siblings.slice(0, 4).map(placedLine)),
    proof: `${siblings
      .map((one) => `${nameOfStory(one)} lies at ${one.placed?.toString() ?? ''}`)
      .slice(0, 3)
      .join(
        '; ',
      )}: the bridge has a window of this kind. ${bytes(size)} more do not fit into it; bridge windows are sized before BARs are placed.`,
    remedies: widerBridge(scene.stack, size, top.prefetchable, isHotplugged(scene, top)),
    missing: [ask.bridges, ask.windows],
  };
}

/** The bridge above is not named by its bus numbers; the nearest window on a lower bus is too small. */
export function narrowAbove(scene: Scene, top: Story, leaf: Story): Candidate | undefined {
  const size = top.size ?? 0n;
  const windows = scene.stories.filter(
    (story) =>
      (story.name === 'prefetchable' || story.name === 'memory') &&
      (story.name === 'prefetchable') === (reachOf(scene, top) === 'any' && top.prefetchable) &&
      story.placed !== undefined &&
      story.file === top.file &&
      story.boot === top.boot &&
      story.address.segment === top.address.segment &&
      story.address.bus < top.address.bus,
  );
  const nearest = windows.toSorted((a, b) => b.address.bus - a.address.bus)[0];
  if (!nearest?.placed) return undefined;
  const inside = placedOn(scene, top.address.bus, top, [nearest.placed]);
  const free = freeOf([nearest.placed], inside);
  if (free.some((range) => slotIn(range, size, alignmentOf(top)))) return undefined;
  return {
    cause: 'bridge-window-too-small',
    confidence: 'likely',
    fault: true,
    weight: 84,
    summary: `${nameOfStory(nearest)} has ${formatSize(nearest.placed.size)}, and ${nameOfStory(top)} below it needs ${formatSize(size)}.`,
    evidence: cite(placedLine(nearest), failureLine(top), failureLine(leaf), inside.slice(0, 3).map(placedLine)),
    proof: `Window ${rangeText(nearest.placed)}; asked for are ${bytes(size)}${
      size > nearest.placed.size
        ? `, ${hex(size - nearest.placed.size)} more`
        : `, and no aligned place of that size lies in it${
            inside.length > 0
              ? ` beside ${inside
                  .map((one) => `${nameOfStory(one)} at ${one.placed?.toString() ?? ''}`)
                  .slice(0, 3)
                  .join(', ')}`
              : ''
          }`
    }. The window itself was assigned, so what is above it is not what is short.`,
    remedies: widerBridge(scene.stack, size, top.prefetchable, isHotplugged(scene, top)),
    missing: [ask.bridges],
  };
}

/** Something behind a bridge failed, and no window above it did: on a PC it is firmware that gave the bridge too little. */
function behindUnknown(scene: Scene, top: Story, leaf: Story): Candidate | undefined {
  const size = top.size ?? 0n;
  const board = scene.stack.deviceTree || top.address.segment !== 0 || scene.windows.length > 0;
  const given = leaf.initial !== undefined;
  if (isRootBus(scene, top.address.segment, top.address.bus) || board || given || size >= GiB) return undefined;
  return {
    cause: 'bridge-window-too-small',
    confidence: 'possible',
    fault: true,
    weight: 71,
    summary: `${nameOfStory(top)} finds no ${formatSize(size)} in the window of the bridge above it.`,
    evidence: cite(failureLine(top), failureLine(leaf)),
    proof: `${bytes(size)} are asked for on bus ${top.address.bus.toString(16).padStart(2, '0')}; no line says that the window of the bridge above failed, so it has one, and it is too small. It is not in the input.`,
    remedies: widerBridge(scene.stack, size, top.prefetchable, false),
    missing: [ask.windows, ask.bridges],
  };
}

/** Windows that the kernel itself calls too small, also where it went on with less than it wanted. */
export function refusedByKernel(scene: Scene): Candidate | undefined {
  const short = scene.evidence.resources.filter(({ verb }) => verb === 'cannot-fit');
  const [first] = short.toSorted((a, b) => ((a.need ?? 0n) > (b.need ?? 0n) ? -1 : 1));
  if (!first) return undefined;
  const { address, range, need = 0n, prefetchable } = first;
  const hidden = scene.stories.filter(
    ({ recovered, outcome, isWindow, address: at }) =>
      isWindow && (recovered || outcome === 'failed') && at.segment === address.segment,
  );
  const less = hidden.filter(
    ({ placed, events }) =>
      placed && events.some((event) => event.verb === 'no-space' && (event.size ?? 0n) > placed.size),
  );
  const reserve = less.length > 0;
  return {
    cause: 'bridge-window-too-small',
    confidence: 'certain',
    fault: true,
    weight: 85,
    summary: `Bridge ${formatBdf(address)} has ${range ? formatSize(range.size) : 'too little'}, and what is behind it asks for ${formatSize(need)}.`,
    evidence: cite(
      first.line,
      hidden.map(failureLine),
      less.map(placedLine),
      short.map(({ line }) => line),
    ),
    proof: `Window ${range ? rangeText(range) : ''}; ${bytes(need)} are asked for, as the kernel says itself.${reserve ? ` It went on with less: ${less.map((one) => `${nameOfStory(one)} got ${formatSize(one.placed?.size ?? 0n)}`).join(', ')}. The difference is room kept for hot-plug, or for BARs that are to grow.` : ''}`,
    remedies: [
      ...widerBridge(scene.stack, need, prefetchable, true),
      ...(reserve
        ? [
            {
              change: 'a smaller pci=hpmmioprefsize= (it is kept for every hot-plug port, so several of them add up)',
              where: 'kernel' as const,
              why: 'the reserve of all ports together has to fit into the window of the port above',
            },
          ]
        : []),
    ],
  };
}

/** Nothing shows the window above; a device that came by hot-plug finds the reserve of its port, no more. */
export function refusedAbove(scene: Scene, top: Story, leaf: Story): Candidate | undefined {
  if (!isHotplugged(scene, top)) return behindUnknown(scene, top, leaf);
  const size = top.size ?? 0n;
  const huge = size >= 2n * GiB;
  const hotplug = scene.evidence.messages.get('hotplug')?.[0]?.line;
  return {
    cause: 'bridge-window-too-small',
    confidence: huge ? 'likely' : 'possible',
    fault: true,
    weight: 74,
    summary: `${nameOfStory(top)} came by hot-plug and finds no ${formatSize(size)} in the window of the port that it was plugged into.`,
    evidence: cite(failureLine(top), hotplug, failureLine(leaf)),
    proof: `${bytes(size)} are asked for. A port's window holds what was reserved at boot; it can only be widened where its neighbours leave room.`,
    remedies: widerBridge(scene.stack, size, top.prefetchable, true),
    missing: [ask.bridges, ask.windows],
  };
}
