import type { Machine, MachineFunction } from '../machine/model.js';
import type { Slot } from '../pci/bdf.js';
import { Problem } from '../problem/problem.js';
import type { RegisterFile } from '../sim/registers.js';
import type { LateRule } from './late.js';
import { registersInQemu } from './passed-on.js';
import { propertiesOf, twinDevice } from './qemu-arguments.js';
import type { Twin } from './serve.js';

/** A served function of a machine's, with what is said of its appearance. */
export interface LateTwin {
  readonly twin: Twin;
  /** Undefined: it is there from the beginning. */
  readonly rule: LateRule | undefined;
}

/** A served function that is plugged in to its port. */
export interface PluggedTwin {
  readonly id: string;
  readonly host: string;
  /** Slots from the root bus down, its own the last. */
  readonly path: readonly Slot[];
  readonly registers: RegisterFile;
  /** For QEMU's `device_add`. */
  readonly device: ReturnType<typeof twinDevice>;
}

/**
 * The functions that are plugged in.
 * @param twins by id
 * @throws Problem `twin-hotplug` where QEMU or a guest could not do it
 */
export function pluggedTwins(machine: Machine, twins: ReadonlyMap<string, LateTwin>): PluggedTwin[] {
  return machine.hostBridges.flatMap((host) => {
    const found: PluggedTwin[] = [];
    const visit = (siblings: readonly MachineFunction[], above: readonly MachineFunction[]): void => {
      for (const fn of siblings) {
        if (fn.bridge) visit(fn.bridge.functions, [...above, fn]);
        const late = twins.get(fn.id);
        if (!late?.rule?.hotplug) continue;
        const port = requirePort(fn, above.at(-1), host.id);
        requireTogether(fn, siblings, twins);
        const properties = propertiesOf(fn, port.id, siblings);
        found.push({
          ...{ id: fn.id, host: host.id, path: [...above, fn].map(({ slot }) => slot) },
          registers: registersInQemu(late.twin.fn, 'multifunction' in properties),
          device: twinDevice(late.twin.socket, properties),
        });
      }
    };
    visit(host.functions, []);
    return found;
  });
}

const silently = 'leave ,hotplug out: it then appears without a word, and a rescan finds it';

/** PCI Express Base 6.0 §6.7: only the ports of a root complex and of a switch that lead down have slots. */
function requirePort(fn: MachineFunction, port: MachineFunction | undefined, root: string): MachineFunction {
  if (!port) {
    throw new Problem(
      'twin-hotplug',
      `${fn.id} cannot be plugged in: it lies on the root bus ${root}, which has no slots`,
      {
        hint: silently,
      },
    );
  }
  const kind = port.bridge?.kind;
  if (kind === 'root-port' || kind === 'downstream-port') return port;
  throw new Problem(
    'twin-hotplug',
    `${fn.id} cannot be plugged in: ${port.id} above it is a ${kind ?? 'function'}, and pinbar plugs in to root ports and downstream ports alone`,
    { hint: silently },
  );
}

/** What is in a slot comes as one. */
function requireTogether(
  fn: MachineFunction,
  siblings: readonly MachineFunction[],
  twins: ReadonlyMap<string, LateTwin>,
) {
  const after = twins.get(fn.id)?.rule?.after;
  const other = siblings.find(({ id, slot }) => {
    const rule = twins.get(id)?.rule;
    return slot.device === fn.slot.device && !(rule?.hotplug && rule.after === after);
  });
  if (!other) return;
  throw new Problem(
    'twin-hotplug',
    `${fn.id} and ${other.id} are functions of one device, which is plugged in as a whole`,
    {
      hint: 'give --absent for each of its functions, with the same @SECONDS and ,hotplug',
    },
  );
}
