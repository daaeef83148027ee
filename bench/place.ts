import { eachFunction, type Machine } from '../src/machine/model.js';
import { place } from '../src/place/place.js';
import type { PlanResult } from '../src/place/plan.js';
import { checkPlan } from '../test/check/check-plan.js';
import { validMachine } from '../test/check/layouts.js';
import { bump, firstFit } from './allocators.js';
import { segmentOf } from './machines.js';
import { collectGarbage, least, median, timed } from './measure.js';
import { limit, type Cell, type Report } from './report.js';

const SIZES = [1024, 8192, 65_536] as const;
const PINNED = 0.1;
const RUNS = 3;
const SORTED = 1_000_000;
/** Small machines for the rate of success, each family. */
const CASES = 400;

/** The solver, on its own: full segments for time and memory, small random machines for success. */
export async function measurePlace(): Promise<Report> {
  const sorts: number[] = [];
  for (let run = 0; run < 5; run++) {
    const numbers = Float64Array.from({ length: SORTED }, () => Math.random());
    sorts.push((await timed(() => numbers.sort())).ms);
  }
  const sort = least(sorts);
  // The compiler has seen the code before anything is timed, whatever the size.
  for (let run = 0; run < 8; run++) place(segmentOf(8192, PINNED, run));
  const sizes = [];
  for (const size of SIZES) sizes.push(await measureSize(size, PINNED));
  const free = [];
  for (const size of SIZES) free.push(await measureSize(size, 0));
  const largest = sizes.at(-1);
  const growth = (largest?.perFunction ?? NaN) / (sizes[0]?.perFunction ?? NaN);
  return {
    part: 'place',
    tables: [
      {
        title: `Full buses, two BARs a function, best of ${RUNS} or more`,
        columns: [
          'functions',
          'BARs',
          'pinned',
          'outcome',
          'ms',
          'us/function',
          'bytes/function',
          'bump',
          'ms',
          'first fit',
          'ms',
        ],
        rows: [...sizes, ...free].map(({ row }) => row),
      },
      {
        title: 'Beside it, in the same run',
        columns: ['', 'ms'],
        rows: [[`sorting a Float64Array of ${SORTED} random numbers, best of 5`, sort]],
      },
      {
        title: `Random machines that have a plan, ${CASES} a row`,
        columns: ['', 'place %', 'median ms', 'worst ms', 'bump %', 'median ms', 'first fit %', 'median ms'],
        rows: await families(),
      },
    ],
    limits: [
      limit('time per function, 65,536 against 1,024', growth, 2, ' x'),
      limit(`65,536 functions against the sort`, (largest?.ms ?? NaN) / sort, 6, ' x'),
    ],
    skipped: [],
  };
}

async function measureSize(functions: number, pinned: number) {
  const machine = segmentOf(functions, pinned);
  const all = [...eachFunction(machine.hostBridges[0]?.functions ?? [])].map(({ fn }) => fn);
  const bars = all.flatMap((fn) => fn.bars);
  if (all.length !== functions) throw new Error(`the machine has ${all.length} functions, not ${functions}`);
  const copies = Math.max(1, 16_384 / functions);
  const heap = bytesKept(() => Array.from({ length: copies }, () => place(machine))) / copies;
  const times: number[] = [];
  let outcome: string = 'none';
  // A small machine is over before the compiler has seen the code: as often as it takes.
  for (let run = 0; run < Math.max(RUNS, 32_768 / functions); run++) {
    const { ms, value } = await timed(() => place(machine));
    times.push(ms);
    outcome = value.status;
  }
  const ms = least(times);
  const one = await timed(() => bump(machine));
  const other = await timed(() => firstFit(machine));
  const yes = (placed: boolean) => (placed ? 'placed' : 'failed');
  const row: Cell[] = [
    String(functions),
    bars.length,
    bars.filter(({ pin }) => pin !== undefined).length,
    outcome,
    ms,
    (ms / functions) * 1000,
    Math.round(heap / functions),
    ...[yes(one.value), one.ms, yes(other.value), other.ms],
  ];
  return { ms, perFunction: ms / functions, row };
}

/** What stays on the heap of the result of `work`. */
function bytesKept(work: () => unknown): number {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const kept = [work()];
  collectGarbage();
  const after = process.memoryUsage().heapUsed;
  kept.pop();
  return after - before;
}

/** From roomy without pins to exactly tight with many. */
async function families(): Promise<Cell[][]> {
  const rows: Cell[][] = [];
  for (const tight of [false, true]) {
    for (const pins of [0, 0.3, 0.7]) {
      const machines = Array.from({ length: CASES }, (_, seed) =>
        validMachine({ seed, functions: 4 + (seed % 24), pins, tight, busPins: false, hosts: 1 }),
      );
      const own = await attempt(machines, (machine) => place(machine, { remedies: false }), isPlan);
      const plain = await attempt(machines, bump, Boolean);
      const fit = await attempt(machines, firstFit, Boolean);
      rows.push([
        `${tight ? 'tight' : 'roomy'} windows, ${pins * 100} % pinned`,
        ...[own.rate, own.median, own.worst, plain.rate, plain.median, fit.rate, fit.median],
      ]);
    }
  }
  return rows;
}

/** Whether it is a plan, by a checker that shares nothing with the solver. */
function isPlan(result: PlanResult, machine: Machine): boolean {
  if (result.status !== 'placed') return false;
  const wrong = checkPlan(machine, result);
  if (wrong.length > 0) throw new Error(`place gave a plan that is none: ${wrong.join('; ')}`);
  return true;
}

async function attempt<T>(
  machines: readonly Machine[],
  allocate: (machine: Machine) => T,
  placed: (result: T, machine: Machine) => boolean,
) {
  const times: number[] = [];
  let successes = 0;
  for (const machine of machines) {
    const { ms, value } = await timed(() => allocate(machine));
    times.push(ms);
    if (placed(value, machine)) successes++;
  }
  return { rate: (successes / machines.length) * 100, median: median(times), worst: Math.max(...times) };
}
