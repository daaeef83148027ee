import { rangeOfHex } from '../../import/lines.js';
import { hex } from '../../address/format.js';
import { said } from '../evidence.js';
import type { MessageCode } from '../../import/log/messages/messages.js';
import type { LogLine } from '../../import/log/line.js';
import type { Candidate } from '../finding.js';
import { cite, placedLine } from '../placement/cite.js';
import type { Scene } from '../scene/scene.js';
import { factsOf } from '../scene/host-windows.js';
import { peerMappings } from './dma.js';

interface Noise {
  readonly lines: readonly LogLine[];
  readonly why: string;
  readonly sure: boolean;
}

/** Lines that look like faults and are none; each with the reason. */
export function noise(scene: Scene): Candidate[] {
  const found = [pnpOverlap(scene), unmappedBars(scene), legacyWindows(scene), ...plain(scene)].filter(
    (one) => one !== undefined,
  );
  const [first] = found;
  if (!first) return [];
  const sure = found.some((one) => one.sure);
  return [
    {
      cause: 'benign-noise',
      confidence: sure ? 'certain' : 'likely',
      fault: false,
      weight: sure ? 42 : 30,
      summary:
        found.length === 1 ? 'This line looks like a fault and is none.' : 'These lines look like faults and are none.',
      evidence: cite(found.flatMap(({ lines }) => lines.slice(0, 3))),
      proof: found.map(({ why }) => why).join(' '),
      remedies: [],
    },
  ];
}

/** A pnp quirk compares with VF BARs that have no address yet and start at 0. */
function pnpOverlap(scene: Scene): Noise | undefined {
  const all = said(scene.evidence, 'pnp-overlap');
  const [first] = all;
  const range = rangeOfHex(first?.values['base'], first?.values['limit']);
  if (!first || !range) return undefined;
  const { base } = range;
  const device = first.values['device'] ?? '';
  const placed = scene.stories.find(
    ({ outcome, isVf, placed: at }) => isVf && outcome === 'placed' && at !== undefined && at.base !== base,
  );
  if (base !== 0n) {
    return {
      lines: all.map(({ line }) => line),
      sure: false,
      why: `The pnp driver drops its own claim on a range that ${device} has; the device keeps its BAR.`,
    };
  }
  return {
    lines: [
      ...all.map(({ line }) => line),
      ...(placed ? [placedLine(placed)].filter((line) => line !== undefined) : []),
    ],
    sure: true,
    why: `BAR ${first.values['bar'] ?? ''} of ${device} still has base 0 at that time (no address, ${hex(range.size)} bytes long), so the overlap with [${first.values['range'] ?? ''}] is one on paper.${placed?.placed ? ` It is placed later, at ${placed.placed.toString()}.` : ' It gets its address later, elsewhere.'}`,
  };
}

/** QEMU maps each device's BARs for the others; where the host cannot, only peer-to-peer is lost. */
function unmappedBars(scene: Scene): Noise | undefined {
  const failures = peerMappings(scene.evidence.dma);
  const told = said(scene.evidence, 'peer-unsupported');
  if (failures.length === 0 && told.length === 0) return undefined;
  const [first] = failures;
  return {
    lines: [...failures.map(({ line }) => line), ...told.map(({ line }) => line)],
    sure: true,
    why: `${first?.iova === undefined ? 'A BAR' : `${hex(first.iova)}${first.size === undefined ? '' : `, ${hex(first.size)} bytes,`} is a device's BAR, not RAM, and`} cannot be mapped for other devices (EFAULT: iommufd, and hosts whose IOMMU driver cannot map MMIO). The guest's own access does not go that way: only peer-to-peer between devices is lost, and QEMU goes on.`,
  };
}

/** Option ROM and VGA ranges that ACPI lists and something else has. */
function legacyWindows(scene: Scene): Noise | undefined {
  const legacy = factsOf(scene.evidence, 'withdrawn').filter(({ range }) => range.limit < 0x10_0000n);
  if (legacy.length === 0) return undefined;
  return {
    lines: legacy.map(({ line }) => line),
    sure: true,
    why: 'Windows below 1 MiB are for option ROMs and VGA; no BAR is placed there.',
  };
}

const reasons: readonly (readonly [MessageCode, string, boolean])[] = [
  [
    'bridge-renumbered',
    'A bridge without bus numbers gets some: that is how every bridge starts that firmware left alone.',
    true,
  ],
  [
    'cap-hidden',
    'vfio hides a capability that it does not virtualise; the guest does not see it and does not need it.',
    true,
  ],
  ['rom-signature', 'The device has no readable ROM image; only a boot display needs one (romfile= gives it).', false],
  ['region-info', 'Region 8 is the VGA region, which a device without VGA does not have.', false],
  [
    'sanity-check',
    'The kernel notes that a driver maps a range across two entries of its own list; it maps it all the same.',
    true,
  ],
  ['pnp-unreserved', 'The range is reserved already by somebody else; the pnp driver only repeats it.', true],
  ['irq-routing', 'The legacy interrupt pin is not routed; devices with MSI do not use it.', true],
  ['d3-quirk', 'The kernel avoids a known defect of INTx masking.', true],
  [
    'range-size-warning',
    'A device tree range without a 64-bit flag is larger than 4 GiB; the kernel uses it as it is.',
    true,
  ],
  [
    'realloc-hint',
    'The kernel suggests pci=realloc whenever anything is unassigned, I/O ports and VF BARs included.',
    false,
  ],
];

/** Reasons that by themselves are worth a finding; the rest is only cited beside others. */
const quiet = new Set<MessageCode>([
  'irq-routing',
  'd3-quirk',
  'pnp-unreserved',
  'realloc-hint',
  'bridge-renumbered',
  'cap-hidden',
]);

function plain({ evidence }: Scene): Noise[] {
  return reasons.flatMap(([code, why, sure]) => {
    const found = said(evidence, code);
    if (found.length === 0) return [];
    return [{ lines: found.map(({ line }) => line), why, sure: sure && !quiet.has(code) }];
  });
}
