import { formatSize } from '../../address/format.js';
import { MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import type { LogLine } from '../../import/log/line.js';
import { formatBdf } from '../../pci/bdf.js';
import { ask } from '../missing.js';
import type { Candidate, Remedy } from '../finding.js';
import { factsOf, type HostWindow } from '../scene/host-windows.js';
import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import { beyondWidth } from './beyond-width.js';
import { cite, failureLine, placedLine } from './cite.js';
import { alignmentOf, nameOfStory, reachOf, type Bottleneck } from './demand.js';
import { bytes, rangeText, slotIn } from './fit.js';

/** Below this lie legacy ranges (VGA, option ROMs), which every firmware lists and nobody misses. */
const LEGACY = 1n * MiB;

/** What QEMU reserves below 1 TiB on AMD CPUs (hw/i386/pc.c, AMD_HT_START). */
const HYPERTRANSPORT = AddressRange.of(0xfd_0000_0000n, 0xff_ffff_ffffn);

/** arch/x86/pci/acpi.c, pci_acpi_crs_quirks: whether the kernel keeps new BARs out of them. */
const E820_WORD = /PCI: (?:Using|Ignoring) E820 reservations for host bridge windows/;

const remedies: readonly Remedy[] = [
  {
    change: 'pci=no_e820 (Linux 5.19 and later), or pci=nocrs',
    where: 'kernel',
    why: 'the first keeps the kernel from cutting e820 reservations out of the host bridge’s windows; the second makes it ignore the firmware’s windows altogether',
  },
  {
    change: 'a kernel of 5.19 or later (distributions took the change into 5.15), or a firmware update',
    where: 'kernel',
    why: 'how e820 reservations inside host bridge windows are treated was changed there, per machine and then by date',
  },
];

/**
 * Whether firmware tables take away what a resource would have got: parts of windows that were clipped, windows that were
 * ignored, e820 reservations inside them; or, without any of these lines, a place that firmware gave and the kernel refused.
 */
export function withdrawnFrom(
  scene: Scene,
  bottleneck: Bottleneck,
  windows: readonly HostWindow[],
): Candidate | undefined {
  const { top, leaf } = bottleneck;
  const size = top.size ?? 0n;
  const base = { cause: 'window-reserved-by-firmware', fault: true, remedies } as const;
  const gone = takenAway(scene, bottleneck, windows);
  if (gone) return gone;
  const reserved = factsOf(scene.evidence, 'firmware-range').filter(
    ({ type, range }) => /reserved|MMIO|ACPI/i.test(type) && range.limit >= LEGACY,
  );
  if (reserved.length > 0 && windows.length > 0) {
    const open = RangeSet.of(windows.map(({ range }) => range));
    const left = open.subtract(reserved.map(({ range }) => range));
    const alignment = leaf.isWindow ? MiB : (leaf.size ?? size);
    if (![...left].some((range) => slotIn(range, size, alignment < size ? alignment : size))) {
      const hit = reserved.filter(({ range }) => windows.some((window) => window.range.overlaps(range)));
      return {
        ...base,
        confidence: 'certain',
        weight: 88,
        summary: `The host bridge's window is large enough for ${nameOfStory(top)}, but the firmware's memory map reserves it.`,
        evidence: cite(
          failureLine(top),
          hit.map(({ line }) => line),
          windows.map(({ line }) => line),
        ),
        proof: `${windows.map(({ range }) => rangeText(range)).join(', ')} without the reserved ${hit.map(({ range }) => range.toString()).join(', ')} leaves ${left.size === 0n ? 'nothing' : [...left].map((range) => range.toString()).join(', ')}: no place for ${bytes(size)}.`,
      };
    }
  }
  const given = leaf.initial;
  if (given && windows.length === 0 && leaf.outcome === 'failed' && !wasReleased(leaf.events.map(({ verb }) => verb))) {
    return {
      ...base,
      confidence: 'possible',
      weight: 72,
      summary: `The firmware had placed ${nameOfStory(leaf)} at ${given.toString()}; the kernel took it away and found no other place, not even for ${formatSize(leaf.size ?? 0n)}.`,
      evidence: cite(leaf.events.find(({ verb }) => verb === 'found')?.line, failureLine(leaf), failureLine(top)),
      proof: `A range that firmware used and that has room for so little is withdrawn rather than full: by an e820 reservation or by the host bridge's _CRS. The lines that would show it are not in the input.`,
      missing: [ask.windows],
    };
  }
  return undefined;
}

/** Whether a bridge's window has a place for a resource, and the firmware's memory map reserves it: then Linux gives none of it. */
export function reservedInside(
  scene: Scene,
  { top, above }: Bottleneck,
  free: readonly AddressRange[],
  alignment: bigint,
): Candidate | undefined {
  const size = top.size ?? 0n;
  const reserved = factsOf(scene.evidence, 'firmware-range').filter(
    ({ type, range, line }) =>
      /reserved/i.test(type) && range.limit >= LEGACY && ofBoot(top, line) && free.some((one) => one.overlaps(range)),
  );
  const left = RangeSet.of(free).subtract(reserved.map(({ range }) => range));
  if (reserved.length === 0 || [...left].some((range) => slotIn(range, size, alignment))) return undefined;
  const words = scene.evidence.lines.filter((line) => ofBoot(top, line) && E820_WORD.test(line.text));
  if (words.some(({ text }) => text.includes('Ignoring'))) return undefined;
  const ofAmd = reserved.some(({ range }) => range.covers(HYPERTRANSPORT)) && scene.stack.isGuest === true;
  return {
    cause: 'window-reserved-by-firmware',
    fault: true,
    confidence: words.length > 0 ? 'certain' : 'likely',
    weight: 88,
    summary: `The window of bridge ${above ? formatBdf(above.address) : 'above'} has room for ${nameOfStory(top)} (${formatSize(size)}), and the firmware's memory map reserves it.`,
    evidence: cite(
      failureLine(top),
      reserved.map(({ line }) => line),
      scene.stories
        .filter(({ isWindow, address }) => isWindow && above && formatBdf(address) === formatBdf(above.address))
        .filter(({ placed }) => placed && reserved.some(({ range }) => range.overlaps(placed)))
        .map(placedLine),
      words,
    ),
    proof: `${free.map(rangeText).join(', ')} ${free.length > 1 ? 'are' : 'is'} free; without the reserved ${reserved.map(({ range }) => range.toString()).join(', ')} ${left.size === 0n ? 'nothing' : [...left].map((range) => range.toString()).join(', ')} is left. The kernel keeps what firmware has placed there, and places nothing new.`,
    remedies: [
      ...(ofAmd
        ? [
            {
              change: '-cpu …,phys-bits=41 or more, where the host has as many',
              where: 'qemu' as const,
              why: 'QEMU reserves the last 12 GiB below 1 TiB on AMD CPUs (HyperTransport); with 40 address bits firmware opens windows just there',
            },
          ]
        : []),
      {
        change: 'pci=no_e820 (Linux 5.19 and later)',
        where: scene.stack.isGuest === true ? 'guest-kernel' : 'kernel',
        why: 'the kernel then places BARs in ranges that e820 reserves, too',
      },
    ],
  };
}

const wasReleased = (verbs: readonly string[]) => verbs.includes('released');

/** What one boot says of its host bridges says nothing of another's. */
const ofBoot = ({ file, boot }: Story, line: LogLine) => line.source.file === file && line.boot === boot;

/** Windows, or parts of windows, that the kernel says it does not use, and that would have held the resource. */
export function takenAway(
  scene: Scene,
  { top, leaf }: Bottleneck,
  windows: readonly HostWindow[],
): Candidate | undefined {
  const size = top.size ?? 0n;
  const alignment = alignmentOf(leaf);
  const holds = (range: AddressRange | undefined) =>
    range !== undefined && slotIn(range, size, alignment) !== undefined;
  const lost = factsOf(scene.evidence, 'withdrawn').filter(
    ({ range, left, why, line }) =>
      range.limit >= LEGACY && why !== 'ignored' && ofBoot(top, line) && holds(range) && !holds(left),
  );
  const beyond = lost.find(({ why }) => why === 'width' && reachOf(scene, top) === 'any');
  if (beyond && size > 0n) return beyondWidth(scene, beyond, [top, leaf]);
  const [gone] = lost.filter(({ why }) => why !== 'width');
  if (!gone || size === 0n) return undefined;
  const { range, left, holder } = gone;
  return {
    cause: 'window-reserved-by-firmware',
    fault: true,
    remedies,
    confidence: 'likely',
    weight: 88,
    summary: `The firmware's tables take away the range that ${nameOfStory(top)} would lie in.`,
    evidence: cite(
      failureLine(top),
      lost.map(({ line }) => line),
      windows.map(({ line }) => line),
      failureLine(leaf),
    ),
    proof:
      `${rangeText(range)} would hold ${bytes(size)}${left ? `; ${rangeText(left)}, which is left of it, does not` : ', and the kernel does not use it'}. ${holder ? `${holder.name} ${holder.range?.toString() ?? ''} has the rest.` : ''}`.trim(),
  };
}
