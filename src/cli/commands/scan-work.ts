import { fileTree } from '../../host/file-tree.js';
import { withoutIdentity } from '../../import/capture/anonymous.js';
import { captureText } from '../../import/capture/save.js';
import { readSystem } from '../../import/system/read-system.js';
import { Exit } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { writeOutput } from '../files.js';
import { styleFor } from '../io.js';
import { renderCapture } from '../render/capture.js';
import type { ScanFlags } from './flags.js';

export async function scan(this: Context, flags: ScanFlags): Promise<void> {
  await work(this, async (io) => {
    const seen = readSystem(fileTree(flags.root ?? '/'));
    const capture = flags.anonymous ? withoutIdentity(seen) : seen;
    if (flags.out !== undefined) await writeOutput(flags.out, captureText(capture));
    io.stdout.write(flags.json ? captureText(capture) : renderCapture(capture, styleFor(io.stdout, io.env)));
    return Exit.done;
  });
}
