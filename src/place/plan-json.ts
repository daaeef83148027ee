import * as v from 'valibot';
import { AddressRange } from '../address/range.js';
import { hex } from '../address/format.js';
import { formatBdf, parseBdf } from '../pci/bdf.js';
import { mistakesOf } from '../machine/mistakes.js';
import type { HostWindow } from '../machine/model.js';
import { Problem } from '../problem/problem.js';
import type {
  Constraint,
  ConstraintSubject,
  Plan,
  PlanResult,
  PlannedBar,
  PlannedFunction,
  PlannedVfBar,
} from './plan.js';
import type { PlanJson, PlanParsed } from './plan-schema.js';
import { planSchema } from './plan-schema.js';

type Path = readonly (string | number)[];
type PlacedJson = Extract<PlanJson, { status: 'placed' }>;
type PlacedParsed = Extract<PlanParsed, { status: 'placed' }>;

/** The plan as the contract's JSON: one document, the same bytes for the same plan. */
export function planToJson(result: PlanResult): PlanJson {
  switch (result.status) {
    case 'placed':
      return placedToJson(result);
    case 'infeasible':
      return {
        pinbar: 1,
        status: 'infeasible',
        conflict: {
          summary: result.conflict.summary,
          constraints: result.conflict.constraints.map(constraintToJson),
          ...(result.conflict.minimal === false ? { minimal: false } : {}),
        },
        remedies: result.remedies.map(({ change, verified }) => ({ change, verified })),
        ...(result.stopped ? { stopped: true } : {}),
      };
    case 'undecided':
      return { pinbar: 1, status: 'undecided', summary: result.summary };
    default:
      return result satisfies never;
  }
}

function placedToJson(plan: Plan): PlacedJson {
  return {
    pinbar: 1,
    status: 'placed',
    // Of ranges only what stays where a plan is copied from a worker: no getter.
    ram: plan.ram.map(({ base, limit }) => ({ base: hex(base), size: hex(limit - base + 1n) })),
    hostBridges: plan.hostBridges.map(({ id, segment, buses, windows }) => ({
      id,
      segment,
      buses: [...buses],
      windows: windows.map(windowToJson),
    })),
    bridges: plan.bridges.map((bridge) => ({
      id: bridge.id,
      address: formatBdf(bridge.address),
      primary: bridge.primary,
      secondary: bridge.secondary,
      subordinate: bridge.subordinate,
      io: rangeToJson(bridge.io),
      memory: rangeToJson(bridge.memory),
      prefetchable: rangeToJson(bridge.prefetchable),
    })),
    functions: plan.functions.map(functionToJson),
  };
}

/** Where the CPU sees a memory window is part of the plan; I/O ports have no other address for a guest. */
const windowToJson = ({ type, base, size, cpuBase }: HostWindow) => {
  const shift = cpuBase - base;
  return {
    type,
    base: hex(base),
    size: hex(size),
    ...(type !== 'io' && shift !== 0n ? { cpuBase: hex(cpuBase) } : {}),
  };
};

const rangeToJson = (range: AddressRange | null) => range && { base: hex(range.base), limit: hex(range.limit) };

function functionToJson({ id, address, bars, rom, sriov }: PlannedFunction): PlacedJson['functions'][number] {
  return {
    id,
    address: formatBdf(address),
    bars: bars.map((bar) => ({
      index: bar.index,
      type: bar.type,
      prefetchable: bar.prefetchable,
      size: hex(bar.size),
      address: hex(bar.address),
      pinned: bar.pinned,
      ...resizedToJson(bar),
    })),
    ...(rom
      ? { rom: { size: hex(rom.size), address: hex(rom.address), ...(rom.pinned ? { pinned: true } : {}) } }
      : {}),
    ...(sriov ? { sriov: { bars: sriov.bars.map(vfBarToJson) } } : {}),
  };
}

/** Says type, prefetchable and pinned only where they are not what they are nearly always. */
const vfBarToJson = (bar: PlannedVfBar) => ({
  index: bar.index,
  ...(bar.type === 'mem64' ? {} : { type: bar.type }),
  ...(bar.prefetchable ? {} : { prefetchable: false }),
  size: hex(bar.size),
  count: bar.count,
  address: hex(bar.address),
  ...(bar.pinned ? { pinned: true } : {}),
  ...resizedToJson(bar),
});

const resizedToJson = ({ resizedFrom }: PlannedBar) =>
  resizedFrom === undefined ? {} : { resizedFrom: hex(resizedFrom) };

const constraintToJson = ({ kind, id, bar, type, base, detail }: Constraint) => ({
  kind,
  ...(id === undefined ? {} : { id }),
  ...(bar === undefined ? {} : { bar }),
  ...(type === undefined ? {} : { type }),
  ...(base === undefined ? {} : { base: hex(base) }),
  detail,
});

/**
 * Reads what {@link planToJson} wrote; `value` is untrusted.
 * @throws Problem `plan-schema`, `plan-range`, naming the path
 */
export function planFromJson(value: unknown): PlanResult {
  const parsed = v.safeParse(planSchema, value, { abortEarly: true });
  if (!parsed.success) {
    const [{ path, message } = { path: [], message: 'not JSON' }] = mistakesOf(parsed.issues);
    throw new Problem('plan-schema', `this is not a plan: ${message}`, {
      hint: 'give a plan that pinbar wrote (pinbar plan --json, pinbar run --plan-out)',
      facts: { path },
    });
  }
  const found = parsed.output;
  if (found.status === 'undecided') return { status: 'undecided', summary: found.summary };
  if (found.status === 'placed') return placedFromJson(found);
  const constraints = found.conflict.constraints.map(({ kind, id, bar, type, base, detail }): Constraint => {
    const given = { id, bar: bar as ConstraintSubject | undefined, type, base };
    const known = Object.fromEntries(Object.entries(given).filter(([, one]) => one !== undefined));
    return { kind, ...known, detail };
  });
  const { summary, minimal } = found.conflict;
  const conflict = { summary, constraints, ...(minimal === undefined ? {} : { minimal }) };
  return {
    status: 'infeasible',
    conflict,
    remedies: found.remedies,
    ...(found.stopped ? { stopped: true } : {}),
  };
}

function placedFromJson(found: PlacedParsed): Plan {
  return {
    status: 'placed',
    ram: found.ram.map(({ base, size }, i) => checked(() => AddressRange.sized(base, size), ['ram', i])),
    hostBridges: found.hostBridges.map(({ id, segment, buses, windows }) => ({
      id,
      segment,
      buses,
      windows: windows.map(({ type, base, size, cpuBase }) => ({ type, base, size, cpuBase: cpuBase ?? base })),
    })),
    bridges: found.bridges.map((bridge, i) => ({
      ...bridge,
      address: parseBdf(bridge.address),
      io: rangeFromJson(bridge.io, ['bridges', i, 'io']),
      memory: rangeFromJson(bridge.memory, ['bridges', i, 'memory']),
      prefetchable: rangeFromJson(bridge.prefetchable, ['bridges', i, 'prefetchable']),
    })),
    functions: found.functions.map(({ id, address, bars, rom, sriov }, i) => {
      bars.forEach((bar, b) => checked(() => AddressRange.sized(bar.address, bar.size), ['functions', i, 'bars', b]));
      return { id, address: parseBdf(address), bars, ...(rom ? { rom } : {}), ...(sriov ? { sriov } : {}) };
    }),
  };
}

const rangeFromJson = (range: { base: bigint; limit: bigint } | null, path: Path): AddressRange | null =>
  range && checked(() => AddressRange.of(range.base, range.limit), path);

function checked(make: () => AddressRange, path: Path): AddressRange {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Problem('plan-range', `this is not a plan: ${path.join('.')}: ${error.message}`, { facts: { path } });
  }
}
