import type { Candidate } from '../finding.js';
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
  return reachOf(scene, top) === 'low' ? judgeLow(context) : judgeHigh(context);
}

/** The largest resource that failed; of equal ones the outermost. */
function mainOf(bottlenecks: readonly Bottleneck[]): Bottleneck | undefined {
  return bottlenecks.toSorted((a, b) => compareSizes(b.top.size ?? 0n, a.top.size ?? 0n))[0];
}
