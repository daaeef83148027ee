import type { LogLine } from '../../import/log/line.js';
import { said } from '../evidence.js';
import type { Candidate, Finding, Remedy } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import type { Scene } from '../scene/scene.js';

/** What QEMU refuses for its own reasons, before or beside any placement. Patterns as QEMU 7.2 and 10.0 print them. */
interface Refusal {
  readonly pattern: RegExp;
  readonly say: (match: RegExpExecArray) => {
    readonly summary: string;
    readonly proof: string;
    readonly remedies: readonly Remedy[];
  };
}

const remedy = (change: string, why: string): Remedy => ({ change, where: 'qemu', why });

const refusals: readonly Refusal[] = [
  {
    pattern: /highmem-mmio-size cannot be set to a lower value than the default(?: \((?<least>[^)]{1,20})\))?/,
    say: ({ groups }) => ({
      summary: 'QEMU does not start: highmem-mmio-size makes the 64-bit window larger, never smaller.',
      proof: `The least value is the default${groups?.['least'] ? `, ${groups['least']}` : ', 512 GiB'}.`,
      remedies: [
        remedy(
          '-machine virt without highmem-mmio-size, or with 512G, 1T, 2T, … (a power of two)',
          'the default has room for all that a smaller window would hold',
        ),
      ],
    }),
  },
  {
    pattern: /Property '(?<type>[\w.-]+-machine)\.highmem-mmio-size' not found/,
    say: ({ groups }) => ({
      summary: 'QEMU does not start: highmem-mmio-size is a property of the Arm virt machine of QEMU 10.0 and later.',
      proof:
        `“${groups?.['type'] ?? ''}” has no such property. ${/^virt-/.test(groups?.['type'] ?? '') ? 'The unversioned “virt” is the newest machine that a QEMU has, so its number is that of the QEMU where the machine is not chosen.' : ''}`.trim(),
      remedies: [
        remedy(
          'QEMU 10.0 or later; without it leave the option out, and the 64-bit window is 512 GiB',
          'older versions have a window of one size',
        ),
      ],
    }),
  },
  {
    pattern: /Property '(?<type>[\w.-]+)\.(?<property>[\w-]+)' not found/,
    say: ({ groups }) => {
      const type = groups?.['type'] ?? '';
      const machine = /^(.*)-machine$/.exec(type)?.[1];
      return {
        summary: `QEMU does not start: ${type} of this QEMU has no property ${groups?.['property'] ?? ''}.`,
        proof:
          'A property that is not there is misspelt, belongs to another device or machine, or came with a later QEMU.',
        remedies: [
          remedy(
            machine ? `-machine ${machine},help` : `-device ${type},help`,
            'lists the properties that this QEMU has',
          ),
        ],
      };
    },
  },
  {
    pattern: /Property '(?<type>[\w.-]+)\.addr' doesn't take value '(?<value>[^']{1,40})'/,
    say: ({ groups }) => ({
      summary: `QEMU does not start: addr=${groups?.['value'] ?? ''} of ${groups?.['type'] ?? ''} is no slot.`,
      proof: 'addr is SLOT or SLOT.FUNCTION; a bus has the slots 0x0 to 0x1f and the functions 0 to 7.',
      remedies: [
        remedy(
          'another addr=, or another bus= (one more pcie-root-port, or pxb-pcie for one more root bus)',
          'a bus has 32 slots',
        ),
      ],
    }),
  },
  {
    pattern: /Bus '(?<bus>[^']{1,80})' not found/,
    say: ({ groups }) => ({
      summary: `QEMU does not start: its machine has no bus “${groups?.['bus'] ?? ''}” where the option stands.`,
      proof:
        'bus= names a bus of the machine (pcie.0 on q35 and virt, pci.0 on pc) or the id of a port or bridge whose -device stands earlier on the command line.',
      remedies: [
        remedy(
          '-machine q35 or virt where pcie.0 is meant; or the -device with this id= before the devices on it',
          'QEMU makes devices in the order of their options',
        ),
      ],
    }),
  },
  {
    pattern:
      /cannot set up guest memory '?[^':]{0,80}'?: Cannot allocate memory|unable to map backing store for guest RAM/,
    say: () => ({
      summary: 'QEMU does not start: the host does not give it the guest’s RAM.',
      proof: 'The host refuses memory for the guest; addresses of the guest are not the question.',
      remedies: [
        remedy(
          'less RAM (-m), or more free memory, huge pages or overcommit (vm.overcommit_memory) on the host',
          'the host has to back the guest’s RAM',
        ),
      ],
    }),
  },
];

/** Errors of QEMU that none of the findings cites: to say nothing of them would look like “nothing is wrong”. */
export function qemuErrors(scene: Scene, findings: readonly Pick<Finding, 'evidence'>[]): Candidate[] {
  const cited = new Set(findings.flatMap(({ evidence }) => evidence.map(placeOf)));
  const lines = said(scene.evidence, 'qemu-error')
    .map(({ line }) => line)
    .filter((line) => !cited.has(placeOf(line)));
  const refused = lines.flatMap((line) => {
    for (const { pattern, say } of refusals) {
      const match = pattern.exec(line.text);
      if (match) return [{ line, ...say(match) }];
    }
    return [];
  });
  const [first] = refused;
  const rest = lines.filter((line) => !refused.some((one) => one.line === line));
  return [
    ...(first
      ? [
          {
            cause: 'not-placement' as const,
            confidence: 'certain' as const,
            fault: true,
            weight: 60,
            summary: first.summary,
            evidence: cite(refused.map(({ line }) => line)),
            proof: first.proof,
            remedies: first.remedies,
          },
        ]
      : []),
    ...(rest.length > 0 ? [unexplained(rest)] : []),
  ];
}

const placeOf = ({ source }: LogLine) => `${source.line} ${source.file}`;

const unexplained = (lines: readonly LogLine[]): Candidate => ({
  cause: 'unknown',
  confidence: 'possible',
  fault: true,
  weight: 33,
  summary: 'QEMU reports an error, and the input does not say what it comes from.',
  evidence: cite(lines.slice(0, 6)),
  proof: 'The line is QEMU’s own. No rule here knows what it means for placement, so nothing is claimed about it.',
  remedies: [],
  missing: [ask.command, ask.vmmLog],
});
