import { spawn } from 'node:child_process';

/** A stage of `pinbar run --verbose`, at its milliseconds since the first import was done. */
export interface Stage {
  readonly name: string;
  readonly at: number;
}

export interface CliRun {
  readonly stages: readonly Stage[];
  /** Milliseconds from starting Node to the end of the process, or to the last stage where it was ended there. */
  readonly total: number;
  /** Milliseconds from starting Node to the first stage: Node itself, and pinbar's code. */
  readonly loading: number;
}

/**
 * Runs `pinbar run` and listens to its stages. `untilRunning` ends it once the machine is handed over, for a machine that
 * stays paused. Throws with its standard error where it fails.
 */
export async function runPinbar(
  pinbar: string,
  qemu: readonly string[],
  options: readonly string[] = [],
  untilRunning = false,
): Promise<CliRun> {
  const start = performance.now();
  const child = spawn(process.execPath, [pinbar, 'run', '--verbose', ...options, '--', ...qemu], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stages: Stage[] = [];
  let errors = '';
  let rest = '';
  let loading = NaN;
  let handedOver = NaN;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const match = /^pinbar: +([\d.]+) ms {2}(.*?)\r?$/.exec(line);
      if (!match?.[2]) continue;
      const stage = { name: match[2], at: Number(match[1]) };
      if (stages.length === 0) loading = performance.now() - start - stage.at;
      stages.push(stage);
      if (stage.name !== 'running') continue;
      handedOver = performance.now() - start;
      if (untilRunning) child.kill('SIGTERM');
    }
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`pinbar run ended with ${code ?? 'a signal'}:\n${errors}`);
  return { stages, loading, total: untilRunning ? handedOver : performance.now() - start };
}

/** How long each stage took, by name, in order: up to the next one. The last has no length. */
export function durations({ stages, loading }: CliRun): Map<string, number> {
  const lengths = new Map([['loading Node and pinbar', loading]]);
  stages.forEach(({ name, at }, i) => {
    const next = stages[i + 1];
    if (next) lengths.set(name, next.at - at);
  });
  return lengths;
}
