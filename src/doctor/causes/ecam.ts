import { rangeOfHex } from '../../import/lines.js';
import { MiB } from '../../address/kinds.js';
import { formatBdf } from '../../pci/bdf.js';
import { said } from '../evidence.js';
import type { Candidate } from '../finding.js';
import { cite, placedLine } from '../placement/cite.js';
import { nameOfStory } from '../placement/demand.js';
import { rangeText } from '../placement/fit.js';
import type { Scene } from '../scene/scene.js';

/** Configuration space above 256 bytes: whether the kernel reaches it through ECAM. */
export function ecam(scene: Scene): Candidate[] {
  const { evidence } = scene;
  const unreserved = said(evidence, 'ecam-unreserved');
  const unused = said(evidence, 'ecam-unused', 'no-config');
  const lost = said(evidence, 'ecam-lost');
  const taken = said(evidence, 'ecam-taken', 'ecam-short');
  const kept = said(evidence, 'ecam-kept');
  const bad = [...unused, ...lost, ...taken];
  const [first] = [...bad, ...unreserved];
  const covered = onTop(scene);
  if (covered) return [covered];
  if (!first) return partial(scene);
  const named = [...unreserved, ...said(evidence, 'ecam')].find(({ values }) => values['base'] && values['limit']);
  const range = rangeOfHex(named?.values['base'], named?.values['limit']);
  const size = range ? `${rangeText(range)}: ${range.size / MiB} buses of 1 MiB each` : 'its range is not in the input';
  const around = evidence.lines
    .filter(({ text }) => /efi: Remove mem|EfiMemoryMappedIO|MMCONFIG for domain|PCI: ECAM \[/.test(text))
    .slice(0, 4);
  if (bad.length === 0) {
    return [
      {
        cause: 'benign-noise',
        confidence: kept.length > 0 ? 'certain' : 'likely',
        fault: false,
        weight: 45,
        summary:
          'The firmware does not list the ECAM range among the motherboard’s resources; the kernel uses ECAM all the same.',
        evidence: cite(
          unreserved.map(({ line }) => line),
          kept.map(({ line }) => line),
          around,
        ),
        proof: `${size}. ${kept.length > 0 ? 'A later line says by what the kernel takes it for reserved' : 'No line says that ECAM is not used'}: extended configuration space works.`,
        remedies: [],
        ...(kept.length > 0
          ? {}
          : {
              missing: [{ command: "dmesg | grep -iE 'ECAM|MMCONFIG'", why: 'whether the kernel goes on with ECAM' }],
            }),
      },
    ];
  }
  return [
    {
      cause: 'ecam-conflict',
      confidence:
        unused.length > 0 || lost.length > 0 || taken.some(({ code }) => code === 'ecam-taken') ? 'certain' : 'likely',
      fault: true,
      weight: 90,
      summary:
        'The kernel does not use ECAM, so configuration space above 256 bytes (SR-IOV, ACS, AER, resizable BARs) cannot be reached.',
      evidence: cite(
        unreserved.map(({ line }) => line),
        bad.map(({ line }) => line),
        around,
      ),
      proof: `ECAM ${size}. ${unreserved.length > 0 ? 'Neither the motherboard’s ACPI resources nor the memory map reserve it, and the kernel takes that for a mistake in MCFG.' : 'Somebody else has the range.'}`,
      remedies: [
        {
          change: 'a newer kernel (6.2 and later take an EfiMemoryMappedIO entry for a reservation)',
          where: 'kernel',
          why: 'firmware may describe the range in the EFI memory map alone',
        },
        {
          change: 'a firmware update that lists the range under PNP0C02',
          where: 'bios',
          why: 'the PCI Firmware Specification (3.0, §4.1.2) asks for it',
        },
      ],
    },
  ];
}

/** A BAR or window that the kernel put into the ECAM range: accesses to one reach the other. */
function onTop(scene: Scene): Candidate | undefined {
  for (const { values, line } of said(scene.evidence, 'ecam', 'ecam-unreserved')) {
    const range = rangeOfHex(values['base'], values['limit']);
    const story = range && scene.stories.find(({ placed, space }) => space === 'memory' && placed?.overlaps(range));
    if (!range || !story?.placed) continue;
    return {
      cause: 'ecam-conflict',
      confidence: 'certain',
      fault: true,
      weight: 92,
      summary: `${nameOfStory(story)} was put at ${story.placed.toString()}, into the range of ECAM.`,
      evidence: cite(
        placedLine(story),
        line,
        said(scene.evidence, 'ecam-unreserved', 'ecam-kept').map((one) => one.line),
      ),
      proof: `ECAM is ${rangeText(range)}; ${story.placed.toString()} lies in it. The firmware lists the range in a host bridge's windows and not as reserved, so the kernel took it for free.`,
      remedies: [
        {
          change: 'a kernel of 6.8 or later, which reserves ECAM that is known from the EFI memory map alone',
          where: 'kernel',
          why: 'no BAR is placed there then',
        },
        {
          change: 'a firmware update that lists the range under PNP0C02',
          where: 'bios',
          why: 'the PCI Firmware Specification (3.3, §4.1.2) asks for it',
        },
      ],
    };
  }
  return undefined;
}

/** ECAM for fewer buses than the host bridge routes: it matters where something lies on one of the others. */
function partial(scene: Scene): Candidate[] {
  const [first] = said(scene.evidence, 'ecam-partial');
  const last = first?.values['last'];
  if (!first || last === undefined) return [];
  const limit = parseInt(last, 16);
  const beyond = [...scene.evidence.functions, ...scene.evidence.bridges, ...scene.evidence.lspci].filter(
    ({ address }) => address.segment === 0 && address.bus > limit,
  );
  const outside = beyond.length > 0;
  return [
    {
      cause: outside ? 'ecam-conflict' : 'benign-noise',
      confidence: outside ? 'certain' : 'likely',
      fault: outside,
      weight: outside ? 78 : 43,
      summary: outside
        ? `ECAM reaches buses up to ${last}, and ${beyond[0] ? formatBdf(beyond[0].address) : 'a function'} lies on one above: its configuration space above 256 bytes cannot be reached.`
        : `ECAM reaches buses up to ${last} only; nothing in the input lies on a bus above.`,
      evidence: cite(
        first.line,
        said(scene.evidence, 'ecam').map(({ line }) => line),
        beyond.slice(0, 3).map(({ line }) => line),
      ),
      proof: outside
        ? 'The kernel falls back to the old configuration mechanism (ports 0xcf8 and 0xcfc) for the other buses, which reaches 256 bytes of each function: no SR-IOV, ACS, AER or resizable BARs there.'
        : 'Buses beyond the range are reached through ports 0xcf8 and 0xcfc, 256 bytes of each function. A machine without functions there loses nothing.',
      remedies: outside
        ? [
            {
              change: 'a firmware update or setting by which MCFG covers all buses',
              where: 'bios',
              why: '1 MiB of ECAM is needed for each bus',
            },
          ]
        : [],
      ...(outside ? {} : { missing: [{ command: 'lspci -D | sort', why: 'which bus numbers are in use' }] }),
    },
  ];
}
