import { rangeOfSize } from '../../import/lines.js';
import { formatSize, hex } from '../../address/format.js';
import { MiB } from '../../address/kinds.js';
import { said } from '../evidence.js';
import type { Candidate } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { bytes } from '../placement/fit.js';
import { iommuBits, msiRange } from '../scene/iommu.js';
import type { Scene } from '../scene/scene.js';
import { narrower, ramAroundMsi } from './dma.js';

/** What IOMMU drivers, vfio and libvirt refuse in words, and what can be told from a command line before it runs. */
export function iommu(scene: Scene): Candidate[] {
  return [groups(scene), reserved(scene), width(scene), widthOfWindow(scene), ramOverMsi(scene)].filter(
    (one) => one !== undefined,
  );
}

function groups(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const plain = said(evidence, 'group-not-viable', 'group-two-spaces', 'group-acs');
  const weak = said(evidence, 'group-taken', 'group-busy', 'group-bind-hint');
  const [first] = [...plain, ...weak];
  if (!first) return undefined;
  const spaces = plain.some(({ code }) => code === 'group-two-spaces');
  const group = first.values['group'];
  const busy = plain.length === 0 && weak.some(({ code }) => code === 'group-busy');
  return {
    cause: 'iommu-group-limit',
    confidence: plain.length > 0 ? 'certain' : busy ? 'possible' : 'likely',
    fault: true,
    weight: plain.length > 0 ? 96 : 64,
    summary: spaces
      ? `Devices of IOMMU group ${group ?? '?'} are to be used in two address spaces, and a group has one.`
      : `IOMMU group ${group ?? ''} ${busy ? 'is in use by somebody else' : 'holds a device that is not bound to vfio'}; a group is assigned as a whole.`.replace(
          '  ',
          ' ',
        ),
    evidence: cite(
      [...plain, ...weak].map(({ line }) => line),
      groupListing(scene),
    ),
    proof: spaces
      ? 'With a virtual IOMMU each guest function may have its own address space; the host’s IOMMU cannot tell functions of one group apart, so vfio refuses the second.'
      : 'Functions of a group can reach each other without the IOMMU seeing it, so vfio opens a group only when every function in it is bound to vfio-pci (or a stub, or nothing).',
    remedies: spaces
      ? [
          {
            change:
              'put the functions of the group on one guest slot (multifunction=on, the same bus and slot), or behind one pcie-pci-bridge',
            where: 'qemu',
            why: 'functions that share a requester id share the address space',
          },
          {
            change: 'leave the second function bound to vfio-pci and out of the guest',
            where: 'qemu',
            why: 'a group may be held without each of its functions being used',
          },
        ]
      : [
          {
            change:
              'bind every endpoint of the group to vfio-pci (driverctl set-override, vfio-pci.ids=…); bridges stay with pcieport',
            where: 'host-kernel',
            why: 'the group is viable then',
          },
          {
            change: 'another slot (one on the CPU’s own root ports), or ACS turned on in the firmware setup',
            where: 'bios',
            why: 'groups are as small as ACS along the path makes them',
          },
          {
            change: 'pcie_acs_override=downstream,multifunction on a kernel that has that patch',
            where: 'host-kernel',
            why: 'splits the group in name alone: peer traffic that nobody checks stays possible, so use it only where guests are trusted',
          },
        ],
    ...(evidence.lspci.length > 0 ? {} : { missing: [ask.groups] }),
  };
}

const groupListing = ({ evidence }: Scene) =>
  evidence.lines.filter(({ text }) => /^\s*(?:IOMMU|iommu) [Gg]roup \d+[: ]/.test(text)).slice(0, 6);

function reserved(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const plain = said(evidence, 'rmrr-refused', 'direct-refused', 'xen-rmrr');
  const denied = said(evidence, 'set-iommu-denied');
  const [first] = [...plain, ...denied];
  if (!first) return undefined;
  const remapping = evidence.messages.has('no-interrupt-remapping');
  if (plain.length === 0 && remapping) return undefined;
  const direct = first.code === 'direct-refused';
  return {
    cause: 'iommu-reserved-region',
    confidence: plain.length > 0 ? 'certain' : 'possible',
    fault: true,
    weight: plain.length > 0 ? 96 : 63,
    summary: 'The platform reserves memory for this device (RMRR, a 1:1 mapping), so it may not be given to a guest.',
    evidence: cite(
      [...plain, ...denied].map(({ line }) => line),
      said(evidence, 'rmrr-range').map(({ line }) => line),
    ),
    proof:
      plain.length > 0
        ? `The IOMMU driver says so: ${direct ? 'firmware asks for an identity mapping that an assigned device could not keep' : 'firmware lists a Reserved Memory Region for the device, which it may access at any time; in a guest’s address space that range is RAM'}.`
        : 'The container refuses its IOMMU with EPERM: an RMRR of the device, or missing interrupt remapping. The kernel’s log says which.',
    remedies: [
      {
        change:
          'the vendor’s tool or setting that takes the device or slot out of the RMRR list (HPE: conrep, “shared memory features” of the slot), or a firmware update',
        where: 'bios',
        why: 'the range is listed by firmware, mostly for management of the device; the kernel cannot know that it is unused',
      },
      ...(direct
        ? [
            {
              change:
                'turn “Pre-boot DMA protection” / “Kernel DMA protection” handling for this device off in the firmware setup',
              where: 'bios' as const,
              why: 'some firmwares ask for 1:1 mappings of all devices in that mode',
            },
          ]
        : []),
      {
        change: 'a kernel with a patch that relaxes the check (such as intel_iommu=relax_rmrr of some distributions)',
        where: 'host-kernel',
        why: 'works where the firmware does not use the range after boot; nothing guards against it if it does',
      },
    ],
    ...(plain.length > 0
      ? {}
      : {
          missing: [
            {
              command: "dmesg | grep -iE 'RMRR|1:1|remapping|DMAR|AMD-Vi'",
              why: 'why the kernel refuses the IOMMU domain',
            },
          ],
        }),
  };
}

function width(scene: Scene): Candidate | undefined {
  const [first, ...rest] = said(scene.evidence, 'iommu-width', 'aw-bits');
  if (!first) {
    const [unmappable] = said(scene.evidence, 'iova-unmappable');
    if (!unmappable?.values['limit']) return undefined;
    const limit = BigInt(`0x${unmappable.values['limit']}`);
    const need = limit.toString(2).length;
    if (need <= 39) return undefined;
    return widthFinding(cite(unmappable.line), limit, undefined, need, 'likely');
  }
  const bits = Number(first.values['bits'] ?? '39');
  const address = first.values['address'];
  const limit = address === undefined ? undefined : BigInt(`0x${address}`);
  return widthFinding(
    cite(
      first.line,
      rest.map(({ line }) => line),
    ),
    limit,
    bits,
    limit?.toString(2).length,
    'certain',
  );
}

function widthFinding(
  evidence: ReturnType<typeof cite>,
  limit: bigint | undefined,
  bits: number | undefined,
  need: number | undefined,
  confidence: 'certain' | 'likely',
): Candidate {
  return {
    cause: 'iommu-width-exceeded',
    confidence,
    fault: true,
    weight: 95,
    summary: `An address needs ${need ?? 'more'} bits, and the host's IOMMU ${bits === undefined ? 'has fewer' : `has ${bits}`}.`,
    evidence,
    proof: `${limit === undefined ? 'The driver names both widths' : `${hex(limit)} needs ${need ?? '?'} bits`}${bits === undefined ? '' : `; ${bits} bits end at ${hex((1n << BigInt(bits)) - 1n)}`}.`,
    remedies: narrower(bits ?? 39),
    ...(bits === undefined ? { missing: [ask.iommuWidth] } : {}),
  };
}

/** A guest's window or BAR beyond what the IOMMU or CPU of the same report can address. */
function widthOfWindow(scene: Scene): Candidate | undefined {
  const width = iommuBits(scene);
  if (!width || scene.evidence.messages.has('iommu-width')) return undefined;
  const placed = scene.stories.flatMap(({ placed, events }) =>
    placed && events[0] ? [{ range: placed, line: events.at(-1)?.line }] : [],
  );
  const beyond = placed.find(({ range }) => range.limit >> BigInt(width.bits) > 0n);
  const dma = scene.evidence.dma.some(({ errno }) => errno === 22);
  if (!beyond || !dma || !beyond.line) return undefined;
  return widthFinding(
    cite(
      beyond.line,
      width.line,
      scene.evidence.dma.map(({ line }) => line),
    ),
    beyond.range.limit,
    width.bits,
    beyond.range.limit.toString(2).length,
    'certain',
  );
}

/** Where RAM starts and what it must not cover: boards that have RAM in one piece across the x86 MSI range. */
const ramBase: Readonly<Record<string, bigint>> = { riscv64: 0x8000_0000n, aarch64: 0x4000_0000n };

function ramOverMsi(scene: Scene): Candidate | undefined {
  const msi = msiRange(scene);
  for (const command of scene.evidence.commands) {
    const base = command.machine === 'virt' ? ramBase[command.arch ?? ''] : undefined;
    const assigned = command.devices.filter(({ driver }) => driver.startsWith('vfio-'));
    if (base === undefined || command.ram === undefined || assigned.length === 0) continue;
    const ram = rangeOfSize(base, command.ram);
    if (!ram?.overlaps(msi.range)) continue;
    const kvm = command.lines.some(({ text }) => /enable-kvm|accel=kvm|accel kvm/.test(text));
    if (kvm && !msi.line) continue; // the host has the guest's architecture: its MSI range is elsewhere
    const most = (msi.range.base - base) / MiB;
    return {
      cause: 'msi-region-overlaps-ram',
      confidence: msi.line || scene.stack.arch === 'x86_64' ? 'certain' : 'likely',
      fault: true,
      weight: 94,
      summary: `The guest's ${formatSize(command.ram)} of RAM cover the x86 host's MSI range ${msi.range.toString()}, so no vfio device can be attached.`,
      evidence: cite(
        command.lineOf(' -m ') ?? command.lineOf('-m ') ?? command.lines[0],
        assigned.map(({ line }) => line),
        command.lineOf('-machine'),
        msi.line,
      ),
      proof: `RAM of the ${command.arch ?? ''} virt machine starts at ${hex(base)}; ${bytes(command.ram)} reach ${hex(ram.limit)} and cover ${msi.range.toString()}. Up to ${hex(msi.range.base)} - ${hex(base)} = ${hex(msi.range.base - base)} bytes (${most} MiB) stay below it.`,
      remedies: ramAroundMsi(msi.range.base - base),
      ...(msi.line ? {} : { missing: [ask.reservedRegions] }),
    };
  }
  return undefined;
}
