import { bdfKey } from '../../import/observation.js';
import type { Difference } from '../finding.js';
import type { LoggedBoot, LoggedFunction } from './logged-boot.js';

/** Which ports are taken to be hot-plug capable, by {@link bdfKey}, and what a model then has other than the log. */
export interface Attempt {
  readonly hotplug: ReadonlySet<number>;
  readonly differences: readonly Difference[];
}

/**
 * Ports of which the log does not show whether they are hot-plug capable: starting with each of the guesses, the one that is
 * changed is kept if fewer things differ then. The first guess that nothing differs with is the result. `work`: predictions,
 * times the boot's functions.
 */
export function closest<T extends Attempt>(
  boot: LoggedBoot,
  open: readonly LoggedFunction[],
  guesses: readonly (readonly LoggedFunction[])[],
  work: number,
  attempt: (hotplug: ReadonlySet<number>) => T | undefined,
): T | undefined {
  let left = Math.max(guesses.length, Math.floor(work / Math.max(1, boot.functions.size)));
  let best: T | undefined;
  const take = (hotplug: ReadonlySet<number>) => {
    left--;
    const next = attempt(hotplug);
    if (!next || (best && next.differences.length >= best.differences.length)) return false;
    best = next;
    return true;
  };
  for (const guess of guesses) {
    if (best?.differences.length === 0 || left <= 0) break;
    take(new Set(guess.map(({ address }) => bdfKey(address))));
  }
  for (let better = true; better && left > 0;) {
    better = false;
    for (const { address } of open) {
      if (!best || best.differences.length === 0 || left <= 0) return best;
      const other = new Set(best.hotplug);
      if (!other.delete(bdfKey(address))) other.add(bdfKey(address));
      better = take(other) || better;
    }
  }
  return best;
}
