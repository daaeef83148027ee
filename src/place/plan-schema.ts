import * as v from 'valibot';
import { barTypes } from '../machine/model.js';
import { constraintKinds } from './plan.js';

/**
 * A plan as JSON. The schema is the one source of the types, of the checks and of `schema/plan.schema.json`. Keys that it
 * does not know are passed over: a later version may add some.
 */

const hexadecimal = (description: string) =>
  v.pipe(
    v.string(),
    v.regex(
      /^0x[0-9a-f]{1,16}$/,
      (issue) => `${issue.received} is not lower-case hexadecimal of at most 64 bits, such as "0x6b8000000000"`,
    ),
    v.description(description),
    v.transform((text) => BigInt(text)),
  );

const address = hexadecimal('A bus address: what the register holds.');
const size = hexadecimal('A size in bytes.');
const integer = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const bus = integer(0, 0xff);
const name = v.pipe(v.string(), v.nonEmpty(), v.maxLength(256));
const bdf = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{4}:[0-9a-f]{2}:[0-1][0-9a-f]\.[0-7]$/, 'expected an address such as "0000:01:00.0"'),
  v.description('Segment, bus, device and function in hexadecimal.'),
);
const sized = v.object({ base: address, size });
const range = v.pipe(v.object({ base: address, limit: address }), v.description('Both ends included.'));

const resizedFrom = v.optional(
  v.pipe(size, v.description('The size before, of a resizable BAR that is to have another.')),
);

const barEntries = {
  index: integer(0, 5),
  type: v.picklist(barTypes),
  prefetchable: v.boolean(),
  size,
  address,
  pinned: v.boolean(),
  resizedFrom,
};

/** One VF's size; the group takes `size` x `count` from `address`. */
const vfBar = v.object({
  index: integer(0, 5),
  type: v.optional(v.picklist(barTypes), 'mem64'),
  prefetchable: v.optional(v.boolean(), true),
  size,
  count: integer(1, 0xffff),
  address,
  pinned: v.optional(v.boolean(), false),
  resizedFrom,
});

const fn = v.object({
  id: name,
  address: bdf,
  bars: v.pipe(v.array(v.object(barEntries)), v.maxLength(6)),
  rom: v.optional(v.object({ size, address, pinned: v.optional(v.boolean(), false) })),
  sriov: v.optional(v.object({ bars: v.pipe(v.array(vfBar), v.maxLength(6)) })),
});

const bridge = v.object({
  id: name,
  address: bdf,
  primary: bus,
  secondary: bus,
  subordinate: bus,
  io: v.nullable(range),
  memory: v.nullable(range),
  prefetchable: v.nullable(range),
});

const hostBridge = v.object({
  id: name,
  segment: integer(0, 0xffff),
  buses: v.strictTuple([bus, bus]),
  windows: v.array(
    v.object({
      type: v.picklist(barTypes),
      base: address,
      size,
      // Of a memory window that the CPU sees elsewhere.
      cpuBase: v.optional(address),
    }),
  ),
});

const constraint = v.object({
  kind: v.picklist(constraintKinds),
  id: v.optional(v.string()),
  bar: v.optional(
    v.union([
      integer(0, 5),
      v.picklist(['rom', 'io', 'memory', 'prefetchable', 'secondary', 'subordinate', 'reserve']),
      v.pipe(v.string(), v.regex(/^vf[0-5]$/)),
    ]),
  ),
  type: v.optional(v.picklist(barTypes)),
  base: v.optional(address),
  detail: v.string(),
});

const version = v.literal(1, 'this pinbar reads format 1');

/** What a plan and a prediction have in common. */
export const layoutEntries = {
  ram: v.array(sized),
  hostBridges: v.array(hostBridge),
  bridges: v.array(bridge),
  functions: v.array(fn),
};

export { version as formatVersion, size as hexSize };

/** Null: the search did not find out within its limit. */
const unsure = v.pipe(v.nullable(size), v.description('Null: the search did not find out within its limit.'));

const headroom = v.pipe(
  v.object({
    windows: v.array(
      v.object({
        id: name,
        type: v.picklist(barTypes),
        base: address,
        size,
        free: v.pipe(size, v.description('What neither the plan nor RAM or a reserved range takes.')),
        largest: v.pipe(
          size,
          v.description(
            'The largest BAR that fits into what is free as it lies, of ports at most 0x100, of 32-bit memory 0x80000000; 0x0: none.',
          ),
        ),
        least: v.pipe(
          unsure,
          v.description('The least size of the window, from its base, with which there is a plan; in steps of 0x1000.'),
        ),
      }),
    ),
    buses: v.array(v.object({ id: name, used: v.strictTuple([bus, bus]), range: v.strictTuple([bus, bus]) })),
    ports: v.array(
      v.object({
        id: name,
        asIs: v.object({ memory: size, prefetchable: size }),
        grown: v.object({ memory: unsure, prefetchable: unsure }),
      }),
    ),
  }),
  v.description('With --headroom: how much room the plan leaves, and the largest BARs that a port could still take.'),
);

export const planSchema = v.pipe(
  v.variant('status', [
    v.object({
      pinbar: version,
      status: v.literal('placed'),
      ...layoutEntries,
      headroom: v.optional(headroom),
    }),
    v.object({
      pinbar: version,
      status: v.literal('infeasible'),
      conflict: v.object({
        summary: v.string(),
        constraints: v.array(constraint),
        minimal: v.pipe(
          v.optional(v.literal(false)),
          v.description('Given where it was not shown that every constraint is needed.'),
        ),
      }),
      remedies: v.array(v.object({ change: v.string(), verified: v.boolean() })),
      stopped: v.pipe(
        v.optional(v.literal(true)),
        v.description('Given where the time limit ended the search for remedies: there may be more.'),
      ),
    }),
    v.object({ pinbar: version, status: v.literal('undecided'), summary: v.string() }),
  ]),
  v.title('pinbar plan'),
  v.description('Where everything lies, or why there is no valid plan.'),
);

/** What `planToJson` gives: plain JSON, addresses and sizes as lower-case `0x` strings. */
export type PlanJson = v.InferInput<typeof planSchema>;
export type PlanParsed = v.InferOutput<typeof planSchema>;
