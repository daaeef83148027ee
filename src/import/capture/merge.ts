import { compareBdf } from '../../pci/bdf.js';
import { bdfKey, listingKinds, type Observation } from '../observation.js';
import { Conflicts } from './conflicts.js';
import { hostBridgesOf, namedRoots } from './host-bridges.js';
import { mergeFunction } from './merge-function.js';
import { missingIn, type MissingOptions } from './missing.js';
import type { Capture, CapturedFunction, CapturedGroup, CapturedHost, CaptureSource } from './model.js';
import { withParents } from './parents.js';
import type { Statement } from './statement.js';

/**
 * Puts a capture together from what was read, in any order and number of files. Where listings differ, the one that
 * shows the present state best counts (sysfs before lspci before the kernel's log), and the difference is a conflict. Of
 * a file that shows several boots the last one counts.
 */
export function mergeCapture(given: readonly Observation[], options: MissingOptions = {}): Capture {
  const rank = new Map(listingKinds.map((kind, i) => [kind, i]));
  const observations = lastOfEachKind(given)
    .toReversed()
    .sort((a, b) => (rank.get(a.kind) ?? 0) - (rank.get(b.kind) ?? 0));
  const conflicts = new Conflicts();
  const host = mergeHost(observations, conflicts);
  const functions = withParents(mergeFunctions(observations, conflicts), namedRoots(observations));
  return {
    sources: sourcesOf(observations),
    host,
    hostBridges: hostBridgesOf(observations, functions, host.arch),
    iommuGroups: mergeGroups(observations, functions),
    functions,
    iomem: observations.findLast(({ kind, map }) => kind !== 'ioports' && map)?.map ?? [],
    ioports: observations.findLast(({ kind, map }) => kind === 'ioports' && map)?.map ?? [],
    missing: missingIn(functions, observations, options),
    conflicts: conflicts.list(),
  };
}

/** A listing may stand before a log of a boot as well as after it: of each kind, the last in its file counts. */
function lastOfEachKind(given: readonly Observation[]): Observation[] {
  const last = new Map<string, number>();
  const key = ({ file, kind }: Observation) => `${kind} ${file}`;
  for (const seen of given) {
    const { functions, busWindows, hostWindows, map, groups, host } = seen;
    const tells = functions.length + busWindows.length + hostWindows.length > 0 || map || groups || host;
    if (tells) last.set(key(seen), Math.max(last.get(key(seen)) ?? 0, seen.boot));
  }
  return given.filter((seen) => seen.boot === last.get(key(seen)));
}

function mergeFunctions(observations: readonly Observation[], conflicts: Conflicts): CapturedFunction[] {
  const statements = new Map<number, Statement[]>();
  for (const { kind, functions } of observations) {
    for (const fn of functions) {
      const key = bdfKey(fn.address);
      const known = statements.get(key);
      if (known) known.push({ kind, fn });
      else statements.set(key, [{ kind, fn }]);
    }
  }
  return [...statements.values()]
    .flatMap((own) => mergeFunction(own, conflicts) ?? [])
    .sort((a, b) => compareBdf(a.address, b.address));
}

function mergeHost(observations: readonly Observation[], conflicts: Conflicts): CapturedHost {
  const hosts = observations.flatMap(({ host }) => host ?? []);
  const merged: Record<string, unknown> = {};
  for (const key of ['kernel', 'arch', 'commandLine', 'physicalAddressBits', 'iommus'] as const) {
    const [first, ...others] = hosts.filter((host) => host[key] !== undefined);
    if (!first) continue;
    merged[key] = first[key];
    for (const other of key === 'iommus' ? [] : others) {
      if (other[key] === first[key]) continue;
      const say = (value: unknown) => String(value).slice(0, 200);
      conflicts.add(
        undefined,
        key === 'commandLine' ? 'kernel command line' : key,
        { value: say(first[key]), source: first.source },
        { value: say(other[key]), source: other.source },
      );
    }
  }
  return merged;
}

function mergeGroups(observations: readonly Observation[], functions: readonly CapturedFunction[]): CapturedGroup[] {
  const groups = new Map<number, CapturedGroup>();
  for (const { iommuGroup } of functions) {
    if (iommuGroup !== undefined) groups.set(iommuGroup, { group: iommuGroup, reserved: [] });
  }
  for (const { number, reserved } of observations.flatMap(({ groups: seen = [] }) => seen).reverse()) {
    groups.set(number, { group: number, reserved });
  }
  return [...groups.values()].sort((a, b) => a.group - b.group);
}

function sourcesOf(observations: readonly Observation[]): CaptureSource[] {
  const sources = new Map<string, CaptureSource>();
  for (const { file, kind } of observations) sources.set(`${kind} ${file}`, { name: file, kind });
  return [...sources.values()];
}
