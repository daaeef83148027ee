import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { alternate, least, median } from './measure.js';
import { limit, type Bench, type Report } from './report.js';

const ROUNDS = 10;

/** What it costs to start the command line, beside a Node that does nothing. */
export async function measureStartup({ root, pinbar }: Bench): Promise<Report> {
  const node = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status ?? 'a signal'}: ${stderr}`);
  };
  const times = await alternate(ROUNDS, {
    'node -e 0': () => node('-e', '0'),
    'pinbar --help': () => node(pinbar, '--help'),
    'pinbar plan': () => node(pinbar, 'plan', join(root, 'examples/gpu-and-nic.pinbar.yaml')),
  });
  const bare = least(times['node -e 0']);
  const ratio = (name: keyof typeof times) => least(times[name]) / bare;
  return {
    part: 'startup',
    tables: [
      {
        title: `Starting, best of ${ROUNDS}, in turn`,
        columns: ['', 'best ms', 'median ms', 'times node -e 0'],
        rows: Object.entries(times).map(([name, all]) => [name, least(all), median(all), least(all) / bare]),
      },
    ],
    limits: [
      limit('pinbar --help', ratio('pinbar --help'), 1.5, ' x'),
      limit('pinbar plan of an example', ratio('pinbar plan'), 2.5, ' x'),
    ],
    skipped: [],
  };
}
