import { mapFunctions } from './functions.js';
import { eachFunction, type Machine, type Reserve } from '../machine/model.js';
import { suggest } from '../problem/nearest.js';
import { Problem } from '../problem/problem.js';

/** Room that a port is to keep. */
export interface ReserveRequest {
  /** A bridge's id, or `all`: every port with a hot-plug slot that is empty. */
  readonly id: string;
  /** What is not there stays as it is. */
  readonly reserve: Partial<Reserve>;
  /** Where it was asked for, for messages: `--reserve rp1=memory:16M`. */
  readonly source: string;
}

const EVERY_EMPTY_PORT = 'all';

/**
 * A machine whose ports keep that room, later requests over earlier ones, and those for one port over those for all.
 * @throws Problem `reserve-unknown-id`, `reserve-no-bridge`, `reserve-no-port`
 */
export function applyReserves(machine: Machine, requests: readonly ReserveRequest[]): Machine {
  if (requests.length === 0) return machine;
  const functions = machine.hostBridges.flatMap((host) => [...eachFunction(host.functions)].map(({ fn }) => fn));
  const empty = functions.filter(({ bridge }) => bridge && bridge.hotplug !== 'none' && bridge.functions.length === 0);
  // A function may be called that, too; then it is meant.
  const isAll = (id: string) => id === EVERY_EMPTY_PORT && !functions.some((fn) => fn.id === id);
  for (const { id, source } of requests) {
    const fn = functions.find((one) => one.id === id);
    if (isAll(id)) {
      if (empty.length > 0) continue;
      throw new Problem('reserve-no-port', `${source}: the machine has no empty port with a hot-plug slot`, {
        hint: 'add one, such as -device pcie-root-port,id=rp1,chassis=1, or name the port whose window is to be larger',
      });
    }
    if (!fn) {
      const bridges = functions.filter(({ bridge }) => bridge).map((one) => one.id);
      throw new Problem('reserve-unknown-id', `${source}: the machine has no PCI function with id ${id}`, {
        hint: suggest(id, bridges, 'bridge'),
        facts: { id },
      });
    }
    if (!fn.bridge) {
      throw new Problem('reserve-no-bridge', `${source}: ${id} is no bridge, so nothing can be plugged in behind it`, {
        hint: 'name the root port or downstream port',
        facts: { id },
      });
    }
  }
  const sorted = [...requests].sort((a, b) => Number(isAll(b.id)) - Number(isAll(a.id)));
  return mapFunctions(machine, (fn) => {
    if (!fn.bridge) return fn;
    const own = sorted.filter(({ id }) => id === fn.id || (isAll(id) && empty.includes(fn)));
    if (own.length === 0) return fn;
    const reserve = own.reduce<Reserve>((all, one) => ({ ...all, ...one.reserve }), fn.bridge.reserve);
    return { ...fn, bridge: { ...fn.bridge, reserve } };
  });
}
