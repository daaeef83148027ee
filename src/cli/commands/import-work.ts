import { withoutIdentity } from '../../import/capture/anonymous.js';
import { captureText } from '../../import/capture/save.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { writeOutput } from '../files.js';
import { styleFor } from '../io.js';
import { readSources, required } from '../read-capture.js';
import { renderCapture, renderDoubts } from '../render/capture.js';
import type { ImportFlags } from './flags.js';

export async function importFiles(this: Context, flags: ImportFlags, ...files: string[]): Promise<void> {
  await work(this, async (io) => {
    if (flags.devices !== undefined)
      return (await import('./import-devices.js')).importDevices(flags, flags.devices, files, io);
    refuseMachineFlags(flags);
    const { capture: seen, told } = await readSources(files, io);
    if (told) return (await import('./import-told.js')).importTold(flags, told, seen, io);
    const read = required(seen, files);
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

function refuseMachineFlags({ mirror, board, ram }: ImportFlags): void {
  const given = mirror ? 'mirror' : board !== undefined ? 'board' : ram !== undefined ? 'ram' : undefined;
  if (given === undefined) return;
  throw new Problem('usage', `--${given} says something of a guest’s machine, and no devices for it are named`, {
    hint: 'name functions of the host: --devices 0009:06:00.0,0009:01:00.0',
  });
}
