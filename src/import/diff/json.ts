import * as v from 'valibot';
import { hex } from '../../address/format.js';
import { formatBdf } from '../../pci/bdf.js';
import { changes, type Difference } from './diff.js';
import type { ShotFunction, ShotResource } from './snapshot.js';

const fn = v.object({
  address: v.pipe(v.string(), v.description('SSSS:BB:DD.F')),
  id: v.optional(v.pipe(v.string(), v.description('In a plan.'))),
});
const place = v.object({
  address: v.pipe(v.nullable(v.string()), v.description('Bus address; null: none, or not known.')),
  size: v.optional(v.string()),
});

/** What `pinbar diff --json` prints. The schema is the one source of the type and of `schema/diff.schema.json`. */
export const differenceSchema = v.pipe(
  v.object({
    pinbar: v.literal(1),
    verdict: v.picklist(['same', 'differs', 'nothing-comparable']),
    functions: v.array(
      v.object({
        a: fn,
        b: fn,
        matchedBy: v.picklist(['id', 'address', 'serial', 'kind', 'order', 'bars']),
        resources: v.array(
          v.object({
            name: v.pipe(v.string(), v.description('bar0 to bar5, rom, vf0 to vf5, io, memory, prefetchable.')),
            change: v.picklist(changes),
            a: v.optional(place),
            b: v.optional(place),
          }),
        ),
      }),
    ),
    vanished: v.pipe(v.array(fn), v.description('Only in A.')),
    appeared: v.pipe(v.array(fn), v.description('Only in B.')),
    groups: v.pipe(
      v.array(
        v.object({
          group: v.number(),
          side: v.picklist(['a', 'b']),
          verdict: v.picklist(['holds', 'differs', 'unknown']),
          functions: v.array(fn),
          absent: v.pipe(v.array(fn), v.description('Of the group, and not on the other side.')),
        }),
      ),
      v.description('Whether the memory BARs of an IOMMU group have the same addresses on both sides.'),
    ),
  }),
  v.title('pinbar difference'),
  v.description('What moved, appeared and vanished between two captures or plans.'),
);

type Json = v.InferOutput<typeof differenceSchema>;

const fnJson = ({ address, id }: ShotFunction) => ({
  address: formatBdf(address),
  ...(id === undefined ? {} : { id }),
});
const placeJson = ({ base, size, assigned }: ShotResource) => ({
  address: assigned && base !== undefined ? hex(base) : null,
  ...(size === undefined ? {} : { size: hex(size) }),
});

export const differenceToJson = ({ verdict, functions, vanished, appeared, groups }: Difference): Json => ({
  pinbar: 1,
  verdict,
  functions: functions.map(({ a, b, how, resources }) => ({
    a: fnJson(a),
    b: fnJson(b),
    matchedBy: how,
    resources: resources.map(({ name, change, a: one, b: other }) => ({
      name: typeof name === 'number' ? `bar${name}` : name,
      change,
      ...(one ? { a: placeJson(one) } : {}),
      ...(other ? { b: placeJson(other) } : {}),
    })),
  })),
  vanished: vanished.map(fnJson),
  appeared: appeared.map(fnJson),
  groups: groups.map(({ group, side, verdict: own, functions: held, absent }) => ({
    group,
    side,
    verdict: own,
    functions: held.map(fnJson),
    absent: absent.map(fnJson),
  })),
});
