import { diagnose } from '../../doctor/diagnose.js';
import { diagnosisToJson } from '../../doctor/json.js';
import { EvidenceReader, gather, type FileEvidence } from '../../doctor/read.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { streamInput } from '../files.js';
import { styleFor, type Io } from '../io.js';
import { renderDiagnosis } from '../render/diagnosis.js';
import type { DoctorFlags } from './flags.js';

export async function doctor(this: Context, flags: DoctorFlags, ...files: string[]): Promise<void> {
  await work(this, async (io) => {
    if (files.filter((file) => file === '-').length > 1) {
      throw new Problem('usage', 'standard input can be read once, and - is given more than once');
    }
    const parts: FileEvidence[] = [];
    for (const file of files) parts.push(await readEvidence(file, io));
    const evidence = gather(parts);
    const plain = diagnose(evidence);
    // The guests' models are needed for logs that show a boot's enumeration.
    const diagnosis =
      evidence.functions.length > 0
        ? (await import('../../doctor/oracle/with-placement.js')).withPlacement(plain, evidence)
        : plain;
    io.stdout.write(
      flags.json
        ? `${JSON.stringify(diagnosisToJson(diagnosis), null, 2)}\n`
        : renderDiagnosis(diagnosis, evidence.files, styleFor(io.stdout, io.env), io.stdout.columns),
    );
    return Exit.done;
  });
}

async function readEvidence(path: string, io: Io): Promise<FileEvidence> {
  let reader: EvidenceReader | undefined;
  let bytes = 0;
  const name = path === '-' ? '<stdin>' : path;
  for await (const chunk of streamInput(path, io)) {
    if (bytes === 0) checkText(chunk, name);
    bytes += chunk.length;
    (reader ??= new EvidenceReader(name)).pushBytes(chunk);
  }
  if (!reader) {
    throw new Problem('input-empty', `${name} is empty`, {
      where: { file: name },
      hint: 'give a log or a listing with something in it, such as the output of sudo dmesg or sudo lspci -vvv',
    });
  }
  return reader.finish();
}

/** Logs are text: a device tree blob, a compressed log or UTF-16 is not. */
function checkText(chunk: Uint8Array, name: string): void {
  const start = chunk.subarray(0, 4096);
  const zeros = start.reduce((sum, byte) => sum + (byte === 0 ? 1 : 0), 0);
  if (zeros * 16 <= start.length) return;
  const wide = (start[0] === 0xff && start[1] === 0xfe) || (start[0] === 0xfe && start[1] === 0xff);
  throw new Problem('input-not-text', `${name} is no text: ${zeros} of its first ${start.length} bytes are zero`, {
    where: { file: name },
    hint: wide
      ? 'it is UTF-16; convert it: iconv -f UTF-16 -t UTF-8'
      : 'give the text of a log; unpack it first if it is compressed',
  });
}
