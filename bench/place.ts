import { eachFunction, type Machine } from '../src/machine/model.js';
import { place } from '../src/place/place.js';
import type { PlanResult } from '../src/place/plan.js';
import { checkPlan } from '../test/check/check-plan.js';
import { validMachine } from '../test/check/layouts.js';
import { bump, firstFit } from './allocators.js';
import { segmentOf } from './machines.js';
import { collectGarbage, least, median, timed, timedOnProcessor } from './measure.js';
import { limit, type Cell, type Report } from './report.js';

const SIZES = [1024, 8192, 65_536] as const;
const PINNED = 0.1;
const SHARES = [PINNED, 0] as const;
const RUNS = 15;
/** Of the same work in machines of each size, after {@link UNTIMED} more for the compiler. */
const ROUNDS = 5;
const UNTIMED = 2;
const SORTED = 1_000_000;
/** Small machines for the rate of success, each family. */
const CASES = 400;
/** Larger ones whose windows end where their contents do. */
const HARD = { sizes: [60, 120], cases: 40, pins: 0.3, steps: 300_000 } as const;

/** The solver, on its own: full segments for time and memory, small random machines for success. */
export async function measurePlace(): Promise<Report> {
  const sorts = Array.from({ length: 5 }, () => {
    const numbers = Float64Array.from({ length: SORTED }, () => Math.random());
    return timedOnProcessor(() => numbers.sort());
  });
  const sort = {
    ms: least(sorts.map(({ ms }) => ms)),
    processorMs: least(sorts.map(({ processorMs }) => processorMs)),
  };
  const growth = SHARES.map((share) => measureGrowth(share));
  const sizes: Awaited<ReturnType<typeof measureSize>>[] = [];
  for (const share of SHARES) for (const size of SIZES) sizes.push(await measureSize(size, share));
  const largest = sizes.find(({ functions, share }) => functions === SIZES.at(-1) && share === PINNED);
  return {
    part: 'place',
    tables: [
      {
        title: `Full buses, two BARs a function; one machine again and again, best of ${RUNS}`,
        columns: [
          ...['functions', 'BARs', 'pinned', 'outcome', 'ms', 'of processor time', 'bytes/function'],
          ...['bump', 'ms', 'first fit', 'ms'],
        ],
        rows: sizes.map(({ row }) => row),
      },
      {
        title: `The same, ${SIZES.at(-1)} functions in all, each machine another and all plans kept; median of ${ROUNDS} rounds`,
        columns: ['functions', 'machines', 'pinned', 'us/function', 'of processor time', 'again and again, best'],
        rows: growth.flatMap(({ rows }, i) =>
          rows.map(({ functions, wall, processor }): Cell[] => {
            const alone = sizes.find((size) => size.functions === functions && size.share === SHARES[i]);
            const again = ((alone?.processorMs ?? NaN) / functions) * 1000;
            return [
              ...[String(functions), SIZES[2] / functions, `${(SHARES[i] ?? 0) * 100} %`],
              ...[median(wall), median(processor), again],
            ];
          }),
        ),
      },
      {
        title: 'Beside it, in the same run',
        columns: ['', 'ms', 'of processor time'],
        rows: [[`sorting a Float64Array of ${SORTED} random numbers, best of 5`, sort.ms, sort.processorMs]],
      },
      {
        title: `Random machines that have a plan, ${CASES} a row, in processor time`,
        columns: ['', 'place %', 'median ms', 'worst ms', 'bump %', 'median ms', 'first fit %', 'median ms'],
        rows: families(),
      },
      {
        title: `Tight windows, ${HARD.pins * 100} % pinned, ${HARD.cases} a row, at most ${HARD.steps} steps, in processor time`,
        columns: ['functions', 'placed', 'undecided', 'median ms', 'worst ms'],
        rows: hard(),
      },
    ],
    limits: [
      ...growth.map(({ ratio }, i) =>
        limit(`time per function, 65,536 against 1,024, ${(SHARES[i] ?? 0) * 100} % pinned`, ratio, 2, ' x'),
      ),
      limit(`65,536 functions against the sort`, (largest?.processorMs ?? NaN) / sort.processorMs, 6, ' x'),
    ],
    skipped: [],
  };
}

/**
 * The same number of functions as machines of each size, in turn, so that all sizes have the same share of what else costs
 * time: memory that has not been seen before, and the garbage collector, which moves every plan that is kept.
 */
function measureGrowth(share: number) {
  const rows = SIZES.map((functions) => ({ functions, wall: [] as number[], processor: [] as number[] }));
  const ratios: number[] = [];
  for (let round = -UNTIMED; round < ROUNDS; round++) {
    const took = rows.map(({ functions, wall, processor }) => {
      const machines = Array.from({ length: SIZES[2] / functions }, (_, seed) => segmentOf(functions, share, seed + 1));
      collectGarbage();
      const { ms, processorMs, value } = timedOnProcessor(() => machines.map((machine) => place(machine)));
      const failed = value.find(({ status }) => status !== 'placed');
      if (failed) throw new Error(`a machine of ${functions} functions is ${failed.status}`);
      if (round >= 0) {
        wall.push((ms / SIZES[2]) * 1000);
        processor.push((processorMs / SIZES[2]) * 1000);
      }
      return processorMs;
    });
    if (round >= 0) ratios.push((took.at(-1) ?? NaN) / (took[0] ?? NaN));
  }
  return { rows, ratio: median(ratios) };
}

async function measureSize(functions: number, share: number) {
  const machine = segmentOf(functions, share);
  const all = [...eachFunction(machine.hostBridges[0]?.functions ?? [])].map(({ fn }) => fn);
  const bars = all.flatMap((fn) => fn.bars);
  if (all.length !== functions) throw new Error(`the machine has ${all.length} functions, not ${functions}`);
  const copies = Math.max(1, 16_384 / functions);
  const plans = () => Array.from({ length: copies }, () => place(machine));
  // Once in vain: what was measured before this leaves something that is freed in its own time.
  bytesKept(plans);
  const heap = bytesKept(plans) / copies;
  const runs = Array.from({ length: RUNS }, () => {
    const { value, ...took } = timedOnProcessor(() => place(machine));
    return { ...took, outcome: value.status };
  });
  const ms = least(runs.map((run) => run.ms));
  const processorMs = least(runs.map((run) => run.processorMs));
  const one = await timed(() => bump(machine));
  const other = await timed(() => firstFit(machine));
  const yes = (placed: boolean) => (placed ? 'placed' : 'failed');
  const row: Cell[] = [
    String(functions),
    bars.length,
    bars.filter(({ pin }) => pin !== undefined).length,
    runs[0]?.outcome ?? 'none',
    ms,
    processorMs,
    Math.round(heap / functions),
    ...[yes(one.value), one.ms, yes(other.value), other.ms],
  ];
  return { functions, share, ms, processorMs, row };
}

/** What greedy allocators give up on, and what takes the exact search long. */
function hard(): Cell[][] {
  return HARD.sizes.map((functions) => {
    const { pins, cases, steps } = HARD;
    const results = Array.from({ length: cases }, (_, seed) => {
      const machine = validMachine({ seed, functions, pins, tight: true, busPins: false, hosts: 1 });
      const { processorMs, value } = timedOnProcessor(() => place(machine, { remedies: false, steps }));
      if (value.status !== 'undecided' && !isPlan(value, machine)) throw new Error(`seed ${seed} is ${value.status}`);
      return { processorMs, status: value.status };
    });
    const times = results.map(({ processorMs }) => processorMs);
    const count = (status: PlanResult['status']) => results.filter((one) => one.status === status).length;
    return [String(functions), count('placed'), count('undecided'), median(times), Math.max(...times)];
  });
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
function families(): Cell[][] {
  const rows: Cell[][] = [];
  for (const tight of [false, true]) {
    for (const pins of [0, 0.3, 0.7]) {
      const machines = Array.from({ length: CASES }, (_, seed) =>
        validMachine({ seed, functions: 4 + (seed % 24), pins, tight, busPins: false, hosts: 1 }),
      );
      const own = attempt(machines, (machine) => place(machine, { remedies: false }), isPlan);
      const plain = attempt(machines, bump, Boolean);
      const fit = attempt(machines, firstFit, Boolean);
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

function attempt<T>(
  machines: readonly Machine[],
  allocate: (machine: Machine) => T,
  placed: (result: T, machine: Machine) => boolean,
) {
  const times: number[] = [];
  let successes = 0;
  for (const machine of machines) {
    const { processorMs, value } = timedOnProcessor(() => allocate(machine));
    times.push(processorMs);
    if (placed(value, machine)) successes++;
  }
  return { rate: (successes / machines.length) * 100, median: median(times), worst: Math.max(...times) };
}
