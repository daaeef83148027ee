import { rangeOfSize } from '../../import/lines.js';
import { formatSize, hex } from '../../address/format.js';
import { FOUR_GIB } from '../../address/kinds.js';
import { said } from '../evidence.js';
import type { Candidate, Remedy } from '../finding.js';
import { ask } from '../missing.js';
import { cite, placedLine } from '../placement/cite.js';
import { nameOfStory } from '../placement/demand.js';
import { rangeText } from '../placement/fit.js';
import type { Scene } from '../scene/scene.js';
import { moreRoomAbove } from '../remedies/windows.js';

/** What VMMs refuse, and addresses that they or the CPU do not have. */
export function vmm(scene: Scene): Candidate[] {
  return [moves(scene), beyondCpu(scene), physBits(scene), hyperV(scene), granularity(scene), noMmio(scene)].filter(
    (one) => one !== undefined,
  );
}

function moves(scene: Scene): Candidate | undefined {
  const { evidence, stack, windows } = scene;
  const told = said(evidence, 'bar-move-failed', 'bar-move-refused');
  const steps = said(evidence, 'bar-move').map(({ values, line }) => ({
    from: BigInt(`0x${values['from'] ?? '0'}`),
    to: BigInt(`0x${values['to'] ?? '0'}`),
    size: BigInt(`0x${values['size'] ?? '0'}`),
    line,
  }));
  if (told.length === 0) return undefined;
  const [first] = steps;
  const memory = windows.filter(({ space }) => space === 'memory');
  const target = first && rangeOfSize(first.to, first.size);
  const routed = target && memory.some(({ range }) => range.covers(target));
  const nocrs = stack.pciOptions.has('nocrs');
  const outside = target !== undefined && first?.to !== 0n && (nocrs || (memory.length > 0 && !routed));
  const evidenceLines = cite(
    told.map(({ line }) => line),
    steps.map(({ line }) => line),
    nocrs ? said(evidence, 'kernel-option').map(({ line }) => line) : undefined,
  );
  const move = first ? `${hex(first.from)} to ${hex(first.to)} (${formatSize(first.size)})` : 'its new address';
  if (outside) {
    return {
      cause: 'bar-outside-host-window',
      confidence: nocrs || memory.length > 0 ? 'certain' : 'likely',
      fault: true,
      weight: 92,
      summary: `The guest moves a BAR from ${move}, which the VMM does not route.`,
      evidence: evidenceLines,
      proof: nocrs
        ? `pci=nocrs makes the guest's kernel ignore the windows that the VMM describes in ACPI; it then takes ${hex(first?.to ?? 0n)} for free, where the VMM has no device window, and the VMM keeps the BAR at ${hex(first?.from ?? 0n)}.`
        : `${target.toString()} lies in none of ${memory.map(({ range }) => rangeText(range)).join(', ')}.`,
      remedies: [
        {
          change: nocrs
            ? 'take pci=nocrs off the guest’s kernel command line'
            : 'let the guest use the windows of the ACPI tables',
          where: 'guest-kernel',
          why: 'the kernel then places BARs where the VMM routes them',
        },
      ],
    };
  }
  const zero = first?.to === 0n;
  const crosses = first !== undefined && first.from >= FOUR_GIB && first.to < FOUR_GIB;
  const remedies: Remedy[] = [
    {
      change:
        'a newer VMM: moving BARs is legal at any time while decoding is off, and versions differ in what they allow',
      where: stack.vmm === 'cloud-hypervisor' ? 'cloud-hypervisor' : 'qemu',
      why: 'the guest did nothing wrong',
    },
  ];
  if (crosses) {
    remedies.push({
      change:
        'place 64-bit non-prefetchable BARs of devices behind ports below 4 GiB from the start, or leave these devices on the root bus',
      where: stack.vmm === 'cloud-hypervisor' ? 'cloud-hypervisor' : 'qemu',
      why: 'a bridge’s non-prefetchable window has no upper 32 bits, so behind a port such a BAR has to move down; where it need not move nothing is refused',
    });
  }
  return {
    cause: 'vmm-bar-move-refused',
    confidence: first ? 'certain' : 'likely',
    fault: !zero,
    weight: 92,
    summary: zero
      ? `The VMM refuses a write of 0 to a BAR (${move}): it is harmless by itself.`
      : `The guest moves a BAR from ${move}, and the VMM refuses.`,
    evidence: cite(
      told.map(({ line }) => line),
      steps.slice(0, 6).map(({ line }) => line),
      said(evidence, 'rom-reprogrammed').map(({ line }) => line),
      hostBars(scene, first?.size),
    ),
    proof: zero
      ? `A write of 0 is how software takes a BAR's address away (or a step while it is sized); it is no place to be allocated, and the VMM treats it as one. ${formatSize(first.size)} is a usual size of an expansion ROM, which the guest switches off in this way.`
      : crosses
        ? `${hex(first.from)} lies above 4 GiB, ${hex(first.to)} below. The register allows that: a 64-bit BAR may hold any address. The VMM keeps the old one, so guest and VMM disagree from here on.`
        : 'A BAR may be given any address in the windows of its bus; the VMM keeps the old one, so guest and VMM disagree from here on.',
    remedies,
    ...(memory.length > 0
      ? {}
      : {
          missing: [
            {
              command: "dmesg | grep -E 'root bus resource|BAR ' (in the guest)",
              why: 'which windows the guest sees, and where it puts the BAR',
            },
          ],
        }),
  };
}

/** BARs of this size in a listing of the host. */
const hostBars = ({ evidence }: Scene, size: bigint | undefined) =>
  evidence.regions
    .filter((region) => size !== undefined && region.size === size)
    .map(({ line }) => line)
    .slice(0, 2);

/** Addresses that the CPU does not have. */
function beyondCpu(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const [refused] = said(evidence, 'ioremap-width');
  const cpu = said(evidence, 'cpu-width')[0];
  const bits = cpu?.values['bits'] === undefined ? undefined : Number(cpu.values['bits']);
  const beyond =
    bits === undefined
      ? undefined
      : scene.stories.find(
          ({ placed, isWindow }) => !isWindow && placed !== undefined && placed.limit >> BigInt(bits) > 0n,
        );
  if (!refused && !beyond) return undefined;
  const address = refused?.values['address'] ? BigInt(`0x${refused.values['address']}`) : beyond?.placed?.limit;
  const need = address?.toString(2).length;
  return {
    cause: 'bar-outside-host-window',
    confidence: refused || bits !== undefined ? 'certain' : 'likely',
    fault: true,
    weight: 90,
    summary: `${beyond ? nameOfStory(beyond) : 'A BAR'} lies at an address of ${need ?? '?'} bits, which the CPU ${bits === undefined ? 'cannot form' : `(${bits} bits) cannot form`}.`,
    evidence: cite(refused?.line, beyond ? placedLine(beyond) : undefined, cpu?.line),
    proof: `${hex(address ?? 0n)} needs ${need ?? '?'} bits${bits === undefined ? '; the kernel refuses to map it for that reason' : `; ${bits} bits end at ${hex((1n << BigInt(bits)) - 1n)}`}.`,
    remedies: [
      scene.stack.arch === 'aarch64'
        ? armCpu
        : {
            change: '-cpu host,host-phys-bits=on, or phys-bits= as the windows need',
            where: 'qemu',
            why: 'the guest CPU then has the address bits that the window is placed by',
          },
    ],
    missing: bits === undefined ? [ask.iommuWidth] : [],
  };
}

/** The Arm CPU models of QEMU have a width each (ID_AA64MMFR0_EL1.PARange), which no option changes. */
const armCpu: Remedy = {
  change:
    '-cpu max, or a model with more bits (cortex-a53 has 40, cortex-a57 44); under KVM -cpu host on a host with more',
  where: 'qemu',
  why: 'the guest’s physical address bits are those of its CPU model; on Arm no phys-bits= changes them',
};

/** hw/arm/virt.c: RAM begins at 1 GiB, and ECAM and the 64-bit window lie above it. */
const armWidth: readonly Remedy[] = [
  armCpu,
  {
    change: 'less RAM (-m, maxmem=), or a smaller highmem-mmio-size (512G is the default and the least)',
    where: 'qemu',
    why: 'RAM begins at 1 GiB and the 64-bit PCI window lies above it, at a multiple of its size: the map ends lower',
  },
  {
    change: '-machine virt without highmem=off, where it is given',
    where: 'qemu',
    why: 'highmem=off limits the map to 32 bits',
  },
];

function physBits(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const [exact] = said(evidence, 'phys-bits');
  const [range] = said(evidence, 'pa-range', 'ram-above-width');
  const first = exact ?? range;
  if (!first) return undefined;
  const { values } = first;
  const bits = values['bits'] ?? values['bits2'] ?? values['bits3'];
  const ram = evidence.commands.find(({ ram: size }) => size !== undefined)?.ram;
  const need = exact?.values['need'] === undefined ? undefined : BigInt(`0x${exact.values['need']}`);
  const limit = exact?.values['limit'] === undefined ? undefined : BigInt(`0x${exact.values['limit']}`);
  const parts: string[] = [];
  if (need !== undefined && limit !== undefined)
    parts.push(
      `The machine reaches ${hex(need)}, which takes ${need.toString(2).length} bits; ${bits ?? '?'} bits end at ${hex(limit)}.`,
    );
  else if (values['need'] ?? values['need2'])
    parts.push(`The memory map needs ${values['need'] ?? values['need2'] ?? '?'} bits; there are ${bits ?? '?'}.`);
  else parts.push('The VMM says that the memory map does not fit into the address bits.');
  if (ram !== undefined && need !== undefined) {
    const above = need - FOUR_GIB + 1n;
    if (above > 0n && above < ram)
      parts.push(
        `Of ${formatSize(ram)} of RAM ${formatSize(ram - above)} lie below 4 GiB and ${formatSize(above)} above: ${hex(FOUR_GIB)} + ${hex(above)} - 1 = ${hex(need)}.`,
      );
    else parts.push(`${formatSize(ram)} of RAM and the 64-bit PCI hole above it have to lie below the limit.`);
  }
  return {
    cause: 'phys-bits-too-small',
    confidence: exact || bits !== undefined ? 'certain' : 'likely',
    fault: true,
    weight: 96,
    summary: `The guest CPU's ${bits ?? ''} physical address bits do not reach over RAM and PCI hole.`.replace(
      '  ',
      ' ',
    ),
    evidence: cite(
      [exact, range, said(evidence, 'phys-bits-differ')[0]].map((one) => one?.line),
      evidence.commands[0]?.lines,
    ),
    proof: parts.join(' '),
    remedies:
      scene.stack.arch === 'aarch64'
        ? armWidth
        : [
            {
              change:
                '-cpu host,host-phys-bits=on, or phys-bits=N on a CPU model that has long mode (pse36=on gives a 32-bit model 36 bits)',
              where: 'qemu',
              why: 'the guest then has the address bits that the map needs',
            },
            {
              change: 'less RAM (or maxmem), or a smaller 64-bit hole (-global q35-pcihost.pci-hole64-size=…)',
              where: 'qemu',
              why: 'the map ends lower',
            },
            { change: '<maxphysaddr mode="passthrough"/>', where: 'libvirt', why: 'the same through libvirt' },
          ],
  };
}

function hyperV(scene: Scene): Candidate | undefined {
  const [first, ...rest] = said(scene.evidence, 'mmio-above-width');
  const { need, end } = first?.values ?? {};
  if (!first || need === undefined || end === undefined) return undefined;
  const [address, most] = [BigInt(`0x${need}`), BigInt(`0x${end}`) - 1n];
  const bits = most.toString(2).length;
  return {
    cause: 'phys-bits-too-small',
    confidence: 'certain',
    fault: true,
    weight: 96,
    summary: `The VM's MMIO range above 4 GiB ends beyond the ${bits} physical address bits of this CPU.`,
    evidence: cite(
      first.line,
      rest.map(({ line }) => line),
    ),
    proof: `${hex(address)} needs ${address.toString(2).length} bits; ${bits} bits end at ${hex(most)}.`,
    remedies: [
      {
        change: 'Set-VM -HighMemoryMappedIoSpace with a smaller size (512MB for a GPU partition)',
        where: 'command',
        why: 'Hyper-V puts this range at the end of the guest’s addresses, above its RAM; smaller, and with less RAM, it ends below the limit',
      },
      { change: 'a CPU with more physical address bits', where: 'hardware', why: 'the limit is the host’s' },
    ],
  };
}

/** Mappings that are no whole host pages. */
function granularity(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const slot = said(evidence, 'slot-refused', 'unaligned-region');
  const pages = said(evidence, 'page-size');
  const mmap = said(evidence, 'mmap-einval').filter(({ line }) => /BAR|region|vfio|area|bar\d|msi-?x/i.test(line.text));
  const region = said(evidence, 'region-info');
  const polled = said(evidence, 'completion-polled');
  const strong = [...slot, ...mmap];
  const decoy = region.length > 0 && polled.length > 0;
  if (strong.length === 0 && !decoy) return undefined;
  const certain = pages.length > 0 && strong.length > 0;
  return {
    cause: 'bar-mmap-granularity',
    confidence: certain ? 'likely' : strong.length > 0 ? 'likely' : 'possible',
    fault: true,
    weight: strong.length > 0 ? 84 : 66,
    summary:
      strong.length > 0
        ? 'A part of a BAR is mapped that is no multiple of the host’s page size.'
        : 'The device answers and its interrupts do not arrive: its MSI-X table shares a host page with mapped registers, or the BAR is smaller than a page.',
    evidence: cite(
      strong.map(({ line }) => line),
      polled.map(({ line }) => line),
      pages.map(({ line }) => line),
      region.map(({ line }) => line),
    ),
    proof:
      strong.length > 0
        ? `KVM and mmap take whole host pages: 4 KiB on x86, up to 64 KiB on arm64 and ppc64. A BAR or the part beside an MSI-X table is often smaller.${region.length > 0 ? ' Region 8 is the VGA region, which most devices have not: that line is a decoy.' : ''}`
        : 'Completions are found by polling after a time-out, so requests reach the device and interrupts get lost. Region 8 is the VGA region, which only VGA devices have: that line means nothing.',
    remedies: [
      {
        change: 'a host kernel with 4 KiB pages',
        where: 'host-kernel',
        why: 'BARs, and the MSI-X table’s surroundings, are multiples of 4 KiB',
      },
      {
        change:
          'a VMM that rounds mappings to the host’s page size and moves the MSI-X table away (QEMU does; x-msix-relocation=auto)',
        where: scene.stack.vmm === 'cloud-hypervisor' ? 'cloud-hypervisor' : 'qemu',
        why: 'what shares the page with the table is then emulated',
      },
    ],
    missing: [
      {
        command: 'getconf PAGE_SIZE; sudo lspci -vvv (Region and MSI-X lines of the device)',
        why: 'host page size, BAR sizes and where the MSI-X table lies',
      },
    ],
  };
}

function noMmio(scene: Scene): Candidate | undefined {
  const told = said(scene.evidence, 'vmm-no-mmio').filter(({ line }) => !/moving device BAR/.test(line.text));
  const [first] = told;
  if (!first) return undefined;
  return {
    cause: 'aperture64-too-small',
    confidence: 'possible',
    fault: true,
    weight: 68,
    summary: 'The VMM has no address range left for a BAR.',
    evidence: cite(told.map(({ line }) => line)),
    proof:
      'The VMM allocates BARs from its own device windows, and says that none is left; their size is not in the input.',
    remedies: moreRoomAbove(scene.stack, 64n << 30n),
    missing: [ask.vmmLog],
  };
}
