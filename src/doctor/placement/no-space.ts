import { formatSize } from '../../address/format.js';
import { MiB } from '../../address/kinds.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Candidate } from '../finding.js';
import { ask } from '../missing.js';
import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import { judgeAtBridge } from './bridge.js';
import { cite, failureLine, placedLine } from './cite.js';
import { bottleneckOf, nameOfStory } from './demand.js';
import { judgeAtHost } from './host.js';

/** Resources that the kernel gave up, sorted by what it means. */
export interface Failures {
  /** Memory BARs and windows that something needs. */
  readonly real: readonly Story[];
  readonly vf: readonly Story[];
  /** I/O ports, ROMs, a root port's own BARs: not needed by what is there. */
  readonly optional: readonly Story[];
  /** Failed on the way and placed in the end. */
  readonly recovered: readonly Story[];
}

export function failuresOf(scene: Scene): Failures {
  const failed = scene.stories.filter(({ outcome }) => outcome === 'failed');
  const vf = failed.filter(({ isVf }) => isVf);
  const optional = failed.filter((story) => !story.isVf && isOptional(scene, story));
  const real = failed.filter((story) => !vf.includes(story) && !optional.includes(story));
  return { real, vf, optional, recovered: scene.stories.filter(({ recovered }) => recovered) };
}

/** The room that the kernel keeps in a hot-plug port's window unless it is told otherwise (DEFAULT_HOTPLUG_MMIO_SIZE). */
const HOTPLUG_RESERVE = 2n * MiB;

/** The log shows the boot from its enumeration on, so that a BAR without a place would show, too. */
const isWhole = ({ evidence }: Scene, { address, file, boot }: Story): boolean =>
  evidence.functions.some(
    ({ address: at, line }) => line.source.file === file && line.boot === boot && formatBdf(at) === formatBdf(address),
  );

/** Room for a device that may come later: nothing behind the port misses it. */
function isSpare(scene: Scene, story: Story): boolean {
  if (!story.isWindow || story.size === undefined) return false;
  const whole = isWhole(scene, story);
  if (story.size > HOTPLUG_RESERVE && !whole) return false;
  const bridge = scene.bridges.find(
    ({ address, file, boot }) =>
      file === story.file && boot === story.boot && formatBdf(address) === formatBdf(story.address),
  );
  return !scene.stories.some(
    (other) =>
      other.outcome === 'failed' &&
      other.space === 'memory' &&
      other.name !== 'rom' &&
      // In a whole log windows further down say nothing that the BARs in them do not say.
      !(whole && other.isWindow) &&
      other.file === story.file &&
      other.boot === story.boot &&
      other.address.segment === story.address.segment &&
      (bridge
        ? other.address.bus >= bridge.secondary && other.address.bus <= bridge.subordinate
        : other.address.bus > story.address.bus),
  );
}

/** PCI Express functions work without I/O ports; ROMs are read at boot by firmware alone; a root port's own BARs are unused. */
function isOptional(scene: Scene, story: Story): boolean {
  if (story.space === 'io' || story.name === 'rom') return true;
  if (isSpare(scene, story)) return true;
  const { segment, bus, device, fn } = story.address;
  const key = segment * 0x1_0000 + bus * 0x100 + device * 8 + fn;
  return typeof story.name === 'number' && scene.isBridge.get(key) === true;
}

/** No machine has more that fails; of a log that says so the largest are enough. */
const MOST_JUDGED = 256;
const largestFirst = (a: Story, b: Story) => {
  const [one, other] = [a.size ?? 0n, b.size ?? 0n];
  return one > other ? -1 : one < other ? 1 : 0;
};

/** What follows from `no space` and `failed to assign`. */
export function noSpaceCandidates(scene: Scene, real: readonly Story[]): Candidate[] {
  if (real.length === 0) return [];
  const judged = real.length <= MOST_JUDGED ? real : real.toSorted(largestFirst).slice(0, MOST_JUDGED);
  const bottlenecks = judged.map((leaf) => bottleneckOf(scene, leaf));
  const behind = bottlenecks.filter(({ atRoot }) => !atRoot);
  const found: Candidate[] = [];
  const bridge = behind.length > 0 ? judgeAtBridge(scene, behind) : undefined;
  if (bridge) found.push(bridge);
  const rest = bottlenecks.filter(({ atRoot }) => atRoot || !bridge);
  const low = rest.filter((one) => !needsHigh(one.top));
  const high = rest.filter((one) => needsHigh(one.top));
  for (const group of [high, low]) {
    const host = group.length > 0 ? judgeAtHost(scene, group) : undefined;
    if (host) found.push(host);
  }
  return found;
}

const needsHigh = ({ wide, name }: Story) => wide && name !== 'memory';

/** I/O ports and ROMs without a place, attempts that succeeded later: lines that look like a fault. */
export function harmlessFailures(scene: Scene, { real, vf, optional, recovered }: Failures): Candidate[] {
  const lines = [...optional, ...recovered];
  if (lines.length === 0) return [];
  const io = optional.filter(({ space }) => space === 'io');
  const roms = optional.filter(({ name }) => name === 'rom');
  const spare = optional.filter((story) => story.isWindow && !io.includes(story));
  const own = optional.filter((story) => !io.includes(story) && !roms.includes(story) && !spare.includes(story));
  const reasons: string[] = [];
  if (io.length > 0) {
    reasons.push(
      `${io.length} I/O range${io.length > 1 ? 's' : ''} without a place: 64 KiB of ports, in steps of 4 KiB a bridge, hold 15 windows at most, and PCI Express devices work through their memory BARs`,
    );
  }
  if (roms.length > 0) {
    reasons.push(
      `${roms.length} expansion ROM${roms.length > 1 ? 's' : ''} (${[...new Set(roms.map(({ size }) => formatSize(size ?? 0n)))].join(', ')}): read by firmware at boot; drivers do without, or read a copy`,
    );
  }
  if (spare.length > 0) {
    reasons.push(
      `${spare.map(nameOfStory).slice(0, 3).join(', ')}: room for a device that may be plugged in later; no function behind it misses anything`,
    );
  }
  if (own.length > 0) {
    reasons.push(`${own.map(nameOfStory).join(', ')}: a port's own BAR, which nothing uses`);
  }
  const asked = recovered.filter(({ events }) => events.some(({ verb }) => verb === 'no-space'));
  const moved = recovered.filter((story) => !asked.includes(story));
  for (const [group, why] of [
    [asked, 'failed at first (the kernel asks for optional room beyond what is needed)'],
    [moved, 'could not stay where firmware had left'],
  ] as const) {
    const [one] = group;
    if (!one) continue;
    const many = group.length > 1;
    const what = group === moved ? (many ? ' them' : ' it') : '';
    reasons.push(
      `${group.length} resource${many ? 's' : ''} ${why}${what} and ${many ? 'have their places' : 'has its place'} in the end${one.placed ? `: ${nameOfStory(one)} at ${one.placed.toString()}` : ''}`,
    );
  }
  const alone = real.length === 0 && vf.length === 0;
  // Without the enumeration a memory BAR that has no place need not show.
  const whole = lines.every((story) => isWhole(scene, story));
  return [
    {
      cause: 'benign-noise',
      confidence: alone && whole && own.length + recovered.length + io.length + spare.length > 0 ? 'certain' : 'likely',
      fault: false,
      weight: alone ? 40 : 5,
      summary: alone
        ? whole
          ? 'These “no space” lines do no harm: everything that drivers need has its place.'
          : 'These “no space” lines do no harm by themselves; the enumeration that would show every memory BAR in its place is not in the input.'
        : 'Some of the “no space” lines do no harm.',
      evidence: cite(lines.map(failureLine), recovered.map(placedLine)),
      proof: `${reasons.join('. ')}.`,
      remedies: [],
      ...(alone ? (whole ? {} : { missing: [ask.kernelLog] }) : { missing: [ask.windows] }),
    },
  ];
}
