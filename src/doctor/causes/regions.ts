import { formatSize } from '../../address/format.js';
import { FOUR_GIB, GiB } from '../../address/kinds.js';
import type { RegionLine } from '../../import/log/region-line.js';
import { bdfKey } from '../../import/observation.js';
import { formatBdf } from '../../pci/bdf.js';
import { said } from '../evidence.js';
import type { Candidate } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { bytes } from '../placement/fit.js';
import { moreRoomAbove, moreRoomBelow, open64 } from '../remedies/windows.js';
import type { Scene } from '../scene/scene.js';

/** BARs that a listing shows without an address, by what is special about them; and BARs too large for a guest's defaults. */
export function regions(scene: Scene): Candidate[] {
  return [unassigned(scene), largeForGuest(scene), switchedOff(scene)].filter((one) => one !== undefined);
}

const named = ({ owner, name }: RegionLine) =>
  `${owner ? formatBdf(owner) : 'a function that is not named'} ${name === 'rom' ? 'ROM' : name === null ? 'BAR' : `BAR ${name}`}`;

function unassigned({ evidence, stack, stories }: Scene): Candidate | undefined {
  const hostBridges = new Set(
    evidence.lspci.filter(({ title }) => /^(?:Host bridge|0600\b)/.test(title)).map(({ address }) => bdfKey(address)),
  );
  // The AGP aperture of old host bridges is one of their BARs, and unused where there is no AGP.
  const memory = evidence.regions.filter(
    ({ space, owner }) => space === 'memory' && !(owner && hostBridges.has(bdfKey(owner))),
  );
  const bare = memory.filter(({ state }) => state !== 'assigned');
  const bars = bare.filter(({ name }) => name !== 'rom');
  const [first] = bars.length > 0 ? bars : bare;
  // The kernel's own lines say more.
  if (!first || stories.some(({ outcome, space, isWindow }) => outcome === 'failed' && space === 'memory' && !isWindow))
    return undefined;
  const near = memory.filter(
    ({ owner }) => owner === undefined || first.owner === undefined || owner.segment === first.owner.segment,
  );
  const low = near.filter(({ state, address }) => state === 'assigned' && address !== undefined && address < FOUR_GIB);
  const high = near.filter(
    ({ state, address }) => state === 'assigned' && address !== undefined && address >= FOUR_GIB,
  );
  const width = said(evidence, 'cpu-width').map(({ line }) => line);
  const lines = cite(
    bare.slice(0, 6).map(({ line }) => line),
    high.slice(0, 2).map(({ line }) => line),
    low.slice(0, 3).map(({ line }) => line),
    width,
  );
  const wide = bars.filter((region) => region.wide);
  const base = {
    fault: true,
    evidence: lines,
    missing: [ask.windows, ask.device(first.owner && formatBdf(first.owner))],
  } as const;
  if (bars.length > 0 && wide.length === bars.length && low.length > 0 && high.length === 0) {
    return {
      ...base,
      cause: 'no-64bit-window',
      confidence: 'likely',
      weight: 71,
      summary: `The 64-bit BARs (${wide.map(named).slice(0, 3).join(', ')}) have no address, the others beside them have one below 4 GiB: there is no window above 4 GiB.`,
      proof: `${low.length} memory region${low.length > 1 ? 's are' : ' is'} placed below 4 GiB, none above; ${wide.length} 64-bit region${wide.length > 1 ? 's have' : ' has'} none. Large BARs are 64-bit because they are not meant to lie below 4 GiB.`,
      remedies: open64(stack, 16n * GiB, false),
    };
  }
  const roms = bare.filter(({ name }) => name === 'rom');
  const narrow = bars.filter((region) => !region.wide);
  const onlyHigh = high.length > 0 && low.length === 0;
  const segment = first.owner?.segment ?? 0;
  if (onlyHigh && (narrow.length > 0 || (roms.length > 0 && segment > 0))) {
    return {
      ...base,
      cause: 'no-32bit-window',
      confidence: segment > 0 ? 'likely' : 'possible',
      weight: 70,
      summary: `${named(first)} needs an address below 4 GiB and has none; everything that is placed${segment > 0 ? ` in segment ${segment}` : ''} lies above.`,
      proof: `${high.map(named).slice(0, 3).join(', ')} lie above 4 GiB; 32-bit BARs and ROMs are <ignored> or <unassigned>. A host bridge without a window below 4 GiB looks like that${segment > 0 ? ': further PCI segments of a VMM often have a 64-bit window alone' : ''}.`,
      remedies: [
        ...(segment > 0
          ? [
              {
                change:
                  'put devices with 32-bit BARs or ROMs on segment 0, or give each segment a share of the 32-bit window (cloud-hypervisor: --pci-segment pci_segment=N,mmio32_aperture_weight=W)',
                where: 'cloud-hypervisor' as const,
                why: 'the window below 4 GiB belongs to segment 0 unless it is shared out',
              },
            ]
          : []),
        ...moreRoomBelow(stack, 16n << 20n).slice(0, 1),
      ],
    };
  }
  if (bars.length === 0) return undefined;
  if (wide.length === bars.length && high.length > 0) {
    return {
      ...base,
      cause: 'aperture64-too-small',
      confidence: 'possible',
      weight: 66,
      summary: `${wide.map(named).slice(0, 3).join(', ')} have no address, while other 64-bit BARs lie above 4 GiB: the window there is too small for all of them.`,
      proof: `${high.length} regions are placed above 4 GiB, ${wide.length} 64-bit ones are not placed at all.`,
      remedies: moreRoomAbove(stack, 32n * GiB),
    };
  }
  return {
    ...base,
    cause: 'firmware-did-not-assign',
    confidence: 'likely',
    weight: 67,
    summary: `${named(first)} has no address.`,
    proof:
      'lspci prints <unassigned> where both the register and the kernel’s record are empty: neither firmware nor kernel placed the BAR.',
    remedies: [
      {
        change: 'pci=realloc (on the kernel command line)',
        where: 'kernel',
        why: 'the kernel then places what firmware left out, as far as the windows allow',
      },
      {
        change: 'a firmware update, “Above 4G Decoding”',
        where: 'bios',
        why: 'firmware leaves out what does not fit into its windows',
      },
    ],
  };
}

/** What OVMF opens above 4 GiB where neither CPU nor fw_cfg say more (OvmfPkg/Library/PlatformInitLib). */
const DEFAULT_APERTURE = 32n * GiB;
/** A listing of more functions shows a whole machine and singles nothing out. */
const SINGLED_OUT = 4;

/** A listing of single devices whose BARs are all placed, and too large for a guest's default window. */
function largeForGuest({ evidence, stack, stories }: Scene): Candidate | undefined {
  const bars = evidence.regions.filter(
    ({ space, wide, prefetchable, size, owner }) =>
      space === 'memory' && wide && prefetchable && size !== undefined && owner !== undefined,
  );
  const owners = new Set(bars.map(({ owner }) => (owner ? bdfKey(owner) : 0)));
  const total = bars.reduce((sum, { size = 0n }) => sum + size, 0n);
  if (total <= DEFAULT_APERTURE || owners.size > SINGLED_OUT || evidence.lspci.length > 2 * SINGLED_OUT)
    return undefined;
  if (stories.length > 0 || !bars.every(({ state, virtual }) => state === 'assigned' && !virtual)) return undefined;
  const [first] = bars;
  if (!first?.owner) return undefined;
  // A driver of the device itself: it is at work here, and nobody speaks of a guest.
  if (evidence.lspci.some(({ driver }) => driver !== undefined && driver !== 'vfio-pci')) return undefined;
  return {
    cause: 'aperture64-too-small',
    confidence: 'possible',
    fault: true,
    weight: 44,
    summary: `On this machine every BAR is placed. A guest that is given ${formatBdf(first.owner)} needs ${formatSize(total)} above 4 GiB, more than older builds of OVMF open.`,
    evidence: cite(
      bars.map(({ line }) => line),
      evidence.lspci.find(({ address }) => first.owner && bdfKey(address) === bdfKey(first.owner))?.line,
    ),
    proof: `${bars.map(({ size = 0n }) => formatSize(size)).join(' + ')} = ${bytes(total)} of 64-bit prefetchable BARs; OVMF opens ${formatSize(DEFAULT_APERTURE)} where neither fw_cfg nor (since edk2-stable202211) the CPU’s address bits say more.`,
    remedies: moreRoomAbove({ ...stack, isGuest: true }, total),
    missing: [
      ask.command,
      {
        command: "dmesg | grep -E 'root bus resource|bridge window|BAR ' (in the guest)",
        why: 'which windows the guest has, and which BAR found no place',
      },
    ],
  };
}

/** A piece of a listing without the lines that say whose it is, in which nothing decodes. */
function switchedOff({ evidence }: Scene): Candidate | undefined {
  const memory = evidence.regions.filter(({ space, name }) => space === 'memory' && name !== 'rom');
  if (memory.length === 0 || memory.length > 6 || evidence.lspci.length > 0) return undefined;
  if (!memory.every(({ owner, disabled, state }) => owner === undefined && disabled && state === 'assigned'))
    return undefined;
  return {
    cause: 'decode-disabled-no-driver',
    confidence: 'possible',
    fault: true,
    weight: 50,
    summary: 'The BARs have addresses, and the device does not decode them.',
    evidence: cite(memory.map(({ line }) => line)),
    proof:
      '“[disabled]” says that memory decoding is off in the Command register. The kernel turns it on when a driver enables the device; without one, or while vfio-pci keeps the device idle, that is how it looks.',
    remedies: [
      {
        change: 'bind the device’s driver; or setpci -s BDF COMMAND=2 for access without one',
        where: 'command',
        why: 'either turns memory decoding on',
      },
    ],
    missing: [ask.device()],
  };
}
