import { formatSize, hex } from '../../address/format.js';
import { FOUR_GIB } from '../../address/kinds.js';
import type { MessageCode } from '../../import/log/messages/messages.js';
import { said } from '../evidence.js';
import type { Candidate } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { bytes } from '../placement/fit.js';
import { moreRoomAbove, moreRoomBelow } from '../remedies/windows.js';
import type { Scene } from '../scene/scene.js';

/** What firmware and boot loaders could not place. */
export function firmware(scene: Scene): Candidate[] {
  return [uboot(scene), edk2(scene), edk2Window(scene), hyperV(scene), others(scene)].filter(
    (one) => one !== undefined,
  );
}

function uboot(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const [failed] = said(evidence, 'uboot-no-bar');
  const [room] = said(evidence, 'uboot-no-room');
  const first = failed ?? room;
  if (!first) return undefined;
  const register = failed?.values['register'] === undefined ? undefined : parseInt(failed.values['register'], 16);
  const bar = register !== undefined && register >= 0x10 && register <= 0x24 ? (register - 0x10) / 4 : undefined;
  const listed = evidence.lines.filter(({ text }) =>
    /^[0-9a-f]{2}\.[0-9a-f]{2}\.[0-9a-f]{2}\s+0x[0-9a-f]{4}\s+0x[0-9a-f]{4}/.test(text),
  );
  const bridge = listed.find(({ text }) => /Bridge/i.test(text));
  const { need, size } = room?.values ?? {};
  return {
    cause: 'firmware-did-not-assign',
    confidence: 'certain',
    fault: true,
    weight: 88,
    summary: `U-Boot leaves ${bar === undefined ? 'a BAR' : `BAR ${bar} (register ${hex(register ?? 0)})`} of a device without an address.`,
    evidence: cite(first.line, room?.line, failed?.line, bridge, listed),
    proof: [
      bar === undefined
        ? ''
        : `“bar ${(register ?? 0).toString(16)}” is the register's offset: ${hex(register ?? 0)} is BAR ${bar}.`,
      need && size
        ? `${bytes(BigInt(`0x${need}`))} are needed, the region has ${bytes(BigInt(`0x${size}`))} in all.`
        : '',
      listed.length === 1 && bridge
        ? 'The only function that is listed is a bridge, so the BAR is the root port’s own: nothing uses it, and the device behind the port was not found at all.'
        : '',
    ]
      .filter(Boolean)
      .join(' '),
    remedies: [
      {
        change:
          'a U-Boot that leaves the root port’s own BAR alone, and probes every controller (pci enum; another version or distribution)',
        where: 'firmware',
        why: 'a bridge’s BAR takes address space and is of no use',
      },
      {
        change: 'a larger memory range in the controller’s node',
        where: 'device-tree',
        why: 'U-Boot places BARs in these ranges, in the order in which it finds them',
      },
    ],
    missing: [
      {
        command: 'pci enum; pci 0; pci bar 0.0.0; pci regions 0 (at the U-Boot prompt)',
        why: 'which function the BAR belongs to, its size, and the regions',
      },
    ],
  };
}

/** EDK2 prints what it needs by kind; the largest demand is what did not fit. */
function edk2(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const told = said(evidence, 'edk2-conflict', 'edk2-rejected');
  const [first] = told;
  if (!first) return undefined;
  const demands = said(evidence, 'edk2-need', 'edk2-type')
    .filter(({ values }) => values['length'] !== undefined)
    .map(({ values, line }) => ({
      type: values['type'] ?? '',
      length: BigInt(`0x${values['length'] ?? '0'}`),
      alignment: BigInt(`0x${values['alignment'] ?? '0'}`),
      line,
    }));
  const [largest] = demands.toSorted((a, b) => (a.length > b.length ? -1 : 1));
  const window = said(evidence, 'edk2-mmio64')[0];
  const aperture = window?.values['size'] === undefined ? undefined : BigInt(`0x${window.values['size']}`);
  const high = largest ? /64/.test(largest.type) || largest.length >= FOUR_GIB : true;
  const need = largest?.length ?? 0n;
  const proved = largest !== undefined && aperture !== undefined && need > aperture;
  return {
    cause: high ? 'aperture64-too-small' : 'window-too-small-32bit',
    confidence: proved ? 'certain' : largest ? 'likely' : 'possible',
    fault: true,
    weight: 86,
    summary: `The firmware could not place all BARs${largest ? `: ${formatSize(need)} of ${largest.type} are more than its window holds` : ''}, and rejected devices.`,
    evidence: cite(
      told.map(({ line }) => line),
      demands.map(({ line }) => line),
      window?.line,
    ),
    proof: largest
      ? `${largest.type} needs ${bytes(need)}${aperture === undefined ? '' : `; the 64-bit aperture is ${bytes(aperture)}`}.`
      : 'EDK2 reports a resource conflict or rejects a device when the sum of its kind does not fit into the root bridge’s aperture; the sums are not in the input.',
    remedies: high ? moreRoomAbove(scene.stack, need === 0n ? 32n << 30n : need) : moreRoomBelow(scene.stack, need),
    ...(largest ? {} : { missing: [ask.firmwareLog] }),
  };
}

/**
 * A firmware log that shows its 64-bit window, and ends or was cut before PCI resources are allocated: what fits into it is
 * all that can be said. Where it goes on and nothing is rejected, everything had its place.
 */
function edk2Window(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  if (['edk2-conflict', 'edk2-rejected', 'edk2-enumerated'].some((code) => evidence.messages.has(code as MessageCode)))
    return undefined;
  const shown = said(evidence, 'edk2-mmio-space', 'edk2-mmio64').map(({ values, line }) => ({
    size: BigInt(`0x${values['size'] ?? '0'}`),
    line,
  }));
  const [smallest] = shown.toSorted((a, b) => (a.size < b.size ? -1 : 1));
  const bars = evidence.regions.filter(({ wide, prefetchable, size }) => wide && prefetchable && size !== undefined);
  const largest = bars.reduce((most, { size = 0n }) => (size > most ? size : most), 0n);
  if (!smallest || smallest.size === 0n) return undefined;
  const total = bars.reduce((sum, { size = 0n }) => sum + size, 0n);
  const proved = total > smallest.size;
  return {
    cause: 'aperture64-too-small',
    confidence: proved ? 'certain' : 'possible',
    fault: true,
    weight: proved ? 80 : 52,
    summary: `The firmware's 64-bit window is ${formatSize(smallest.size)}${proved ? `, and the BARs that are shown need ${formatSize(total)}` : '; BARs that take more with their alignment are left out'}.`,
    evidence: cite(
      shown.map(({ line }) => line),
      bars.map(({ line }) => line),
      evidence.lines.filter(({ text }) => /limit PhysBits|PhysBits: /.test(text)).slice(0, 3),
    ),
    proof: proved
      ? `${bytes(total)} of 64-bit prefetchable BARs against ${bytes(smallest.size)}.`
      : `A bridge's window is aligned to the largest BAR in it, so a BAR of half the window beside anything else takes all of it: N ports with a BAR of S bytes and small ones beside it need up to 2 x N x S.${largest > 0n ? ` The largest BAR shown has ${formatSize(largest)}.` : ''} What was left out is not in the input.`,
    remedies: moreRoomAbove(scene.stack, smallest.size),
    missing: [
      ask.firmwareLog,
      { command: "dmesg | grep -E 'root bus resource|BAR ' (in the guest)", why: 'which BARs found no place' },
    ],
  };
}

/** A device of Hyper-V whose BARs find no room in what the VM has for MMIO. */
function hyperV(scene: Scene): Candidate | undefined {
  const told = said(scene.evidence, 'hyperv-mmio');
  const [first] = told.toSorted((a, b) => (b.values['need'] ?? '').length - (a.values['need'] ?? '').length);
  if (!first) return undefined;
  const need = BigInt(`0x${first.values['need'] ?? '0'}`);
  const low = first.values['which'] === 'low';
  return {
    cause: low ? 'window-too-small-32bit' : 'aperture64-too-small',
    confidence: 'certain',
    fault: true,
    weight: 90,
    summary: `The VM has no ${formatSize(need)} of MMIO space ${low ? 'below' : 'above'} 4 GiB left for a device of Hyper-V.`,
    evidence: cite(
      first.line,
      told.map(({ line }) => line),
    ),
    proof: `The guest’s driver asks for ${bytes(need)} in one piece and gets none; the device stays without a driver.`,
    remedies: [
      {
        change: `Set-VM -${low ? 'Low' : 'High'}MemoryMappedIoSpace with at least ${formatSize(need)} more, while the VM is off`,
        where: 'command',
        why: `Hyper-V gives the VM this much for MMIO ${low ? 'below' : 'above'} 4 GiB, for all its devices together`,
      },
    ],
  };
}

function others(scene: Scene): Candidate | undefined {
  const told = said(scene.evidence, 'hvmloader-hole', 'seabios-no-space', 'vmware-pages');
  const [first] = told;
  if (!first) return undefined;
  const vmware = first.code === 'vmware-pages';
  const { need, limit } = first.values;
  const [needed, most] = [BigInt(need ?? 0) * 4096n, BigInt(limit ?? 0) * 4096n];
  return {
    cause: vmware ? 'aperture64-too-small' : 'window-too-small-32bit',
    confidence: needed > most ? 'certain' : 'likely',
    fault: true,
    weight: 78,
    summary: vmware
      ? 'The VM’s MMIO space is too small for the passed-through BARs.'
      : 'The firmware’s window below 4 GiB is too small for the BARs of this machine.',
    evidence: cite(told.map(({ line }) => line)),
    proof:
      needed > most
        ? `${need ?? ''} pages of 4 KiB are ${bytes(needed)}; the limit of ${limit ?? ''} pages is ${bytes(most)}.`
        : 'The firmware or VMM says so itself; the sizes are not all in the input.',
    remedies: vmware
      ? // What is asked for is the whole, to the next power of two.
        moreRoomAbove({ ...scene.stack, vmm: 'vmware', isGuest: true }, needed > most ? needed / 2n + 1n : 64n << 30n)
      : [
          {
            change: 'mmio_hole=SIZE (MiB) in the domain configuration',
            where: 'xen',
            why: 'hvmloader makes the hole below 4 GiB this large and moves RAM up',
          },
          ...moreRoomBelow(scene.stack, FOUR_GIB / 4n).slice(0, 1),
        ],
    missing: [ask.windows],
  };
}
