import { hex } from '../address/format.js';
import type { Headroom } from './headroom.js';
import type { PlanJson } from './plan-schema.js';

type HeadroomJson = NonNullable<Extract<PlanJson, { status: 'placed' }>['headroom']>;

/** As the plan's JSON has it: sizes as `0x` strings, null where the search did not find out. */
export function headroomToJson({ windows, buses, ports }: Headroom): HeadroomJson {
  const known = (size: bigint | undefined) => (size === undefined ? null : hex(size));
  return {
    windows: windows.map(({ id, type, base, size, free, largest, least }) => ({
      id,
      type,
      base: hex(base),
      size: hex(size),
      free: hex(free),
      largest: hex(largest),
      least: known(least),
    })),
    buses: buses.map(({ id, used, range }) => ({ id, used: [...used], range: [...range] })),
    ports: ports.map(({ id, asIs, grown }) => ({
      id,
      asIs: { memory: hex(asIs.memory), prefetchable: hex(asIs.prefetchable) },
      grown: { memory: known(grown.memory), prefetchable: known(grown.prefetchable) },
    })),
  };
}
