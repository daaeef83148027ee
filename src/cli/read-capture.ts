import { mergeCapture } from '../import/capture/merge.js';
import type { Capture, Missing } from '../import/capture/model.js';
import { looksLikeDomain } from '../import/machine/looks-like-domain.js';
import { looksLikeQemuCommand } from '../import/machine/shell-words.js';
import type { Observation } from '../import/observation.js';
import { Problem } from '../problem/problem.js';
import { readEvidence, type WholeText } from './evidence.js';
import type { Io } from './io.js';

/** What a set of files holds together. */
export interface Sources {
  /** Undefined where no file shows anything of PCI. */
  readonly capture: Capture | undefined;
  /** The text that describes a machine, a QEMU command line or a libvirt domain. */
  readonly told: { readonly text: string; readonly name: string; readonly kind: 'qemu' | 'domain' } | undefined;
}

/**
 * Reads all files together; `-` is standard input. What each is, its content says.
 * @throws Problem `usage`, `import-machines`, and as readEvidence does
 */
export async function readSources(files: readonly string[], io: Io): Promise<Sources> {
  if (files.length === 0) {
    throw new Problem('usage', 'there is nothing to import', {
      hint: 'name files: pinbar import lspci.txt dmesg.txt; - is standard input',
    });
  }
  if (files.filter((file) => file === '-').length > 1) {
    throw new Problem('usage', 'standard input can be read once, and - is given more than once');
  }
  const observations: Observation[] = [];
  const missing: Missing[] = [];
  let told: Sources['told'];
  for (const file of files) {
    const read = await readEvidence(file, io, (head) => looksLikeDomain(head) || looksLikeQemuCommand(head));
    if ('evidence' in read) {
      observations.push(...read.evidence.observations);
      missing.push(...read.evidence.missing);
      continue;
    }
    if (told) {
      throw new Problem('import-machines', `${told.name} and ${read.name} both describe a machine`, {
        hint: 'import one at a time, with a capture of the host where devices are passed through',
      });
    }
    told = { ...read, kind: looksLikeDomain(read.text.slice(0, 4096)) ? 'domain' : 'qemu' };
  }
  return { capture: shown(mergeCapture(observations, { found: missing })), told };
}

/** A capture that shows something. */
const shown = (capture: Capture): Capture | undefined =>
  capture.functions.length > 0 || capture.hostBridges.length > 0 ? capture : undefined;

/**
 * One capture of all files together.
 * @throws Problem `import-nothing`, `import-kind`, and as {@link readSources} does
 */
export async function readCapture(files: readonly string[], io: Io): Promise<Capture> {
  const { capture, told } = await readSources(files, io);
  if (told) throw notCapture(told.name);
  return required(capture, files);
}

const notCapture = (name: string) =>
  new Problem('import-kind', `${name} describes a machine, and a capture is wanted`, {
    hint: 'give what a host or guest shows: lspci -vvv, sysfs, dmesg, a capture',
    where: { file: name },
  });

export function required(capture: Capture | undefined, files: readonly string[]): Capture {
  if (capture) return capture;
  throw new Problem('import-nothing', `${files.join(', ')}: nothing of PCI was found`, {
    hint: 'give the output of lspci -vvvnnxxxx, of dmesg, or of grep . /sys/bus/pci/devices/*/resource',
    facts: { files },
  });
}

/**
 * The capture of one file, or its text where `whole` knows it by its beginning.
 * @throws Problem as {@link readCapture} does
 */
export async function readEvidenceOr(file: string, io: Io, whole: WholeText) {
  const read = await readEvidence(
    file,
    io,
    (head) => whole(head) || looksLikeDomain(head) || looksLikeQemuCommand(head),
  );
  if ('text' in read) {
    if (whole(read.text)) return read;
    throw notCapture(read.name);
  }
  const { observations, missing } = read.evidence;
  return { capture: required(shown(mergeCapture(observations, { found: missing })), [file]) };
}
