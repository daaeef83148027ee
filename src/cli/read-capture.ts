import { mergeCapture } from '../import/capture/merge.js';
import type { Capture } from '../import/capture/model.js';
import { Problem } from '../problem/problem.js';
import { readEvidence } from './evidence.js';
import type { Io } from './io.js';

/**
 * One capture of all files together; `-` is standard input.
 * @throws Problem `usage`, `import-nothing`, and as readEvidence does
 */
export async function readCapture(files: readonly string[], io: Io): Promise<Capture> {
  if (files.length === 0) {
    throw new Problem('usage', 'there is nothing to import', {
      hint: 'name files: pinbar import lspci.txt dmesg.txt; - is standard input',
    });
  }
  if (files.filter((file) => file === '-').length > 1) {
    throw new Problem('usage', 'standard input can be read once, and - is given more than once');
  }
  const observations = [];
  const missing = [];
  for (const file of files) {
    const read = await readEvidence(file, io);
    if (!('evidence' in read)) continue;
    observations.push(...read.evidence.observations);
    missing.push(...read.evidence.missing);
  }
  const capture = mergeCapture(observations, { found: missing });
  if (capture.functions.length > 0 || capture.hostBridges.length > 0) return capture;
  throw new Problem('import-nothing', `${files.join(', ')}: nothing of PCI was found`, {
    hint: 'give the output of lspci -vvvnnxxxx, of dmesg, or of grep . /sys/bus/pci/devices/*/resource',
    facts: { files },
  });
}
