import type { LogLine } from '../../import/log/line.js';
import { said } from '../evidence.js';
import type { Candidate, Missing } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import type { Scene } from '../scene/scene.js';

/** EEXIST of a mapping; ENOMEM, EBUSY, EINVAL and ENOSPC of a driver's probe. */
const EXISTS = 17;
const probeErrors = /\b[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b.*-(?:12|16|22|28)\b/i;

/** Failures that are reported and that no other rule explains: to say nothing of them would look like “nothing is wrong”. */
export function undecided(scene: Scene): Candidate[] {
  const { evidence } = scene;
  const twice = evidence.dma.filter(({ errno }) => errno === EXISTS).map(({ line }) => line);
  const probes = said(evidence, 'probe-failed').flatMap(({ line }) => (probeErrors.test(line.text) ? [line] : []));
  const vfio = said(evidence, 'vfio-error').map(({ line }) => line);
  if (twice.length > 0) {
    return [
      unknown(
        twice,
        'The VMM maps a range for devices that is mapped already.',
        'EEXIST: a part of the range has a mapping. Either two BARs, or a BAR and RAM, have the same guest address, or the VMM maps the same BAR twice; the addresses are not in the input.',
      ),
    ];
  }
  const lines = [...vfio, ...probes];
  const [fault, ...more] = said(evidence, 'iommu-fault').filter(({ values }) => values['address'] !== undefined);
  if (lines.length === 0 && fault) {
    return [
      unknown(
        [fault, ...more].map(({ line }) => line),
        `The IOMMU refuses a device's access to 0x${fault.values['address'] ?? ''}; what lies there is not in the input.`,
        'The address is no BAR that the input shows. It may be memory that a driver has not mapped, a range that firmware reserves for the device, or another device’s BAR.',
        [
          ask.iomem,
          { command: 'sudo lspci -vvv', why: 'which BAR lies at the address, if any, and which driver the device has' },
        ],
      ),
    ];
  }
  if (lines.length === 0) return [];
  return [
    unknown(
      lines,
      'A failure is reported, and the input does not say what it comes from.',
      `${vfio.length > 0 ? 'The VMM could not set the device up.' : 'A driver gave the device up.'} No line shows a BAR or window without a place, an overlap or a refused mapping; the lines before it would tell.`,
    ),
  ];
}

const unknown = (
  lines: readonly LogLine[],
  summary: string,
  proof: string,
  missing: readonly Missing[] = [ask.kernelLog, ask.vmmLog],
): Candidate => ({
  cause: 'unknown',
  confidence: 'possible',
  fault: true,
  weight: 33,
  summary,
  evidence: cite(lines),
  proof,
  remedies: [],
  missing,
});
