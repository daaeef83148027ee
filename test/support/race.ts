import { AddressRange } from '../../src/address/range.js';
import { enumerate } from '../../src/enumerate/enumerate.js';
import type { SeenFunction, Topology } from '../../src/enumerate/topology.js';
import type { Machine } from '../../src/machine/model.js';
import type { ConfigAccess } from '../../src/pci/config-access.js';
import type { EcamWindow } from '../../src/pci/ecam.js';
import { AddressSpace } from '../../src/sim/memory/address-space.js';
import { guestConfig } from '../../src/sim/memory/guest.js';
import { IoreqServers } from '../../src/sim/memory/ioreq.js';
import { bar, bridge, endpoint, machineOf } from '../machines.js';

export const ecam: EcamWindow = { segment: 0, base: 0x40_1000_0000n, firstBus: 0, lastBus: 255 };
export const allOfConfigSpace = AddressRange.sized(ecam.base, 256n << 20n);

/** What a guest may find half of: functions side by side, switches, VFs, bridges of both kinds, 64-bit BARs, ROMs. */
export const topologies: Readonly<Record<string, Machine>> = {
  'one function': machineOf([
    endpoint('dev', '3', [bar(0, 'mem32', 0x4000n), bar(2, 'mem64', 1n << 36n, true)], { rom: { size: 0x1_0000n } }),
  ]),
  'a device of several functions': machineOf(
    [0, 1, 2, 5].map((fn) => endpoint(`dev${fn}`, `4.${fn}`, [bar(0, 'mem64', 0x10_0000n << BigInt(fn), true)])),
  ),
  'a switch': machineOf([
    bridge('rp', '1', 'root-port', [
      bridge('up', '0', 'upstream-port', [
        bridge('down0', '0', 'downstream-port', [endpoint('gpu', '0', [bar(0, 'mem64', 1n << 38n, true)])]),
        bridge('down1', '1', 'downstream-port', [
          endpoint('nic', '0', [bar(0, 'mem32', 0x1000n)], {
            sriov: { totalVfs: 4, firstVfOffset: 8, vfStride: 1, bars: [bar(0, 'mem64', 0x4000n, true)] },
          }),
        ]),
      ]),
    ]),
  ]),
  'old and new side by side': machineOf([
    bridge('bridge', '2', 'pcie-pci-bridge', [endpoint('sound', '5', [bar(0, 'io', 256n)])]),
    endpoint('net', '1f', [bar(0, 'io', 32n), bar(1, 'mem32', 0x1000n)]),
  ]),
};

/** A guest whose config space lies at an address where an IOREQ server may or may not have attached. */
export interface Guest {
  readonly space: AddressSpace;
  readonly servers: IoreqServers;
  readonly config: ConfigAccess;
  /** What is called before each access of the CPU, with its number from 1. */
  before: (access: number) => unknown;
  /** Accesses so far. */
  accesses: number;
}

export function guest({ background }: { readonly background: boolean }): Guest {
  const space = new AddressSpace('xen');
  const servers = new IoreqServers();
  space.add(servers.region());
  if (background) space.addBackground(allOfConfigSpace, ~0n);
  const made: Guest = { space, servers, config: guestConfig(space, [ecam]), before: () => undefined, accesses: 0 };
  space.add({
    name: 'probe of the test',
    range: AddressRange.of(0n, (1n << 64n) - 1n),
    priority: 1000,
    answer: () => {
      const waited = made.before(++made.accesses);
      return waited instanceof Promise ? waited.then(() => null) : null;
    },
  });
  return made;
}

export const hosts = [{ id: 'pcie.0', segment: 0, buses: [0, 255] }] as const;
export const walk = ({ config }: Guest): Promise<Topology> => enumerate(config, hosts);

/**
 * What a walk saw of each function, by its way down the slots. Left out is what depends on what else was seen, and on walks before:
 * bus numbers, and bridge windows, which a walk closes.
 */
export function seen(topology: Topology): Map<string, string> {
  const found = new Map<string, string>();
  const exact = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
  const add = (functions: readonly SeenFunction[], path: string) => {
    for (const fn of functions) {
      const { at, config, bridge: port, ...rest } = fn;
      const { functions: behind = [], kind, io, prefetchable, hotplug, reservation, express } = port ?? {};
      const own = { kind, io, prefetchable, hotplug, reservation, express };
      const here = `${path}/${at.device.toString(16)}.${at.fn}`;
      const bytes = config.runs().map((run) => [run.start, run.bytes.length]);
      found.set(here, JSON.stringify({ ...rest, bytes, own }, exact));
      add(behind, here);
    }
  };
  add(
    topology.hosts.flatMap(({ functions }) => functions),
    '',
  );
  return found;
}

/** The functions that must be seen together: all of a device, and all that lies behind a function of it. */
export const deviceOf = (path: string): string => path.split('/')[1]!.split('.')[0]!;
