import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { targets } from './targets.js';
import type { Report, Work } from './worker.js';

/** A parser that says nothing for so long hangs, milliseconds. */
const SILENCE = 60_000;
const MOST_INPUT = 1 << 18;
/** Of a parser that takes more than this, MiB, for inputs of some kilobytes, something grows that should not. */
const HEAP = 512;

const usage = `npm run fuzz -- [PARSER…] [--minutes N] [--seed N] [--out DIR]
Parsers: ${Object.keys(targets).join(', ')}; all of them where none is named, one after another.
--minutes: for each of them, 1 where it is not said. Inputs that show a fault are written to DIR (fuzz-faults).
`;

/** @returns the exit code: 1 where a fault was found. */
export async function main(args: readonly string[], worker: string, root: string): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      minutes: { type: 'string', default: '1' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      out: { type: 'string', default: 'fuzz-faults' },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.find((name) => !(name in targets));
  const minutes = Number(values.minutes);
  if (values.help || unknown !== undefined || !(minutes > 0)) {
    process.stderr.write(unknown === undefined ? usage : `there is no parser ${unknown}\n${usage}`);
    return values.help ? 0 : 1;
  }
  let faults = 0;
  for (const name of positionals.length > 0 ? positionals : Object.keys(targets)) {
    const until = Date.now() + minutes * 60_000;
    faults += await fuzz(worker, { name, root, seed: Number(values.seed), until }, values.out);
  }
  return faults > 0 ? 1 : 0;
}

async function fuzz(worker: string, work: Omit<Work, 'current'>, folder: string): Promise<number> {
  const current = new SharedArrayBuffer(4 + MOST_INPUT);
  const thread = new Worker(worker, {
    workerData: { ...work, current } satisfies Work,
    resourceLimits: { maxOldGenerationSizeMb: HEAP },
  });
  let faults = 0;
  let last: Extract<Report, { kind: 'progress' }> | undefined;
  const save = (what: string, input: Uint8Array) => {
    faults++;
    mkdirSync(folder, { recursive: true });
    const hash = createHash('sha256').update(input).digest('hex').slice(0, 12);
    const file = join(folder, `${work.name}-${hash}`);
    writeFileSync(file, input);
    process.stdout.write(`${work.name}: ${what.split('\n').slice(0, 4).join('\n  ')}\n  input: ${file}\n`);
  };
  const lastInput = () => {
    const size = Atomics.load(new Int32Array(current, 0, 1), 0);
    return Uint8Array.from(new Uint8Array(current, 4, size));
  };
  await new Promise<void>((resolve) => {
    const silent = () => {
      save(`no end after ${SILENCE / 1000} s`, lastInput());
      void thread.terminate();
    };
    let timer = setTimeout(silent, SILENCE);
    thread.on('message', (report: Report) => {
      clearTimeout(timer);
      timer = setTimeout(silent, SILENCE);
      if (report.kind === 'fault') save(report.what, report.input);
      else last = report;
    });
    thread.on('error', (error) => save(error.stack ?? error.message, lastInput()));
    thread.on('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  const { runs = 0, inputs = 0, blocks = 0, heap = 0 } = last ?? {};
  process.stdout.write(
    `${work.name}: ${runs} inputs, ${inputs} kept, ${blocks} blocks of code, ${Math.round(heap / (1 << 20))} MiB, seed ${work.seed}, ${faults} faults\n`,
  );
  return faults;
}
