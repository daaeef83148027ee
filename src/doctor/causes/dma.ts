import { rangeOfHex } from '../../import/lines.js';
import { formatSize, hex } from '../../address/format.js';
import { KiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { DmaMapFailure } from '../../import/log/dma-map.js';
import type { LogLine } from '../../import/log/line.js';
import { said } from '../evidence.js';
import type { Candidate, Remedy } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { bytes } from '../placement/fit.js';
import { iommuBits, msiRange, type MsiRange } from '../scene/iommu.js';
import type { Scene } from '../scene/scene.js';

/** Linux errno numbers. */
const E = { perm: 1, nomem: 12, fault: 14, inval: 22, nospc: 28 } as const;

/** Mappings of guest memory that the host's IOMMU refused, judged by where they lie. */
export function dmaMappings(scene: Scene): Candidate[] {
  const { dma } = scene.evidence;
  const found: (Candidate | undefined)[] = [memlock(scene, dma), unpinned(dma)];
  const refused = dma.filter(({ errno }) => errno === E.inval || errno === E.perm);
  const placed = refused
    .map((one) => located(scene, one))
    .filter((one): one is Placed => one.iova !== undefined && one.size !== undefined && one.size > 0n);
  for (const one of placed.toSorted((a, b) => (a.iova + a.size > b.iova + b.size ? -1 : 1)).slice(0, 32)) {
    const range = rangeOf(one);
    if (range) found.push(judge(scene, one, range));
  }
  const vague = refused.find(({ iova }) => iova === undefined);
  if (vague && placed.length === 0) found.push(unknownPlace(scene, vague));
  return firstOfEach(found.filter((one) => one !== undefined));
}

/** A failure that does not say where, with the region that a debugger or trace in the same report shows. */
function located(scene: Scene, failure: DmaMapFailure): DmaMapFailure & { readonly extra?: readonly LogLine[] } {
  if (failure.iova !== undefined) return failure;
  const [at] = said(scene.evidence, 'region-address').toSorted(
    (a, b) => (b.values['address'] ?? '').length - (a.values['address'] ?? '').length,
  );
  const [size] = said(scene.evidence, 'region-size');
  if (!at?.values['address']) return failure;
  return {
    ...failure,
    iova: BigInt(`0x${at.values['address']}`),
    size: size?.values['size'] === undefined ? 0x1000n : BigInt(`0x${size.values['size']}`),
    extra: [at.line, ...(size ? [size.line] : [])],
  };
}

type Placed = DmaMapFailure & { readonly iova: bigint; readonly size: bigint; readonly extra?: readonly LogLine[] };

const rangeOf = ({ iova, size }: Placed) => (iova + size > 1n << 64n ? undefined : AddressRange.sized(iova, size));

function firstOfEach(found: readonly Candidate[]): Candidate[] {
  return found.filter((one, i) => found.findIndex(({ cause }) => cause === one.cause) === i);
}

function judge(scene: Scene, failure: Placed, range: AddressRange): Candidate | undefined {
  const msi = msiRange(scene);
  const touched = range.meet(msi.range);
  const text = `${range.toString()} (${formatSize(failure.size)})`;
  if (touched && failure.size > 16n * KiB) return msiOverlap(failure, text, msi);
  const reserved = said(scene.evidence, 'reserved-region', 'rmrr-range').flatMap(({ values, line }) => {
    const there = rangeOfHex(values['base'], values['limit']);
    return there?.overlaps(range) && values['type'] !== 'direct-relaxable' ? [{ there, line }] : [];
  })[0];
  if (reserved) {
    return {
      cause: 'iommu-reserved-region',
      confidence: 'certain',
      fault: true,
      weight: 93,
      summary: `Guest memory at ${text} covers ${reserved.there.toString()}, which the host's platform reserves.`,
      evidence: cite(failure.line, reserved.line),
      proof: `${range.toString()} and ${reserved.there.toString()} overlap; the IOMMU driver keeps reserved ranges out of every mapping.`,
      remedies: [keepClear],
    };
  }
  if (failure.iova < AMD_HT.base && range.covers(AMD_HT)) return hyperTransport(failure, text);
  const width = iommuBits(scene);
  const need = range.limit.toString(2).length;
  if (width && range.limit >> BigInt(width.bits) > 0n)
    return tooWide(failure, range, need, width.bits, cite(failure.line, failure.extra, width.line), 'certain');
  if (
    failure.iova % (4n * KiB) !== 0n ||
    failure.size % (4n * KiB) !== 0n ||
    (scene.evidence.messages.has('page-size') &&
      (failure.size % (64n * KiB) !== 0n || failure.iova % (64n * KiB) !== 0n))
  ) {
    return {
      cause: 'bar-mmap-granularity',
      confidence: scene.evidence.messages.has('page-size') ? 'certain' : 'likely',
      fault: true,
      weight: 88,
      summary: `The mapping of ${bytes(failure.size)} at ${hex(failure.iova)} is no multiple of the host's page size.`,
      evidence: cite(
        failure.line,
        said(scene.evidence, 'page-size').map(({ line }) => line),
      ),
      proof: `${hex(failure.size)} and ${hex(failure.iova)} have to be multiples of the host page (0x1000, or 0x10000 with 64 KiB pages).`,
      remedies: [
        {
          change: 'a host kernel with 4 KiB pages, or a newer VMM that rounds mappings of BARs to the host’s pages',
          where: 'host-kernel',
          why: 'IOMMU and KVM map whole pages',
        },
      ],
    };
  }
  // 39 bits is the narrowest width of VT-d with three levels (Intel VT-d specification, SAGAW); most clients have it.
  if (range.limit >> 39n > 0n) return tooWide(failure, range, need, 39, cite(failure.line, failure.extra), 'likely');
  return unknownPlace(scene, failure);
}

function msiOverlap({ line }: Placed, text: string, msi: MsiRange): Candidate {
  return {
    cause: 'msi-region-overlaps-ram',
    confidence: 'certain',
    fault: true,
    weight: 95,
    summary: `Guest memory at ${text} covers the host's MSI range ${msi.range.toString()}, so the IOMMU refuses it.`,
    evidence: cite(line, msi.line),
    proof: `${msi.why} A device that writes there raises an interrupt instead of reaching memory; the mapping fails as a whole with EINVAL.`,
    remedies: ramAroundMsi(undefined),
  };
}

/** HyperTransport's own range on AMD hosts, 12 GiB below 1 TiB; the IOMMU driver reserves it (drivers/iommu/amd, HT_RANGE_START). */
const AMD_HT = AddressRange.of(0xfd_0000_0000n, 0xff_ffff_ffffn);

function hyperTransport({ line }: Placed, text: string): Candidate {
  return {
    cause: 'iommu-reserved-region',
    confidence: 'likely',
    fault: true,
    weight: 93,
    summary: `Guest memory at ${text} covers ${AMD_HT.toString()}, which AMD hosts reserve for HyperTransport.`,
    evidence: cite(line),
    proof: `The mapping reaches over ${AMD_HT.toString()} (12 GiB below 1 TiB); the AMD IOMMU driver lists it as reserved, and vfio refuses mappings of reserved ranges since Linux 5.4.`,
    remedies: [
      {
        change: 'a machine type of QEMU 7.1 or later (pc-q35-7.1), with -cpu phys-bits of 40 and more',
        where: 'qemu',
        why: 'it puts RAM above 4 GiB at 1 TiB when RAM would cover the range on AMD',
      },
      { change: 'less RAM: it ends below 1010 GiB then', where: 'qemu', why: 'the range is left alone' },
    ],
    missing: [ask.reservedRegions],
  };
}

const keepClear: Remedy = {
  change: 'keep guest RAM off the host’s reserved ranges: less RAM, or RAM split around them',
  where: 'qemu',
  why: 'the IOMMU cannot map what the platform keeps for itself',
};

/** How to keep RAM off the MSI range; `most` is the RAM in bytes that still fits below it. */
export function ramAroundMsi(most: bigint | undefined): Remedy[] {
  return [
    ...(most === undefined || most <= 0n
      ? []
      : [{ change: `-m ${most >> 20n}M or less`, where: 'qemu' as const, why: 'RAM then ends below the MSI range' }]),
    {
      change: 'pinbar run --split-ram 1GiB+4GiB -- … (RAM below the range and above 4 GiB)',
      where: 'qemu',
      why: 'nothing lies at the MSI range then, on stock QEMU',
    },
  ];
}

function tooWide(
  failure: Placed,
  range: AddressRange,
  need: number,
  bits: number,
  evidence: ReturnType<typeof cite>,
  confidence: 'certain' | 'likely',
): Candidate {
  return {
    cause: 'iommu-width-exceeded',
    confidence,
    fault: true,
    weight: 92,
    summary: `The guest places ${formatSize(failure.size)} at ${hex(failure.iova)}, which needs ${need} address bits; the host's IOMMU has ${confidence === 'certain' ? bits : `fewer, most likely ${bits}`}.`,
    evidence,
    proof: `${hex(failure.iova)} + ${hex(failure.size)} - 1 = ${hex(range.limit)} needs ${need} bits; ${bits} bits end at ${hex((1n << BigInt(bits)) - 1n)}. The mapping is refused with EINVAL.`,
    remedies: narrower(bits),
    missing: [ask.iommuWidth],
  };
}

export function narrower(bits: number): Remedy[] {
  return [
    {
      change: `<maxphysaddr mode="passthrough" limit="${bits}"/> in the domain's <cpu> element`,
      where: 'libvirt',
      why: 'the guest’s firmware then opens its 64-bit window below what the IOMMU can address',
    },
    {
      change: `-cpu host,host-phys-bits-limit=${bits} (or phys-bits=${bits}; guest-phys-bits=${bits} since QEMU 9.1)`,
      where: 'qemu',
      why: 'firmware sizes and places the 64-bit window by the physical address bits that the guest CPU shows',
    },
  ];
}

function unknownPlace(scene: Scene, failure: DmaMapFailure): Candidate {
  return {
    cause: 'iommu-reserved-region',
    confidence: 'possible',
    fault: true,
    weight: 62,
    summary: 'The host’s IOMMU refuses to map guest memory; which rule it breaks is not in the input.',
    evidence: cite(failure.line),
    proof: `${failure.iova === undefined ? 'The line does not say which address' : `${hex(failure.iova)} is below 39 bits, page aligned and off the x86 MSI range`}: what is left is a range that this host reserves.`,
    remedies: [keepClear],
    missing: [ask.reservedRegions, ask.iommuWidth, ...(scene.evidence.commands.length === 0 ? [ask.command] : [])],
  };
}

function memlock(scene: Scene, dma: readonly DmaMapFailure[]): Candidate | undefined {
  const told = said(scene.evidence, 'memlock');
  const refused = dma.filter(({ errno }) => errno === E.nomem);
  const [first] = [...told.map(({ line }) => line), ...refused.map(({ line }) => line)];
  if (!first) return undefined;
  const limit = said(scene.evidence, 'memlock-limit')[0];
  const value = told[0]?.values['limit'] ?? limit?.values['limit'];
  const { vmm } = scene.stack;
  const remedies: Remedy[] = [];
  if (vmm === 'libvirt' || vmm === 'kubevirt' || vmm === undefined) {
    remedies.push({
      change: '<memtune><hard_limit unit="GiB">RAM + 1</hard_limit></memtune>',
      where: 'libvirt',
      why: 'libvirt sets RLIMIT_MEMLOCK of QEMU from it; without it the limit is the RAM plus 1 GiB per assigned device group, which several containers with their own mappings exceed',
    });
  }
  if (vmm === 'kubevirt') {
    remedies.push({
      change:
        'VMI memory overhead (spec.domain.memory, additional guest memory overhead ratio) or a larger locked-memory limit of virt-launcher',
      where: 'kubevirt',
      why: 'virt-handler raises the limit to the computed overhead and no further',
    });
  }
  remedies.push({
    change: 'ulimit -l unlimited (LimitMEMLOCK=infinity in the systemd unit, * memlock in /etc/security/limits.conf)',
    where: 'host-kernel',
    why: 'vfio pins all guest RAM and counts it against this limit',
  });
  return {
    cause: 'memlock-limit',
    confidence: told.length > 0 ? 'certain' : 'likely',
    fault: true,
    weight: 91,
    summary: `Guest memory cannot be pinned for the device: the locked-memory limit${value ? ` (${value})` : ''} is reached.`,
    evidence: cite(
      first,
      told.map(({ line }) => line),
      refused.map(({ line }) => line),
      limit?.line,
    ),
    proof:
      told.length > 0
        ? 'The kernel names the limit. No BAR is at fault.'
        : 'VFIO_MAP_DMA ends with ENOMEM where pinning would exceed RLIMIT_MEMLOCK (vfio_iommu_type1, vfio_pin_pages_remote). No BAR is at fault.',
    remedies,
    ...(told.length > 0 ? {} : { missing: [ask.memlock] }),
  };
}

/** QEMU's names of memory regions that are RAM or ROM images, not BARs. */
const ramRegion = /(?:^|[./ ])(?:ram|mem|bios|rom|memory-backend|virt_board)\b|\bram\b/i;
const isRam = ({ region }: DmaMapFailure): boolean =>
  region !== undefined && ramRegion.test(region) && !/BAR|mmap/.test(region);

/** cloud-hypervisor's words for a BAR that it could not map for peers, after which it gives up (pci/src/vfio.rs). */
const isFatal = ({ line }: DmaMapFailure) => /VFIO MMIO region|VfioMapRegion/.test(line.text);
export const fatalPeerMappings = (dma: readonly DmaMapFailure[]) =>
  dma.filter((one) => one.errno === E.fault && isFatal(one));

/** Failures that are no fault: QEMU maps BARs of devices for each other, and goes on where the host cannot. */
export const peerMappings = (dma: readonly DmaMapFailure[]) =>
  dma.filter(
    (one) =>
      one.errno === E.fault &&
      !isFatal(one) &&
      !isRam(one) &&
      (one.iova !== undefined ? one.iova >= 0x1000_0000n : !dma.some(isRam)),
  );

/** RAM that cannot be pinned for another reason than the limit. */
function unpinned(dma: readonly DmaMapFailure[]): Candidate | undefined {
  const failed = dma.filter((one) => isRam(one) && one.errno === E.fault);
  const [first] = failed;
  if (!first) return undefined;
  return {
    cause: 'not-placement',
    confidence: 'likely',
    fault: true,
    weight: 80,
    summary: `Guest RAM (${first.region ?? ''}) cannot be pinned: the host has no memory behind some of its pages.`,
    evidence: cite(failed.map(({ line }) => line)),
    proof:
      'EFAULT for a RAM region means that pages of the mapping cannot be touched: a memory file shorter than the RAM, too few huge pages, or memory of a kind that cannot be pinned. Addresses and BARs are not the question.',
    remedies: [
      {
        change: 'as many huge pages as the guest’s RAM needs, or a memory backend with prealloc=on',
        where: 'qemu',
        why: 'what is missing shows at start then, and by name',
      },
    ],
    missing: [
      ask.command,
      {
        command: 'grep Huge /proc/meminfo; df /dev/shm /dev/hugepages',
        why: 'whether the memory behind the backend is there',
      },
    ],
  };
}
