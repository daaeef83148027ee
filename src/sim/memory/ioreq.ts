import { ADDRESS_SPACE } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import { deviceFunction, formatBdf, type Bdf } from '../../pci/bdf.js';
import type { ConfigOp } from '../../pci/config-access.js';
import { Problem } from '../../problem/problem.js';
import type { MemoryAccess } from './access.js';
import { priority, type Answer, type MemoryRegion } from './address-space.js';
import type { ConfigResponder } from './ecam-region.js';

/** What a server is asked: an access to memory, or to config space of a function. */
export type IoreqRequest =
  { readonly space: 'memory'; readonly access: MemoryAccess } | { readonly space: 'config'; readonly op: ConfigOp };

/** Answers a server's requests, one after the other or side by side; 0 for a write. Never answering is allowed. */
export type IoreqHandler = (request: IoreqRequest) => Promise<bigint>;

/** xen/include/xen/sched.h and ioreq.h. */
export const MAX_SERVERS = 8;
export const MAX_RANGES = 256;

/** Claims of one kind: addresses, or functions by their number as DMOP_PCI_SBDF has it. */
type ClaimKind = 'memory' | 'config';

const sbdf = (at: Bdf): bigint => BigInt(at.segment * 0x1_0000 + at.bus * 0x100 + deviceFunction(at));

/** One attached server. It is asked nothing until it is enabled; all that it has claimed by then is its own from one access to the next. */
export class IoreqServer {
  #claims: Record<ClaimKind, RangeSet> = { memory: RangeSet.empty, config: RangeSet.empty };
  #enabled = false;
  #destroyed = false;
  /** What ends the accesses that wait. */
  readonly #waiting = new Set<() => void>();

  constructor(
    readonly name: string,
    private readonly handler: IoreqHandler,
    private readonly destroyed: () => void,
  ) {}

  /** Claims addresses: an access all of whose bytes lie in claimed ones. @throws Problem `ioreq-overlap`, `ioreq-limit`, `ioreq-gone` */
  claimMemory(range: AddressRange): void {
    this.#claim('memory', range, range.toString());
  }

  /** Claims config space of a function, whatever bridges route there. @throws Problem `ioreq-overlap`, `ioreq-limit`, `ioreq-gone` */
  claimFunction(at: Bdf): void {
    this.#claim('config', AddressRange.sized(sbdf(at), 1n), formatBdf(at));
  }

  /** Gives up addresses, which have to be claimed ones. @throws Problem `ioreq-unclaimed`, `ioreq-gone` */
  releaseMemory(range: AddressRange): void {
    this.#release('memory', range, range.toString());
  }

  /** @throws Problem `ioreq-unclaimed`, `ioreq-gone` */
  releaseFunction(at: Bdf): void {
    this.#release('config', AddressRange.sized(sbdf(at), 1n), formatBdf(at));
  }

  /** From the next access on it is asked. @throws Problem `ioreq-gone` */
  enable(): void {
    this.#alive();
    this.#enabled = true;
  }

  /** From the next access on it is not asked; accesses that wait still get their answer. */
  disable(): void {
    this.#enabled = false;
  }

  /** Gives up every claim. Accesses that wait go to what lies below. Once is enough. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#enabled = false;
    this.#claims = { memory: RangeSet.empty, config: RangeSet.empty };
    this.destroyed();
    for (const end of this.#waiting) end();
  }

  /** Whether it is to be asked about `first` to `last`, both included. */
  claims(kind: ClaimKind, first: bigint, last: bigint): boolean {
    const claimed = this.#enabled ? this.#claims[kind].find(first) : undefined;
    return claimed !== undefined && last <= claimed.limit;
  }

  /** Null where it is destroyed before it has answered; a handler that fails destroys it. */
  ask(request: IoreqRequest): Promise<Answer | null> {
    if (this.#destroyed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const end = (answer: Answer | null) => {
        this.#waiting.delete(gone);
        resolve(answer);
      };
      const gone = () => end(null);
      this.#waiting.add(gone);
      this.handler(request).then(
        (value) => end({ value, by: this.name }),
        () => {
          this.destroy();
          end(null);
        },
      );
    });
  }

  #alive(): void {
    if (this.#destroyed) throw new Problem('ioreq-gone', `IOREQ server ${this.name} is detached`);
  }

  #claim(kind: ClaimKind, range: AddressRange, what: string): void {
    this.#alive();
    const claimed = this.#claims[kind];
    if (claimed.overlaps(range)) {
      throw new Problem('ioreq-overlap', `IOREQ server ${this.name} has claimed some of ${what} before`);
    }
    const joined = claimed.union([range]);
    if (joined.ranges.length > MAX_RANGES) {
      throw new Problem('ioreq-limit', `IOREQ server ${this.name} claims more than ${MAX_RANGES} ranges`);
    }
    this.#claims[kind] = joined;
  }

  #release(kind: ClaimKind, range: AddressRange, what: string): void {
    this.#alive();
    const claimed = this.#claims[kind];
    if (!claimed.covers(range)) {
      throw new Problem('ioreq-unclaimed', `IOREQ server ${this.name} has not claimed ${what}, or not all of it`);
    }
    this.#claims[kind] = claimed.subtract([range]);
  }
}

/**
 * The IOREQ servers of a machine, after Xen (xen/common/ioreq.c): a server is made, claims what is its own, and is enabled; then an
 * access that lies whole in claimed addresses waits for its answer. Where two claim the same, the one with the higher number is
 * asked, which is the one made later unless a lower number had become free.
 */
export class IoreqServers {
  readonly #servers = new Array<IoreqServer | null>(MAX_SERVERS).fill(null);

  /** @throws Problem `ioreq-limit` */
  create(name: string, handler: IoreqHandler): IoreqServer {
    const slot = this.#servers.indexOf(null);
    if (slot < 0) throw new Problem('ioreq-limit', `there are ${MAX_SERVERS} IOREQ servers, and no more can attach`);
    const server = new IoreqServer(name, handler, () => (this.#servers[slot] = null));
    this.#servers[slot] = server;
    return server;
  }

  /** Every address that a server claims, as a region: below the machine's own devices, above any background. */
  region(): MemoryRegion {
    return {
      name: 'IOREQ servers',
      range: AddressRange.of(0n, ADDRESS_SPACE - 1n),
      priority: priority.ioreq,
      answer: (access) => {
        const last = access.address + BigInt(access.width - 1);
        return this.#ask('memory', access.address, last, { space: 'memory', access });
      },
    };
  }

  /**
   * Functions that servers claim, for an ECAM region. Xen has this for the config ports of x86; on Arm a server claims the
   * addresses of config space (xen/arch/arm/ioreq.c, arch_ioreq_server_get_type_addr).
   */
  readonly config: ConfigResponder = (op) => this.#ask('config', sbdf(op.at), sbdf(op.at), { space: 'config', op });

  #ask(kind: ClaimKind, first: bigint, last: bigint, request: IoreqRequest): Promise<Answer | null> | null {
    const asked = this.#servers.filter((server) => server?.claims(kind, first, last)).reverse();
    if (asked.length === 0) return null;
    return (async () => {
      for (const server of asked) {
        const answer = await server?.ask(request);
        if (answer) return answer;
      }
      return null;
    })();
  }
}
