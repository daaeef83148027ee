import { hex } from '../../address/format.js';
import type { Plan, PlannedHostBridge } from '../../place/plan.js';
import type { Numbers, SeenHostWindow, Space } from '../observation.js';

/** A seen number as a bus address. `unsure`: why it may be another one; a difference then proves nothing. */
export interface Translated {
  readonly address: bigint;
  readonly unsure?: string;
}

/**
 * Turns the kernel's numbers into bus addresses. Memory: the kernel counts CPU addresses, and a host bridge's window says
 * where its bus addresses begin. I/O: on arm64 and riscv64 the kernel numbers ports itself, from 0, window after window
 * (lib/logic_pio.c); on x86 they are the bus addresses. The kernel's own `root bus resource` lines settle both; without
 * them the plan's windows are used.
 */
export class BusAddresses {
  readonly #ioHosts: readonly PlannedHostBridge[];

  constructor(
    plan: Plan,
    readonly windows: readonly SeenHostWindow[],
  ) {
    this.#ioHosts = plan.hostBridges.filter((host) => host.windows.some((window) => window.type === 'io'));
  }

  translate(seen: bigint, space: Space, numbers: Numbers, host: PlannedHostBridge | undefined): Translated {
    if (numbers === 'bus') return { address: seen };
    const shown = this.windows.find(
      (window) => window.space === space && window.address <= seen && seen < window.address + window.size,
    );
    if (shown) return { address: seen - shown.address + shown.busBase };
    return space === 'io' ? this.#port(seen, host) : this.#memory(seen, host);
  }

  #port(seen: bigint, host: PlannedHostBridge | undefined): Translated {
    const [only, ...others] = this.#ioHosts;
    const lowest = host?.windows.find((window) => window.type === 'io' && window.base === 0n);
    if (only === undefined || (others.length === 0 && lowest)) return { address: seen };
    const why =
      others.length > 0
        ? `${this.#ioHosts.length} host bridges have I/O windows, and kernels number the ports of all of them in one row`
        : 'the I/O window does not begin at port 0, and some kernels number its ports from 0';
    return { address: seen, unsure: `${why}: the kernel's "root bus resource" lines would tell` };
  }

  #memory(seen: bigint, host: PlannedHostBridge | undefined): Translated {
    const windows = host?.windows.filter((window) => window.type !== 'io') ?? [];
    const window = windows.find(({ cpuBase, size }) => cpuBase <= seen && seen < cpuBase + size);
    if (window) return { address: seen - window.cpuBase + window.base };
    const translated = windows.find((candidate) => (candidate.base as bigint) !== (candidate.cpuBase as bigint));
    if (!translated) return { address: seen };
    return {
      address: seen,
      unsure: `${hex(seen)} lies in no window of ${host?.id ?? 'the host bridge'}, and CPU and bus addresses differ there`,
    };
  }
}
