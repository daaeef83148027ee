import type { Size } from '../address/kinds.js';
import type { Bridge } from '../machine/model.js';

/** What firmware is told to keep behind a bridge. Undefined: nothing is said of it. */
export interface FirmwareHints {
  readonly buses: number;
  readonly io: Size | undefined;
  readonly memory: Size | undefined;
  readonly prefetchable: Size | undefined;
  /** The prefetchable room has to lie below 4 GiB. */
  readonly below4G: boolean;
}

/** The bridge's own hints, or what the machine is to keep free, which then is told to firmware as a hint. */
export function hintsOf({ hints, reserve }: Bridge): FirmwareHints {
  if (!hints) {
    const some = (size: Size): Size | undefined => (size > 0n ? size : undefined);
    return {
      buses: reserve.buses,
      io: some(reserve.io),
      memory: some(reserve.memory),
      prefetchable: some(reserve.prefetchable),
      below4G: false,
    };
  }
  const { prefetchable32, prefetchable64 } = hints;
  return {
    buses: hints.buses ?? 0,
    io: hints.io,
    memory: hints.memory,
    prefetchable: prefetchable32 ?? prefetchable64,
    below4G: prefetchable32 !== undefined,
  };
}
