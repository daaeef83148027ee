import { formatBdf, type Bdf } from '../../pci/bdf.js';
import { bdfKey, type ListingKind, type Observation, type SeenFunction, type Source } from '../observation.js';

/** These show every function that the guest has, unless they were asked for some only. */
const lists: ReadonlySet<ListingKind> = new Set<ListingKind>(['lspci', 'sysfs', 'dmesg']);

/** Which functions the listings of one file show, to tell a missing function from one that was not asked for. */
export class Shown {
  readonly functions = new Map<number, SeenFunction>();
  readonly #onBus = new Set<number>();

  constructor(
    readonly file: string,
    observations: readonly Observation[],
  ) {
    for (const { kind, functions } of observations) {
      if (!lists.has(kind)) continue;
      for (const fn of functions) {
        // In the kernel's log a driver's line alone does not show that buses were scanned.
        if (kind === 'dmesg' && fn.vendor === undefined) continue;
        this.functions.set(bdfKey(fn.address), fn);
        this.#onBus.add(onBus(fn.address));
      }
    }
  }

  /** Why the function would be here if the guest had it; undefined where this file does not tell. */
  lacks(
    address: Bdf,
    bridgeAbove: Bdf | undefined,
  ): { readonly detail: string; readonly source: Source | undefined } | undefined {
    if (this.functions.has(bdfKey(address))) return undefined;
    const bridge = bridgeAbove && this.functions.get(bdfKey(bridgeAbove));
    if (bridge && this.functions.size > 1) {
      return {
        detail: `${this.file} shows the bridge above, ${formatBdf(bridge.address)}, and not this function`,
        source: bridge.source,
      };
    }
    if (!this.#onBus.has(onBus(address)) || this.functions.size < 2) return undefined;
    return { detail: `${this.file} shows other functions of its bus, and not this one`, source: undefined };
  }
}

const onBus = ({ segment, bus }: Bdf) => segment * 0x100 + bus;
