import { MiB } from '../address/kinds.js';
import { boardMapOf } from '../machine/implied.js';
import { Problem } from '../problem/problem.js';
import type { ExportSource } from './exported.js';
import type { PlacedHost } from './layout.js';

/** Where config space of a host bridge's buses lies, CPU addresses. */
export interface ConfigSpace {
  readonly base: bigint;
  readonly size: bigint;
  readonly buses: readonly [number, number];
}

/**
 * Config space of a host bridge: 1 MiB a bus, from where the board or the user says that bus 0 of the segment has it.
 * @throws Problem `export-ecam`
 */
export function configSpaceOf(host: PlacedHost, { machine, options }: ExportSource): ConfigSpace {
  const map = machine ? boardMapOf(machine) : null;
  const { id, segment } = host.planned;
  const base = options.ecam ?? map?.regions.find(({ use }) => use === 'ecam')?.range.base;
  if (base === undefined || segment !== 0) {
    throw new Problem(
      'export-ecam',
      segment === 0
        ? `where config space (ECAM) of host bridge ${id} lies is said by neither plan nor board`
        : `host bridge ${id} is of segment ${segment}, and config space (ECAM) is known of segment 0 alone`,
      {
        hint:
          segment === 0
            ? 'say where bus 0 has it: --ecam 0x4010000000; or --machine FILE with a board that pinbar knows'
            : 'put it in segment 0',
      },
    );
  }
  const buses = host.wanted?.buses ?? host.planned.buses;
  const [first, last] = buses;
  return { base: base + BigInt(first) * MiB, size: BigInt(last - first + 1) * MiB, buses };
}
