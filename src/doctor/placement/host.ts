import { formatSize } from '../../address/format.js';
import type { Candidate, Remedy } from '../finding.js';
import { windowsAbove } from '../scene/host-windows.js';
import type { Scene } from '../scene/scene.js';
import { reachOf, type Bottleneck } from './demand.js';
import { compareSizes, type Context } from './host-context.js';
import { judgeHigh } from './host-high.js';
import { judgeLow } from './host-low.js';

/** Judges resources that failed on a host bridge's own bus, or whose way to it is not known. */
export function judgeAtHost(scene: Scene, bottlenecks: readonly Bottleneck[]): Candidate | undefined {
  const main = mainOf(bottlenecks);
  if (!main) return undefined;
  const { top } = main;
  const windows = windowsAbove(scene.windows, top).filter(({ space }) => space === 'memory');
  const failures = bottlenecks.filter((other) => reachOf(scene, other.top) === reachOf(scene, top));
  const context: Context = { scene, main, failures, windows };
  const found = reachOf(scene, top) === 'low' ? judgeLow(context) : judgeHigh(context);
  const bus = windows.length > 0 ? Math.max(...windows.map((window) => window.bus)) : 0;
  return found && bus > 0 && scene.stack.isGuest === true
    ? { ...found, remedies: ofExpander(bus, top.size ?? 0n) }
    : found;
}

/** A guest's second root bus has what firmware found behind it at boot, and no option of the board changes that. */
const ofExpander = (bus: number, need: bigint): Remedy[] => [
  {
    change: `put the device behind a port of pcie.0, or a port behind the pxb-pcie on bus 0x${bus.toString(16)} with mem-reserve= or pref64-reserve= of ${formatSize(need)} and more`,
    where: 'qemu',
    why: 'an expander’s windows hold what firmware placed behind it, and what its ports reserve; pcie.0 has the rest',
  },
];

/** The largest resource that failed; of equal ones the outermost. */
function mainOf(bottlenecks: readonly Bottleneck[]): Bottleneck | undefined {
  return bottlenecks.toSorted((a, b) => compareSizes(b.top.size ?? 0n, a.top.size ?? 0n))[0];
}
