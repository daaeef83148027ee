import { formatBdf } from '../../pci/bdf.js';
import { FOUR_GIB } from '../../address/kinds.js';
import { hex } from '../../address/format.js';
import { AddressRange } from '../../address/range.js';
import { beyondWidth, unaddressable } from '../placement/beyond-width.js';
import { cite, placedLine } from '../placement/cite.js';
import { nameOfStory } from '../placement/demand.js';
import { rangeText } from '../placement/fit.js';
import { factsOf, windowsAbove } from '../scene/host-windows.js';
import { said } from '../evidence.js';
import { ask } from '../missing.js';
import { bridgeAbove, isRootBus, type Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import type { Candidate } from '../finding.js';
import type { ResourceEvent } from '../../import/log/resource-event.js';

/** What firmware placed and the kernel could not claim: outside the window above, or on top of something else. */
export function claims(scene: Scene): Candidate[] {
  return [...notCovering(scene), ...conflicts(scene), ...withdrawnAlone(scene)];
}

const storyOf = (scene: Scene, event: ResourceEvent): Story | undefined =>
  scene.stories.find(({ events }) => events.includes(event));
/** A resize gives up windows and claims them again; what is refused then says nothing of the firmware. */
const whileResizing = (scene: Scene) =>
  scene.evidence.messages.has('resize-tried') ||
  scene.evidence.messages.has('resize-failed') ||
  scene.evidence.resources.some(({ verb }) => verb === 'not-released');

function notCovering(scene: Scene): Candidate[] {
  const events = scene.evidence.resources.filter(({ verb, range }) => verb === 'not-covered' && range !== undefined);
  const memory = events.filter(({ space, name }) => space === 'memory' && name !== 'rom');
  const wanted = memory.length > 0 ? memory : events;
  if (wanted.length === 0) return [];
  if (wanted.every(({ name }) => name === 'rom')) return [unplacedRoms(scene, wanted)];
  const leftovers = wanted.filter(isUnwritten);
  const beyond = wanted.filter((event) => liesBeyondCpu(scene, event));
  const chosen = wanted.filter((event) => !leftovers.includes(event) && !beyond.includes(event));
  return [
    ...(leftovers.length > 0 ? [neverAssigned(scene, leftovers)] : []),
    ...beyondCpu(scene, beyond),
    ...outside(scene, chosen),
  ];
}

/** Whether the kernel leaves out the window that the resource lies in for want of CPU addresses, and found it no other place. */
const liesBeyondCpu = (scene: Scene, event: ResourceEvent): boolean =>
  unaddressable(scene, event) !== undefined && storyOf(scene, event)?.outcome !== 'placed';

function beyondCpu(scene: Scene, events: readonly ResourceEvent[]): Candidate[] {
  const window = events[0] && unaddressable(scene, events[0]);
  const stories = [...new Set(events.flatMap((event) => storyOf(scene, event) ?? []))];
  return window ? [beyondWidth(scene, window, stories)] : [];
}

/** What lies outside the windows above. */
function outside(scene: Scene, chosen: readonly ResourceEvent[]): Candidate[] {
  const [first] = chosen;
  if (!first?.range) return [];
  const story = storyOf(scene, first);
  const { segment, bus } = first.address;
  const at = { address: first.address, file: first.line.source.file, boot: first.line.boot };
  const above = bridgeAbove(scene, at);
  const shown = above
    ? scene.stories.filter(
        ({ isWindow, address, space, placed }) =>
          isWindow && placed && space === first.space && formatBdf(address) === formatBdf(above.address),
      )
    : windowsAbove(scene.windows, at).filter(({ space }) => space === first.space);
  const ranges = shown.map((one) => ('range' in one ? one.range : one.placed)).filter((range) => range !== undefined);
  const low = first.range.base & (FOUR_GIB - 1n);
  const high = first.range.base >> 32n;
  const half = ranges.find((range) => range.contains(low) && high > 0n);
  const where = above
    ? `bridge ${formatBdf(above.address)}`
    : isRootBus(scene, segment, bus)
      ? 'the host bridge'
      : 'the bridge above';
  const covering = ranges.find((range) => range.covers(first.range as AddressRange));
  const proved = ranges.length > 0 && covering === undefined;
  const harmless = chosen.every(({ space, name }) => space === 'io' || name === 'rom');
  const fixed = chosen.every(
    ({ address, range }) =>
      isRootBus(scene, address.segment, address.bus) && range !== undefined && CHIPSET.covers(range),
  );
  const what = story ? nameOfStory(story) : formatBdf(first.address);
  const moved = story?.outcome === 'placed' ? story.placed : undefined;
  if (fixed) return [chipsetRange(scene, chosen)];
  return [
    {
      cause: 'bridge-window-not-covering',
      confidence: proved ? 'certain' : 'likely',
      fault: !harmless,
      weight: whileResizing(scene) ? 35 : harmless ? 60 : 87,
      summary: covering
        ? `The kernel does not take ${covering.toString()} of ${where} for ${what}, which firmware put at ${first.range.toString()}.`
        : `Firmware put ${what} at ${first.range.toString()}, which no window of ${where} covers.`,
      evidence: cite(
        chosen.slice(0, 4).map(({ line }) => line),
        shown.map((one) => ('line' in one ? one.line : placedLine(one))),
        above?.line,
        moved ? story && placedLine(story) : undefined,
      ),
      proof: [
        covering
          ? `${rangeText(covering)} holds the address, and the kernel says “no compatible window”: what is left is the window's kind (prefetchable, 64-bit), or that it was opened later.`
          : ranges.length > 0
            ? `Windows of ${where}: ${ranges.map(rangeText).join(', ')}; none covers ${first.range.toString()}.`
            : 'The kernel found no window above that covers it; the windows are not in the input.',
        half
          ? `The low half ${hex(low)} lies in ${half.toString()}; the high half is ${hex(high)} instead of 0: only the upper register is wrong.`
          : '',
        moved ? `The kernel moved it to ${moved.toString()}.` : '',
      ]
        .filter(Boolean)
        .join(' '),
      remedies: [
        {
          change: 'a firmware update; until then nothing where the kernel has moved the BAR and the driver works',
          where: 'bios',
          why: 'the firmware programs BAR and bridge window; the kernel can only give the BAR another place',
        },
        ...(moved
          ? []
          : [
              {
                change: 'pci=realloc (on the kernel command line)',
                where: 'kernel' as const,
                why: 'lets the kernel place BARs and windows anew',
              },
            ]),
      ],
      ...(ranges.length === 0 ? { missing: [ask.windows, ask.bridges] } : {}),
    },
  ];
}

/**
 * What a BAR holds that nobody gave an address: 0, as after a reset, or after all-ones were written to size it its size mask
 * (PCI Local Bus 3.0 §6.2.5.1), a range that ends at the last byte below 4 GiB, or of 64 bits.
 */
const isUnwritten = (event: ResourceEvent) => isSizingLeftover(event) || isZero(event);
const isZero = ({ range, name }: ResourceEvent) => range?.base === 0n && typeof name === 'number';
const isSizingLeftover = ({ range, space }: ResourceEvent) =>
  space === 'memory' &&
  range !== undefined &&
  ((range.limit === FOUR_GIB - 1n && range.size < FOUR_GIB) || range.limit === (1n << 64n) - 1n);

function unplacedRoms(scene: Scene, events: readonly ResourceEvent[]): Candidate {
  const moved = events.flatMap((event) => storyOf(scene, event) ?? []).filter(({ outcome }) => outcome === 'placed');
  return {
    cause: 'benign-noise',
    confidence: moved.length > 0 || events.every(isSizingLeftover) ? 'certain' : 'likely',
    fault: false,
    weight: 60,
    summary: 'Firmware left expansion ROMs without a place: nothing depends on it.',
    evidence: cite(
      events.slice(0, 6).map(({ line }) => line),
      moved.map(placedLine),
    ),
    proof: `${events.some(isSizingLeftover) ? `${events.find(isSizingLeftover)?.range?.toString() ?? ''} ends at 0xffffffff: that is the size mask which the register still holds, no address. ` : ''}Expansion ROMs are read by firmware at boot; drivers do without, or read a copy.${moved.length > 0 ? ` The kernel gave ${moved.length === 1 ? 'one of them' : `${moved.length} of them`} a place afterwards.` : ''}`,
    remedies: [],
  };
}

function neverAssigned(scene: Scene, events: readonly ResourceEvent[]): Candidate {
  const [first] = events;
  const told = said(scene.evidence, 'probe-only').find(
    ({ line }) => line.boot === first?.line.boot && line.source.file === first.line.source.file,
  );
  const stories = events.flatMap((event) => storyOf(scene, event) ?? []);
  const moved = stories.filter(({ outcome }) => outcome === 'placed');
  return {
    cause: 'firmware-did-not-assign',
    confidence: told ? 'certain' : 'likely',
    fault: moved.length < stories.length,
    weight: whileResizing(scene) ? 30 : 86,
    summary: `Nobody gave ${stories[0] ? nameOfStory(stories[0]) : 'the BAR'} an address: its register holds ${first && isZero(first) ? '0' : 'the size mask'}.`,
    evidence: cite(
      events.slice(0, 6).map(({ line }) => line),
      told?.line,
      stories.flatMap(({ events: all }) => all.filter(({ verb }) => verb === 'no-address').map(({ line }) => line)),
      moved.map(placedLine),
    ),
    proof: `${told ? 'PROBE_ONLY tells the kernel to keep what it finds and to place nothing. ' : ''}${first?.range?.toString() ?? ''} ${first && isZero(first) ? 'starts at 0. A register reads like that after a reset, until an address is written.' : `ends at ${hex(first?.range?.limit ?? 0n)}. A register reads like that after all-ones were written to size it and no address followed, or in a device model that does not keep what is written.`}${moved.length > 0 ? ` The kernel placed ${moved.length} of them itself.` : ''}`,
    remedies:
      moved.length === stories.length
        ? []
        : [
            ...(told
              ? [
                  {
                    change: 'linux,pci-probe-only out of the device tree (/chosen and the host bridge’s node)',
                    where: 'device-tree' as const,
                    why: 'the kernel then places what firmware has not',
                  },
                ]
              : []),
            {
              change: 'firmware, or a VMM, that assigns the BAR; EDK2 leaves out what its windows cannot hold',
              where: 'firmware',
              why: 'the kernel takes what it reads for the firmware’s choice, and only then looks for another place',
            },
            ...(told
              ? []
              : [
                  {
                    change: 'pci=realloc (on the kernel command line)',
                    where: 'kernel' as const,
                    why: 'lets the kernel place BARs and bridge windows anew, where the host bridge has a window that fits',
                  },
                ]),
          ],
    ...(told || moved.length === stories.length ? {} : { missing: [ask.windows] }),
  };
}

/** Where PC chipsets decode their own registers, below 4 GiB and outside every window: flash, SPI, HPET, interrupt controllers. */
const CHIPSET = AddressRange.of(0xfe00_0000n, 0xffff_ffffn);

/** A chipset function whose BAR firmware keeps at a fixed place for itself. */
function chipsetRange(scene: Scene, events: readonly ResourceEvent[]): Candidate {
  const moved = events.flatMap((event) => storyOf(scene, event) ?? []).filter(({ outcome }) => outcome === 'placed');
  return {
    cause: 'benign-noise',
    confidence: 'likely',
    fault: false,
    weight: 61,
    summary:
      'Firmware keeps a chipset function at a fixed address outside the host bridge’s windows; the kernel gives it another place.',
    evidence: cite(
      events.map(({ line }) => line),
      moved.map(placedLine),
    ),
    proof: `${events.map(({ range }) => range?.toString() ?? '').join(', ')} lies in ${CHIPSET.toString()}, where PC chipsets decode their own registers (SPI flash, HPET, interrupt controllers) outside of the windows that ACPI lists. The function is on the root bus, so no bridge window is wrong.${moved.length > 0 ? ' It was placed elsewhere.' : ''}`,
    remedies: [],
  };
}

/** Names of entries in the kernel's resource tree (kernel/resource.c) that are no PCI resource. */
const notPci =
  /^(?:System RAM|[Rr]eserved|Reserved|ACPI|Unknown E820|Persistent|Video (?:RAM|ROM)|Adapter ROM|System ROM|MSFT|pnp|PNP|INT|amd_|gpio|HPET|IOAPIC|Local APIC|dmar|Graphics|RAM buffer)/;

function conflicts(scene: Scene): Candidate[] {
  const events = scene.evidence.resources.filter(({ verb, other }) => verb === 'conflict' && other !== undefined);
  const ecam = events.filter(({ other }) => /MMCONFIG|ECAM/.test(other?.name ?? ''));
  const firmware = events.filter(({ other }) => notPci.test(other?.name ?? ''));
  const pci = events.filter((event) => !ecam.includes(event) && !firmware.includes(event));
  const found: Candidate[] = [];
  const lowered = whileResizing(scene);
  for (const [group, cause] of [
    [pci, 'bridge-window-conflict'],
    [firmware, 'window-reserved-by-firmware'],
    [ecam, 'ecam-conflict'],
  ] as const) {
    const memory = group.filter(({ space, name }) => space === 'memory' && name !== 'rom');
    const [first] = memory.length > 0 ? memory : group;
    if (!first) continue;
    const ioOnly = memory.length === 0;
    const story = storyOf(scene, first);
    const overlap = first.range && first.other?.range ? first.range.meet(first.other.range) : null;
    const inside = first.range && first.other?.range?.covers(first.range);
    const what = story ? nameOfStory(story) : formatBdf(first.address);
    const packed =
      ioOnly && group.length > 1 && group.every(({ range, other }) => range && other?.range?.covers(range));
    const moved = group.filter((event) => storyOf(scene, event)?.outcome === 'placed').length;
    const holder = first.other?.name ?? '';
    found.push({
      // Ports of the chipset that ACPI uses itself: nothing has to change.
      cause: ioOnly && cause === 'window-reserved-by-firmware' ? 'benign-noise' : cause,
      confidence: overlap ? 'certain' : 'likely',
      fault: !ioOnly,
      weight: lowered ? 35 : ioOnly ? 70 : 86,
      summary: `${what} ${first.range?.toString() ?? ''} overlaps ${holder || 'something else'}${first.other?.range ? ` ${first.other.range.toString()}` : ''}.`,
      evidence: cite(
        group.slice(0, 8).map(({ line }) => line),
        moved > 0 && story ? placedLine(story) : undefined,
      ),
      proof: [
        overlap && first.other?.range
          ? `${first.range?.toString() ?? ''} and ${rangeText(first.other.range)} have ${overlap.toString()} in common${inside ? ': the first lies wholly in the second' : ''}.`
          : 'The kernel names the holder; the line does not give its range.',
        packed
          ? `All ${group.length} ranges lie in the window of another bridge: a bridge’s I/O window has steps of 4 KiB, and firmware packed other devices into the rest of it.`
          : '',
        moved > 0 ? `The kernel gave ${moved} of them another place.` : '',
      ]
        .filter(Boolean)
        .join(' '),
      remedies: [
        ioOnly
          ? {
              change: 'nothing, where the drivers bind: the kernel moves I/O BARs',
              where: 'kernel',
              why: 'PCI Express devices and most others work without the old port numbers',
            }
          : {
              change: 'a firmware update; pci=realloc as a work-around',
              where: 'bios',
              why: 'firmware handed out the same addresses twice; with realloc the kernel places everything anew',
            },
      ],
      ...(overlap ? {} : { missing: [ask.iomem] }),
    });
  }
  return found;
}

/** Windows that firmware tables took away, where nothing is said to have failed for it. */
function withdrawnAlone(scene: Scene): Candidate[] {
  const lost = factsOf(scene.evidence, 'withdrawn').filter(
    ({ range, why }) => range.limit >= 0x10_0000n && why !== 'ignored' && why !== 'width',
  );
  const failed = scene.stories.some(({ outcome }) => outcome === 'failed');
  const [first] = lost;
  if (!first || failed) return [];
  return [
    {
      cause: 'window-reserved-by-firmware',
      confidence: 'possible',
      fault: true,
      weight: 50,
      summary: `The kernel does not use ${first.range.toString()} of a host bridge's window, because firmware tables reserve it.`,
      evidence: cite(lost.map(({ line }) => line)),
      proof: `${rangeText(first.range)}${first.left ? ` becomes ${rangeText(first.left)}` : ' is left out'}${first.holder ? `; ${first.holder.name} ${first.holder.range?.toString() ?? ''} has it` : ''}. Whether a device misses it is not in the input.`,
      remedies: [
        {
          change: 'pci=no_e820 (Linux 5.19 and later)',
          where: 'kernel',
          why: 'keeps the kernel from cutting e820 reservations out of the windows',
        },
      ],
      missing: [ask.windows],
    },
  ];
}
