import { availableParallelism, loadavg } from 'node:os';
import { measureBoot } from './boot.js';
import { measureCaptures } from './captures.js';
import { measurePlace } from './place.js';
import { measurePredict } from './predict.js';
import { renderReport, type Bench, type Report } from './report.js';
import { measureStartup } from './startup.js';
import { measureTransport } from './transport.js';
import { measureTwin } from './twin.js';

const parts: Readonly<Record<string, (bench: Bench) => Report | Promise<Report>>> = {
  startup: measureStartup,
  qtest: measureTransport('qtest'),
  gdb: measureTransport('gdb'),
  boot: measureBoot,
  place: measurePlace,
  predict: measurePredict,
  twin: measureTwin,
  captures: measureCaptures,
};

/** @returns the exit code. Limits that do not hold are said, and are no failure: a busy machine is none of pinbar's doing. */
export async function main(args: readonly string[], bench: Bench): Promise<number> {
  const json = args.includes('--json');
  const names = args.filter((arg) => arg !== '--json');
  const unknown = names.find((name) => !(name in parts));
  if (unknown !== undefined) {
    process.stderr.write(`there is no benchmark ${unknown}; there are ${Object.keys(parts).join(', ')}\n`);
    return 1;
  }
  const machine = { cores: availableParallelism(), node: process.version, load: loadavg()[0] ?? 0 };
  if (!json)
    process.stdout.write(`Node ${machine.node}, ${machine.cores} cores, load average ${machine.load.toFixed(1)}\n`);
  const reports: Report[] = [];
  for (const [name, measure] of Object.entries(parts)) {
    if (names.length > 0 && !names.includes(name)) continue;
    const report = await measure(bench);
    reports.push(report);
    if (!json) process.stdout.write(renderReport(report));
  }
  if (json) process.stdout.write(`${JSON.stringify({ machine, reports }, null, 2)}\n`);
  return 0;
}
