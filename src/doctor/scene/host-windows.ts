import { AddressRange } from '../../address/range.js';
import { FOUR_GIB } from '../../address/kinds.js';
import type { LogLine } from '../../import/log/line.js';
import type { HostFact, RootBus, WindowFact } from '../../import/log/window-line.js';
import type { Evidence } from '../evidence.js';

/** A host bridge's window, from whichever line shows it best. */
export interface HostWindow {
  /** Undefined where the log does not say which segment the controller has. */
  readonly segment: number | undefined;
  readonly bus: number;
  readonly space: 'io' | 'memory';
  /** CPU addresses. */
  readonly range: AddressRange;
  /** Bus addresses: what BARs hold. */
  readonly bars: AddressRange;
  readonly prefetchable: boolean;
  /** It lies below 4 GiB on the bus, all of it or a part. */
  readonly low: boolean;
  readonly high: boolean;
  readonly file: string;
  readonly boot: number;
  /** `ranges`: a device tree describes it. */
  readonly from: WindowFact['from'];
  readonly line: LogLine;
}

/** Legacy ranges that the firmware lists beside the windows that devices get: VGA, option ROMs. */
const legacyEnd = 0x10_0000n;

/** Windows for memory and ports; legacy ranges below 1 MiB are left out, `ranges` lines where `root bus resource` lines are there. */
export function hostWindowsOf(evidence: Evidence): HostWindow[] {
  const facts = evidence.hosts.filter((fact): fact is WindowFact => fact.kind === 'root-window');
  const roots = evidence.hosts.filter((fact): fact is RootBus => fact.kind === 'root-bus');
  const segments = new Set(evidence.resources.map(({ address }) => address.segment));
  const [only] = segments.size === 1 ? segments : [undefined];
  const windows: HostWindow[] = [];
  for (const fact of facts) {
    const root =
      fact.controller === undefined ? undefined : roots.find(({ controller }) => controller === fact.controller);
    const controllers = new Set(facts.filter(({ from }) => from === 'ranges').map(({ controller }) => controller));
    const segment = fact.segment ?? root?.segment ?? (controllers.size <= 1 ? only : undefined);
    const bars = busRange(fact);
    if (!bars || (fact.space === 'memory' && fact.range.limit < legacyEnd)) continue;
    windows.push({
      segment,
      bus: fact.bus ?? root?.bus ?? 0,
      space: fact.space,
      range: fact.range,
      bars,
      prefetchable: fact.prefetchable,
      low: bars.base < FOUR_GIB,
      high: bars.limit >= FOUR_GIB,
      file: fact.line.source.file,
      boot: fact.line.boot,
      from: fact.from,
      line: fact.line,
    });
  }
  const isRepeated = (window: HostWindow) =>
    window.from === 'ranges' &&
    windows.some(
      (other) => other.from === 'root' && other.space === window.space && other.range.overlaps(window.range),
    );
  return windows.filter((window) => !isRepeated(window));
}

function busRange({ range, busBase }: WindowFact): AddressRange | undefined {
  const limit = busBase + range.size - 1n;
  return limit >= 1n << 64n ? undefined : AddressRange.of(busBase, limit);
}

/**
 * Windows that are above a function: those of its segment, and of several root buses in it the nearest below its bus
 * number. Windows from the same boot are better than those from another file.
 */
export function windowsAbove(
  windows: readonly HostWindow[],
  at: {
    readonly address: { readonly segment: number; readonly bus: number };
    readonly file: string;
    readonly boot: number;
  },
): HostWindow[] {
  const { segment, bus } = at.address;
  const here = windows.filter((window) => window.segment === undefined || window.segment === segment);
  const same = here.filter((window) => window.file === at.file && window.boot === at.boot);
  const chosen = same.some(({ space }) => space === 'memory') ? same : here;
  const root = chosen.reduce(
    (nearest, window) => (window.bus <= bus && window.bus > nearest ? window.bus : nearest),
    -1,
  );
  return chosen.filter((window) => window.segment === undefined || window.bus === Math.max(root, 0));
}

/** The last bus number below each root bus and the like, for `withdrawn` and e820 facts. */
export const factsOf = <K extends HostFact['kind']>(evidence: Evidence, kind: K) =>
  evidence.hosts.filter((fact): fact is Extract<HostFact, { kind: K }> => fact.kind === kind);
