import type { Machine, MachineFunction } from '../../src/machine/model.js';

/* Bus numbers of one host bridge by trying them all, and machines that are about nothing else. */

interface Node {
  readonly fn: MachineFunction;
  readonly children: readonly Node[];
}

/** The machine without anything that needs addresses. */
export function busesOnly(machine: Machine): Machine {
  const bare = (list: readonly MachineFunction[]): MachineFunction[] =>
    list.map(({ id, slot, sriov, bridge }) => ({
      id,
      slot,
      bars: [],
      ...(sriov ? { sriov: { ...sriov, bars: [] } } : {}),
      ...(bridge
        ? {
            bridge: {
              ...bridge,
              reserve: { buses: bridge.reserve.buses, io: 0n, memory: 0n, prefetchable: 0n },
              functions: bare(bridge.functions),
            },
          }
        : {}),
    }));
  return { ...machine, hostBridges: machine.hostBridges.map((host) => ({ ...host, functions: bare(host.functions) })) };
}

/** Whether the only host bridge's buses can be numbered. */
export function hasNumbering(machine: Machine): boolean {
  const host = machine.hostBridges[0]!;
  const tree = (list: readonly MachineFunction[]): Node[] =>
    list.filter((fn) => fn.bridge).map((fn) => ({ fn, children: tree(fn.bridge!.functions) }));
  const pinned = (list: readonly MachineFunction[]): boolean =>
    list.some(
      ({ bridge }) =>
        bridge &&
        (bridge.pin.secondary !== undefined || bridge.pin.subordinate !== undefined || pinned(bridge.functions)),
    );
  return fits(tree(host.functions), host.functions, host.buses[0], host.buses[1], 0, !pinned(host.functions));
}

/** Whether what sits on `bus` can be numbered from the next number to `last`, with `reserve` numbers free in one piece. */
function fits(
  bridges: readonly Node[],
  functions: readonly MachineFunction[],
  bus: number,
  last: number,
  reserve: number,
  inOrder: boolean,
): boolean {
  const taken = new Set<number>();
  for (const { slot, sriov } of functions) {
    for (let n = 0; n < (sriov?.totalVfs ?? 0); n++) {
      const own = bus + ((slot.device * 8 + slot.fn + sriov!.firstVfOffset + n * sriov!.vfStride) >> 8);
      if (own > last) return false;
      if (own > bus) taken.add(own);
    }
  }
  const put = (i: number, least: number): boolean => {
    const node = bridges[i];
    if (!node) {
      let run = 0;
      let longest = 0;
      for (let number = bus + 1; number <= last; number++) {
        run = taken.has(number) ? 0 : run + 1;
        longest = Math.max(longest, run);
      }
      return longest >= reserve;
    }
    const { pin, reserve: room, functions: below } = node.fn.bridge!;
    for (let secondary = inOrder ? least : bus + 1; secondary <= last; secondary++) {
      if (pin.secondary !== undefined && pin.secondary !== secondary) continue;
      for (let subordinate = secondary; subordinate <= last; subordinate++) {
        if (taken.has(subordinate)) break;
        if (pin.subordinate !== undefined && pin.subordinate !== subordinate) continue;
        if (!fits(node.children, below, secondary, subordinate, room.buses, inOrder)) continue;
        for (let number = secondary; number <= subordinate; number++) taken.add(number);
        const good = put(i + 1, subordinate + 1);
        for (let number = secondary; number <= subordinate; number++) taken.delete(number);
        if (good) return true;
      }
    }
    return false;
  };
  return put(0, bus + 1);
}
