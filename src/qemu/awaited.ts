import { formatBdf, type Bdf, type Slot } from '../pci/bdf.js';
import { allOnes, type ConfigAccess, type ConfigOp } from '../pci/config-access.js';
import { type1 } from '../pci/header.js';
import { Exit, Problem } from '../problem/problem.js';
import type { RegisterFile } from '../sim/registers.js';
import type { PinnableMachine } from './machines/machine.js';
import type { Qmp } from './qmp.js';
import type { Connection } from './session.js';

/** A function that is not in the machine yet. Until it is plugged in, these registers stand for it, so that its place is kept. */
export interface AwaitedFunction {
  /** As it will be known to QEMU. */
  readonly id: string;
  /** Its host bridge. */
  readonly host: string;
  /** From the root bus down: the slots of the ports that it lies behind, and its own. */
  readonly path: readonly Slot[];
  readonly registers: RegisterFile;
  /** What `device_add` is to be told. */
  readonly device: Readonly<Record<string, unknown>> & { readonly driver: string };
}

/** Functions that are plugged in while the guest runs. */
export class AwaitedFunctions {
  readonly #waiting: Set<AwaitedFunction>;
  readonly #coming = new Set<Promise<unknown>>();
  #qmp: Qmp | undefined;
  #around: Around = (plugIn) => plugIn();

  constructor(functions: readonly AwaitedFunction[]) {
    this.#waiting = new Set(functions);
  }

  /** The machine with those functions in it that are still awaited. */
  beside(machine: PinnableMachine): PinnableMachine {
    const routes = [...this.#waiting].flatMap((fn) => {
      const host = machine.hosts.find(({ id }) => id === fn.host);
      fn.registers.reset();
      return host ? [{ fn, route: new Route(fn.path, host.segment, host.buses[0]) }] : [];
    });
    const answering = () => routes.filter(({ fn }) => this.#waiting.has(fn));
    return {
      ...machine,
      access: accessBeside(machine.access, answering),
      reopen: async () => {
        await this.settled();
        for (const { fn, route } of routes) {
          route.reset();
          fn.registers.reset();
        }
        await machine.reopen();
      },
      awaited: () => new Map(answering().flatMap(({ fn, route }) => (route.at ? [[formatBdf(route.at), fn.id]] : []))),
    };
  }

  /**
   * The QEMU that they will be plugged in to.
   * @throws Problem `qemu-no-device`, exit 3, where it does not know what they are
   */
  async use({ qmp, version }: Pick<Connection, 'qmp' | 'version'>): Promise<void> {
    this.#qmp = qmp;
    for (const driver of new Set([...this.#waiting].map(({ device }) => device.driver))) {
      try {
        await qmp.execute('device-list-properties', { typename: driver });
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'qmp-error') throw error;
        throw new Problem('qemu-no-device', `this is QEMU ${version.text}, which has no ${driver} to be plugged in`, {
          exit: Exit.outside,
          ...(driver === 'vfio-user-pci' ? { hint: 'it came with QEMU 10.1' } : {}),
        });
      }
    }
  }

  /** What is done around plugging in, with the ids of what was plugged in once it is there. */
  programBy(around: Around): void {
    this.#around = around;
  }

  /**
   * Plugs functions in, those of one device in such an order that function 0 is the last: with it their port tells the guest.
   * @throws Problem `qmp-error`, `qmp-lost`, `register-not-kept`
   */
  async plugIn(ids: readonly string[]): Promise<void> {
    const functions = [...this.#waiting].filter(({ id }) => ids.includes(id));
    const qmp = this.#qmp;
    if (functions.length === 0 || !qmp) return;
    functions.sort((a, b) => (b.path.at(-1)?.fn ?? 0) - (a.path.at(-1)?.fn ?? 0));
    const coming = this.#around(async () => {
      for (const fn of functions) {
        await qmp.execute('device_add', fn.device);
        this.#waiting.delete(fn);
      }
      return functions.map(({ id }) => id);
    });
    this.#coming.add(coming);
    try {
      await coming;
    } finally {
      this.#coming.delete(coming);
    }
  }

  /** Resolves when nothing is being plugged in. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#coming);
  }
}

/** Does what plugs functions in, and resolves when all is done that goes with it. */
type Around = (plugIn: () => Promise<readonly string[]>) => Promise<unknown>;

/** What of an awaited function matters for routing. */
interface Answering {
  readonly fn: Pick<AwaitedFunction, 'registers'>;
  readonly route: Route;
}

/** Config space in which these functions answer where their ports' bus numbers lead. All else is carried out as it comes, in one batch. */
function accessBeside(access: ConfigAccess, answering: () => readonly Answering[]): ConfigAccess {
  return {
    source: access.source,
    writable: access.writable,
    batch: async (ops) => {
      const routes = answering();
      const sent: ConfigOp[] = [];
      const own: (number | undefined)[] = [];
      for (const op of ops) {
        if (op.kind === 'write') for (const { route } of routes) route.see(op);
        const one = routes.find(({ route }) => route.at && same(route.at, op.at));
        if (!one) {
          own.push(undefined);
          sent.push(op);
        } else if (op.kind === 'read') own.push(one.fn.registers.read(op.register, op.width));
        else {
          one.fn.registers.write(op.register, op.width, op.value);
          own.push(0);
        }
      }
      const values = sent.length > 0 ? await access.batch(sent) : [];
      let next = 0;
      return own.map((value, i) => value ?? values[next++] ?? allOnes(ops[i]?.width ?? 4));
    },
  };
}

const SECONDARY = type1.secondaryBus.offset;

/** Where a function is, followed by the bus numbers that are written into the ports above it. */
export class Route {
  readonly #secondary: number[];

  constructor(
    private readonly path: readonly Slot[],
    private readonly segment: number,
    private readonly rootBus: number,
  ) {
    this.#secondary = path.slice(1).map(() => 0);
  }

  /** Undefined while a port above has no bus number. */
  get at(): Bdf | undefined {
    return this.#address(this.path.length - 1);
  }

  /** As after a reset. */
  reset(): void {
    this.#secondary.fill(0);
  }

  see(op: ConfigOp & { readonly kind: 'write' }): void {
    if (op.register > SECONDARY || op.register + op.width <= SECONDARY) return;
    const port = this.#secondary.findIndex((_, i) => {
      const at = this.#address(i);
      return at !== undefined && same(at, op.at);
    });
    if (port >= 0) this.#secondary[port] = (op.value >>> (8 * (SECONDARY - op.register))) & 0xff;
  }

  #address(i: number): Bdf | undefined {
    const slot = this.path[i];
    const bus = i === 0 ? this.rootBus : this.#secondary[i - 1];
    // A port without a number leads nowhere, and so do those behind it.
    if (!slot || bus === undefined || (i > 0 && (bus === 0 || !this.#address(i - 1)))) return undefined;
    return { segment: this.segment, bus, ...slot };
  }
}

const same = (a: Bdf, b: Bdf): boolean =>
  a.bus === b.bus && a.device === b.device && a.fn === b.fn && a.segment === b.segment;
