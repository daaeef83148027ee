import { withoutIdentity } from '../../import/capture/anonymous.js';
import { mergeCapture } from '../../import/capture/merge.js';
import type { Capture } from '../../import/capture/model.js';
import { captureText } from '../../import/capture/save.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readEvidence } from '../evidence.js';
import { writeOutput } from '../files.js';
import { styleFor, type Io } from '../io.js';
import { renderCapture, renderDoubts } from '../render/capture.js';
import type { ImportFlags } from './flags.js';

export async function importFiles(this: Context, flags: ImportFlags, ...files: string[]): Promise<void> {
  await work(this, async (io) => {
    const read = await readCapture(files, io);
    const capture = flags.anonymous ? withoutIdentity(read) : read;
    const text = captureText(capture);
    if (flags.out === undefined) {
      io.stdout.write(text);
      io.stderr.write(renderDoubts(read, styleFor(io.stderr, io.env)));
    } else {
      await writeOutput(flags.out, text);
      io.stdout.write(renderCapture(capture, styleFor(io.stdout, io.env)));
    }
    return Exit.done;
  });
}

/** One capture of all files together. */
async function readCapture(files: readonly string[], io: Io): Promise<Capture> {
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
