import { hex } from '../../address/format.js';
import { AddressRange } from '../../address/range.js';
import type { LogLine } from '../../import/log/line.js';
import type { LspciFunction } from '../../import/log/lspci-state.js';
import { bdfKey, type Observation, type SeenFunction, type SeenResource } from '../../import/observation.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Candidate } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { rangeText } from '../placement/fit.js';
import type { Scene } from '../scene/scene.js';

/** What listings of lspci show by themselves. */
export function listings(scene: Scene): Candidate[] {
  const found: Candidate[] = [];
  for (const observation of scene.evidence.observations) {
    if (observation.kind !== 'lspci') continue;
    const states = scene.evidence.lspci.filter(({ line }) => line.source.file === observation.file);
    const listing: Listing = {
      scene,
      observation,
      states: new Map(states.map((state) => [bdfKey(state.address), state])),
    };
    found.push(
      ...[dead(listing), notCovered(listing), overlapping(listing), decodeOff(listing)].filter(
        (one) => one !== undefined,
      ),
    );
  }
  return found;
}

interface Listing {
  readonly scene: Scene;
  readonly observation: Observation;
  readonly states: ReadonlyMap<number, LspciFunction>;
}

const rangeOf = ({ placement, size }: SeenResource): AddressRange | undefined =>
  'address' in placement &&
  size !== undefined &&
  size > 0n &&
  placement.address > 0n &&
  placement.address + size <= 1n << 64n
    ? AddressRange.sized(placement.address, size)
    : undefined;

const isWindow = ({ name }: SeenResource) => name === 'io' || name === 'memory' || name === 'prefetchable';
const isBar = (seen: SeenResource) => !isWindow(seen) && seen.name !== 'rom' && !(typeof seen.name === 'string');
const lineOf = (listing: Listing, seen: { readonly source: SeenResource['source'] }): LogLine | undefined =>
  listing.scene.evidence.lineAt(seen.source);

/** Functions that answer all-ones. */
function dead({ states }: Listing): Candidate | undefined {
  const gone = [...states.values()].filter((state) => state.dead);
  const [first] = gone;
  if (!first) return undefined;
  return {
    cause: 'not-placement',
    confidence: 'certain',
    fault: true,
    weight: 82,
    summary: `${formatBdf(first.address)} does not answer any more: its registers read all-ones.`,
    evidence: cite(
      gone.map(({ line }) => line),
      gone.map(({ dead: line }) => line),
    ),
    proof:
      'Revision ff and header type 7f are what a read of an absent function returns. The device is off, in reset, or its link is down; BARs and windows are not the question.',
    remedies: [
      {
        change:
          'a cold start; for a passed-through device see whether it can be reset (reset_method in sysfs), and keep it out of D3cold (vfio-pci disable_idle_d3=1, pcie_port_pm=off)',
        where: 'host-kernel',
        why: 'the device has to answer before anything else matters',
      },
    ],
    missing: [ask.kernelLog],
  };
}

/** A BAR outside every window of the bridge above it. */
function notCovered(listing: Listing): Candidate | undefined {
  const { observation } = listing;
  for (const bridge of observation.functions) {
    const windows = bridge.resources.filter(isWindow);
    if (!bridge.buses || windows.length === 0 || isSubtractive(listing, bridge)) continue;
    const open = windows
      .filter(({ space }) => space === 'memory')
      .map(rangeOf)
      .filter((range) => range !== undefined);
    // A window that is not shown may cover what the others do not.
    if (!windows.some(({ name }) => name === 'memory') || !windows.some(({ name }) => name === 'prefetchable'))
      continue;
    const { secondary } = bridge.buses;
    for (const fn of observation.functions) {
      if (fn.address.segment !== bridge.address.segment || fn.address.bus !== secondary) continue;
      const bad = fn.resources.find((seen) => {
        const range = rangeOf(seen);
        return (
          isBar(seen) &&
          seen.space === 'memory' &&
          (seen.placement.state === 'assigned' || seen.placement.state === 'decode-off') &&
          range &&
          !open.some((window) => window.covers(range))
        );
      });
      const range = bad && rangeOf(bad);
      if (!bad || !range) continue;
      const off = bad.placement.state === 'decode-off' || listing.states.get(bdfKey(fn.address))?.memory === false;
      return {
        cause: 'bridge-window-not-covering',
        // While decoding is off the register may still get another address.
        confidence: off ? 'likely' : 'certain',
        fault: true,
        weight: 84,
        summary: `${formatBdf(fn.address)} BAR ${String(bad.name ?? '')} at ${range.toString()} lies outside the windows of bridge ${formatBdf(bridge.address)}: ${off ? 'once it decodes, no access reaches it' : 'no access reaches it'}.`,
        evidence: cite(
          lineOf(listing, bad),
          windows.map((window) => lineOf(listing, window)),
          lineOf(listing, bridge),
          lineOf(listing, fn),
        ),
        proof: `Bridge ${formatBdf(bridge.address)} forwards ${open.length > 0 ? open.map(rangeText).join(' and ') : 'no memory at all'}; ${range.toString()} is in none of it.${off ? ' Memory decoding of the function is off now; turning it on changes nothing of that.' : ''}`,
        remedies: [
          {
            change: 'remove the device and rescan its bus, or pci=realloc at boot',
            where: 'kernel',
            why: 'the kernel then places BAR and window anew',
          },
        ],
      };
    }
  }
  return undefined;
}

const isSubtractive = ({ states }: Listing, fn: SeenFunction) =>
  /Subtractive/.test(states.get(bdfKey(fn.address))?.title ?? '');

/** Windows of sibling bridges, or a window and a sibling's BAR, that overlap. */
function overlapping(listing: Listing): Candidate | undefined {
  const { observation } = listing;
  const byBus = new Map<number, { fn: SeenFunction; seen: SeenResource; range: AddressRange }[]>();
  for (const fn of observation.functions) {
    for (const seen of fn.resources) {
      const range =
        seen.space === 'memory' && seen.name !== 'rom' && seen.placement.state === 'assigned'
          ? rangeOf(seen)
          : undefined;
      if (!range || (typeof seen.name === 'string' && seen.name.startsWith('vf'))) continue;
      const key = fn.address.segment * 0x100 + fn.address.bus;
      byBus.set(key, [...(byBus.get(key) ?? []), { fn, seen, range }]);
    }
  }
  for (const all of byBus.values()) {
    const sorted = all.toSorted((a, b) => (a.range.base < b.range.base ? -1 : 1));
    for (let i = 1; i < sorted.length; i++) {
      const [a, b] = [sorted[i - 1], sorted[i]];
      const common = a && b && bdfKey(a.fn.address) !== bdfKey(b.fn.address) ? a.range.meet(b.range) : null;
      if (!a || !b || !common) continue;
      return {
        cause: 'bridge-window-conflict',
        confidence: 'certain',
        fault: true,
        weight: 84,
        summary: `${formatBdf(a.fn.address)} ${a.range.toString()} and ${formatBdf(b.fn.address)} ${b.range.toString()} overlap on one bus.`,
        evidence: cite(lineOf(listing, a.seen), lineOf(listing, b.seen), lineOf(listing, a.fn), lineOf(listing, b.fn)),
        proof: `Both claim ${common.toString()} (${hex(common.size)} bytes): an access there has two takers.`,
        remedies: [
          {
            change: 'a firmware update; pci=realloc as a work-around',
            where: 'bios',
            why: 'the same addresses were handed out twice',
          },
        ],
      };
    }
  }
  return undefined;
}

/** A listing of more functions shows a whole machine, in which idle devices do not decode. */
const SINGLED_OUT = 4;

function decodeOff(listing: Listing): Candidate | undefined {
  const { observation, states } = listing;
  const endpoints = observation.functions.filter((fn) => !fn.isBridge);
  const suspects = endpoints.flatMap((fn) => {
    const state = states.get(bdfKey(fn.address));
    const bars = fn.resources.filter((seen) => isBar(seen) && seen.space === 'memory' && 'address' in seen.placement);
    if (!state || bars.length === 0 || state.dead) return [];
    const virtual = bars.filter((seen) => seen.placement.state === 'os-only');
    const off = bars.filter((seen) => seen.placement.state === 'decode-off');
    if (virtual.length === 0 && state.memory !== false && off.length === 0) return [];
    return [{ fn, state, bars, virtual, off }];
  });
  const few = endpoints.length <= SINGLED_OUT;
  const [first] = suspects.filter(
    ({ virtual, state }) =>
      few ||
      (virtual.length > 0 &&
        state.memory === false &&
        state.driver === undefined &&
        /* not a legacy IDE function */ virtual.every(({ space }) => space === 'memory') &&
        listing.observation.functions.length < 16),
  );
  if (!first) return undefined;
  const { fn, state, bars, virtual } = first;
  const at = formatBdf(fn.address);
  if (state.driver === 'vfio-pci' && virtual.length === 0) return idleUnderVfio(listing, first);
  if (state.driver !== undefined && virtual.length === 0) return undefined;
  return {
    cause: 'decode-disabled-no-driver',
    confidence: state.memory === false && state.driver === undefined ? 'likely' : 'possible',
    fault: true,
    weight: 70,
    summary: `${at} has its BARs, but ${state.memory === false ? 'does not decode memory' : 'its registers do not hold what the kernel gave them'}${state.driver === undefined ? ', and no driver is bound' : ''}: accesses read all-ones.`,
    evidence: cite(
      state.control,
      bars.map((seen) => lineOf(listing, seen)),
      state.driverLine,
      state.line,
    ),
    proof: [
      state.memory === false
        ? '“Mem-” in the Command register: memory decoding is off. The kernel turns it on when a driver enables the device (pci_enable_device), not before.'
        : '',
      virtual.length > 0
        ? `${virtual.length} of ${bars.length} regions carry [virtual]: the kernel’s record differs from the register, as after a reset or a re-programmed FPGA.`
        : '',
      state.memory === false && virtual.length === 0 ? 'The regions have addresses.' : '',
    ]
      .filter(Boolean)
      .join(' '),
    remedies: [
      ...(virtual.length > 0
        ? [
            {
              change: `echo 1 > /sys/bus/pci/devices/${at}/remove; echo 1 > /sys/bus/pci/rescan`,
              where: 'command' as const,
              why: 'the kernel reads the registers again and writes the BARs',
            },
          ]
        : []),
      {
        change: `setpci -s ${at} COMMAND=2 (or echo 1 > /sys/bus/pci/devices/${at}/enable)`,
        where: 'command',
        why: 'turns memory decoding on without a driver; the second form lets the kernel keep count',
      },
      {
        change: 'bind the device’s driver, or vfio-pci or uio_pci_generic for user-space access',
        where: 'driver',
        why: 'a bound driver enables the device',
      },
    ],
    ...(state.driver === undefined && state.detailed ? {} : { missing: [ask.device(at)] }),
  };
}

interface Suspect {
  readonly fn: SeenFunction;
  readonly state: LspciFunction;
  readonly bars: readonly SeenResource[];
}

/** vfio-pci turns decoding off until somebody opens the device. */
function idleUnderVfio(listing: Listing, { fn, state, bars }: Suspect): Candidate {
  return {
    cause: 'benign-noise',
    confidence: 'likely',
    fault: false,
    weight: 41,
    summary: `${formatBdf(fn.address)} is bound to vfio-pci and not in use: “[disabled]” is how such a device looks.`,
    evidence: cite(
      state.driverLine,
      state.control,
      bars.map((seen) => lineOf(listing, seen)),
    ),
    proof: 'vfio-pci leaves memory decoding off until a guest or program opens the device; its BARs have addresses.',
    remedies: [],
  };
}
