import { ADDRESS_SPACE } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import type { XenGuest } from '../devicetree/xen.js';
import type { HostToScan } from '../enumerate/topology.js';
import type { Machine } from '../machine/model.js';
import type { ConfigAccess } from '../pci/config-access.js';
import type { EcamWindow } from '../pci/ecam.js';
import { Problem } from '../problem/problem.js';
import { AddressSpace } from './memory/address-space.js';
import { ecamRange } from './memory/ecam-region.js';
import { guestConfig } from './memory/guest.js';
import { IoreqServers } from './memory/ioreq.js';

/** A Xen guest on Arm as its fragments describe it: what it reaches of PCI, and what answers there while no server has attached. */
export interface XenMachine {
  /** The machine of the machine file, with the host bridges' windows, buses and reserved ranges as the fragments have them. */
  readonly machine: Machine;
  readonly hosts: readonly HostToScan[];
  readonly ecam: readonly EcamWindow[];
  readonly space: AddressSpace;
  readonly servers: IoreqServers;
  /** The guest's own way into config space. */
  readonly config: ConfigAccess;
  /** What the IOREQ server claims: as the domain's node says, or where it does not, config space and windows. */
  readonly claims: readonly AddressRange[];
}

/**
 * Makes the address space that the fragments describe, and the machine whose devices the IOREQ server has.
 * @throws Problem `xen-mismatch` where the fragments' host bridges are not the machine's; `ioreq-overlap`, `ioreq-limit`
 */
export function xenMachine(machine: Machine, guest: XenGuest): XenMachine {
  const bridges = guest.hosts.map((bridge, i) => {
    if (bridge.compatible !== 'pci-host-ecam-generic') {
      throw new Problem('xen-mismatch', `host bridge ${bridge.path} is a ${bridge.compatible}, and no ECAM`);
    }
    return { ...bridge, segment: bridge.segment ?? i };
  });
  const hostBridges = machine.hostBridges.map((host) => {
    const found = bridges.find(({ segment, buses }) => segment === host.segment && buses[0] === host.buses[0]);
    if (found) return { ...host, buses: found.buses, windows: found.windows };
    throw new Problem(
      'xen-mismatch',
      `no host bridge of the fragments is ${host.id}, segment ${host.segment} from bus ${host.buses[0]}`,
      {
        hint: `they have ${bridges.map(({ path, segment, buses }) => `${path} (segment ${segment}, buses ${buses.join('-')})`).join(', ')}`,
      },
    );
  });
  const ecam = bridges.map(({ path, config, segment, buses: [first, last] }): EcamWindow => {
    const held = first + Number(config.size >> 20n) - 1;
    if (held < first) throw new Problem('xen-mismatch', `config space of ${path} does not hold a bus, which is 1 MiB`);
    return { segment, base: config.base, firstBus: first, lastBus: Math.min(last, held) };
  });
  const space = new AddressSpace('xen');
  const servers = new IoreqServers();
  space.add(servers.region());
  const { domain } = guest;
  if (!domain.trapUnmapped) space.addBackground(AddressRange.of(0n, ADDRESS_SPACE - 1n), ADDRESS_SPACE - 1n);
  for (const { range, value } of domain.background) space.addBackground(range, value);
  const windows = hostBridges.flatMap((host) => host.windows);
  const everything = [...ecam.map(ecamRange), ...windows.map(({ cpuBase, size }) => AddressRange.sized(cpuBase, size))];
  const reserved = guest.reserved.map(({ range, name }) => ({ range, reason: name }));
  const claims = domain.ioreqRanges ?? everything;
  // What Xen would refuse is said before anything starts.
  const trial = new IoreqServers().create(`of ${domain.path}`, () => Promise.resolve(0n));
  for (const range of claims) trial.claimMemory(range);
  return {
    machine: {
      ...machine,
      hostBridges,
      reserved: [...machine.reserved, ...reserved.filter(({ range }) => !known(machine, range))],
    },
    hosts: hostBridges,
    ecam,
    space,
    servers,
    config: guestConfig(space, ecam),
    claims,
  };
}

const known = (machine: Machine, range: AddressRange) => machine.reserved.some((own) => own.range.equals(range));
