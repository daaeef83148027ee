import { join } from 'node:path';
import type { CapturedFunction } from '../import/capture/model.js';
import { compareBdf, formatBdf, type Bdf } from '../pci/bdf.js';
import { Exit, Problem } from '../problem/problem.js';
import { withAdditions, type Addition } from './additions.js';
import { TwinDevice } from './device.js';
import { PrivateFolder } from './folder.js';
import { twinFunction, type TwinFunction } from './function.js';
import { LateDevices, type LateRule } from './late.js';
import { PageBudget } from './region.js';
import { rulesFor, type RegionRule } from './rules.js';
import { TwinServer } from './server.js';

export interface ServeOptions {
  readonly rules: readonly RegionRule[];
  readonly late: readonly LateRule[];
  readonly additions: readonly Addition[];
  /** Bytes that all of them together keep of what is written. */
  readonly memory: number;
  readonly notice: (text: string) => void;
}

/** A function that is served. */
export interface Twin {
  readonly fn: TwinFunction;
  readonly device: TwinDevice;
  /** The path of its socket. */
  readonly socket: string;
}

export interface Twins {
  readonly list: readonly Twin[];
  readonly late: LateDevices;
  /** Ends every connection and removes the sockets. */
  readonly close: () => Promise<void>;
}

/** Bytes of a socket's path, less the NUL. unix(7). */
const MAX_PATH = 107;

/**
 * Serves each function on a socket of its own, in a folder that nobody else may enter.
 * @throws Problem `twin-bridge`, `twin-incomplete`, `twin-add`, `twin-unknown`, `twin-rule`, `twin-absent`, `twin-folder`, `twin-socket`; nothing is left then
 */
export async function serveTwins(functions: readonly CapturedFunction[], options: ServeOptions): Promise<Twins> {
  const { rules, additions, memory, notice } = options;
  const budget = new PageBudget(memory, () =>
    notice(`guests have written ${memory} bytes to the twins: what they write to other pages is lost (--memory)`),
  );
  const made = functions.map((fn) => {
    const own = additions.filter(({ at }) => sameFunction(at, fn.address));
    return withAdditions(twinFunction(fn, notice), own, addressesOf(fn));
  });
  for (const { at } of additions) requireServed(made, at);
  for (const rule of rules) requireRegion(made, rule);
  const folder = await PrivateFolder.make();
  const servers: TwinServer[] = [];
  let late: LateDevices | undefined;
  const close = async () => {
    late?.end();
    await Promise.all(servers.map((server) => server.close()));
    await folder.remove();
  };
  try {
    const list: Twin[] = [];
    for (const fn of made) {
      const device = new TwinDevice(fn, rulesFor(rules, fn.address), budget);
      const socket = join(folder.path, formatBdf(fn.address).replaceAll(':', '-'));
      if (Buffer.byteLength(socket) > MAX_PATH) {
        throw new Problem('twin-socket', `${socket} is too long for a socket’s path`, {
          exit: Exit.outside,
          hint: 'set TMPDIR to a shorter path',
        });
      }
      servers.push(await TwinServer.listen(device, socket, notice));
      list.push({ fn, device, socket });
    }
    late = new LateDevices(
      options.late,
      list.map(({ device }) => device),
      notice,
    );
    return { list, late, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const sameFunction = (a: Bdf, b: Bdf) => compareBdf(a, b) === 0;

/** Where the BARs are on the host, as the bus has it. */
const addressesOf = ({ bars }: CapturedFunction): ReadonlyMap<number, bigint> =>
  new Map(
    bars.flatMap(({ index, busAddress, address }) => {
      const at = busAddress ?? address;
      return index === undefined || at === undefined ? [] : [[index, at] as const];
    }),
  );

/** @throws Problem `twin-unknown` */
export function requireServed(functions: readonly TwinFunction[], at: Bdf): TwinFunction {
  const fn = functions.find(({ address }) => sameFunction(address, at));
  if (fn) return fn;
  throw new Problem('twin-unknown', `${formatBdf(at)} is not served`, {
    hint: `served are ${functions.map(({ address }) => formatBdf(address)).join(', ')}`,
  });
}

function requireRegion(functions: readonly TwinFunction[], { at, region }: RegionRule): void {
  const fn = requireServed(functions, at);
  if (region === 'rom' ? fn.rom !== undefined : fn.bars.some(({ index }) => index === region)) return;
  const has = [...fn.bars.map(({ index }) => `bar${index}`), ...(fn.rom === undefined ? [] : ['rom'])];
  throw new Problem('twin-rule', `${formatBdf(at)} has no ${region === 'rom' ? 'ROM' : `BAR ${region}`}`, {
    hint: has.length > 0 ? `it has ${has.join(', ')}` : 'it has none at all',
  });
}
