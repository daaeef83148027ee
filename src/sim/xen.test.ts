import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../test/support/export-source.js';
import { describeWith } from '../../test/support/tools.js';
import { parseDeviceTree } from '../devicetree/parse.js';
import { xenGuest } from '../devicetree/xen.js';
import { enumerate } from '../enumerate/enumerate.js';
import { idsOf } from '../enumerate/ids.js';
import { toMachine } from '../enumerate/to-machine.js';
import { allFunctions } from '../enumerate/topology.js';
import { exportXen, exportXenDomain } from '../export/xen/dom0less.js';
import { loadMachine } from '../machine/load.js';
import { eachFunction, type Machine } from '../machine/model.js';
import { formatBdf, type Bdf } from '../pci/bdf.js';
import { pin } from '../pin/pin.js';
import { applyMachineFile } from '../pin/pins.js';
import { Problem } from '../problem/problem.js';
import { deviceModel } from './memory/device-model.js';
import { xenMachine } from './xen.js';

const compiled = (source: string) => {
  const { stdout, stderr } = spawnSync('dtc', ['-I', 'dts', '-O', 'dtb'], { input: source });
  expect(stderr.toString()).toBe('');
  return parseDeviceTree(new Uint8Array(stdout));
};

/** Both fragments of a machine file as dtc has them, the domain's with changes to its text. */
async function fragments(text: string, change = (domain: string) => domain) {
  const source = await sourceOf(text);
  const domain = change(exportXenDomain(source).content as string);
  const guest = xenGuest([compiled(exportXen(source).content as string), compiled(domain)]);
  return { source, guest };
}

function attach({ machine, ecam, servers, claims }: ReturnType<typeof xenMachine>) {
  const model = deviceModel(machine, ecam);
  const server = servers.create('devices', model.handler);
  for (const range of claims) server.claimMemory(range);
  server.enable();
  return model;
}

const without = (machine: Machine): Machine => ({
  ...machine,
  hostBridges: machine.hostBridges.map((host) => ({ ...host, windows: [], buses: [0, 255] })),
});

describeWith('dtc', 'a Xen guest made of the fragments of a machine file', () => {
  it('finds an empty bus, then the devices, pins them by its own stores, and comes to the plan of the machine file', async () => {
    const { source, guest } = await fragments(oneOfEverything);
    // Windows are the fragment's word, not the machine file's.
    const xen = xenMachine(without(source.machine!), guest);
    expect(allFunctions(await enumerate(xen.config, xen.hosts))).toEqual([]);
    attach(xen);
    const { ram, arch, board, physicalAddressBits, properties, reserved } = xen.machine;
    const windows = Object.fromEntries(xen.machine.hostBridges.map((host) => [host.id, host.windows]));
    const { plan } = await pin(xen.config, xen.hosts, (topology) => {
      const idOf = idsOf(topology, source.machine!);
      const found = toMachine(
        topology,
        { ram, arch, board, physicalAddressBits, properties, windows },
        { name: ({ at }) => idOf(at) },
      );
      return applyMachineFile({ ...found, reserved: [] }, { ...source.machine!, reserved }, 'machine.yaml');
    });
    expect(plan.functions).toHaveLength([...eachFunction(source.machine!.hostBridges[0]!.functions)].length);
    expect(plan.functions).toEqual(source.plan.functions);
    const gpu = await xen.space.access({ kind: 'read', address: 0x6b8000000000n + 0x1234_5678n, width: 8 });
    expect(gpu).toEqual({ status: 'done', value: 0x1234_5678n, by: 'devices' });
    const again = allFunctions(await enumerate(xen.config, xen.hosts, { probe: false }));
    const addresses = (list: readonly Bdf[]) => list.map(formatBdf).toSorted();
    expect(addresses(again.map(({ at }) => at))).toEqual(addresses(plan.functions.map(({ address }) => address)));
  });

  it('does as the fragments say: what traps, what the background reads, what the server reaches', async () => {
    const first = 0x4010000000n;
    const look = async (change: (domain: string) => string, address = first) => {
      const { source, guest } = await fragments(oneOfEverything, change);
      const xen = xenMachine(source.machine!, guest);
      const early = await xen.space.access({ kind: 'read', address, width: 4 });
      attach(xen);
      const late = await xen.space.access({ kind: 'read', address, width: 4 });
      return [early, late].map((one) =>
        one.status === 'done' ? one.value.toString(16) : one.abort.syndrome.toString(16),
      );
    };
    const drop = (name: string) => (domain: string) => domain.replace(new RegExp(`\\t${name}[^;]*;`), '');
    const trapping = drop('trap-unmapped-accesses');
    const bare = (domain: string) => trapping(drop('mmio-background-regions')(domain));
    expect(await look((domain) => domain)).toEqual(['ffffffff', '81b36']);
    expect(await look(bare)).toEqual(['96000000', '81b36']);
    expect(await look(trapping)).toEqual(['ffffffff', '81b36']);
    expect(await look(trapping, 0x1000n)).toEqual(['96000000', '96000000']);
    expect(await look(drop('mmio-background-regions'), 0x1000n)).toEqual(['ffffffff', 'ffffffff']);
    const other = (domain: string) => domain.replace('0xffffffff 0xffffffff', '0x0 0xabcd');
    expect(await look(other)).toEqual(['abcd', '81b36']);
    const elsewhere = (domain: string) => domain.replace('server-ranges = <0x40', 'server-ranges = <0x41');
    expect(await look((domain) => bare(elsewhere(domain)))).toEqual(['96000000', '96000000']);
    expect(await look(drop('pinbar,ioreq-server-ranges'))).toEqual(['ffffffff', '81b36']);
  });

  it('has to be of the same host bridges, and its server claims nothing twice', async () => {
    const { source, guest } = await fragments(oneOfEverything);
    const machine = await loadMachine(
      oneOfEverything.replace(
        'id: pcie.0',
        'id: pcie.0\n    segment: 3\n    windows: [{ type: mem64, base: 0x400000000000, size: 64TiB }, { type: mem32, base: 0x10000000, size: 0x2eff0000 }, { type: io, base: 0, size: 64KiB, cpuBase: 0x3eff0000 }]',
      ),
      'machine.yaml',
    );
    const problem = (run: () => unknown) => {
      try {
        run();
      } catch (error) {
        return error instanceof Problem ? [error.message, error.hint] : error;
      }
      return undefined;
    };
    expect(problem(() => xenMachine(machine, guest))).toEqual([
      'no host bridge of the fragments is pcie.0, segment 3 from bus 0',
      'they have /passthrough/pcie@4010000000 (segment 0, buses 0-255)',
    ]);
    const small = {
      ...guest,
      hosts: guest.hosts.map((host) => ({ ...host, config: { ...host.config, size: 0xfffffn } })),
    };
    expect(problem(() => xenMachine(source.machine!, small))).toEqual([
      'config space of /passthrough/pcie@4010000000 does not hold a bus, which is 1 MiB',
      undefined,
    ]);
    const { ioreqRanges = [] } = guest.domain;
    const twice = { ...guest, domain: { ...guest.domain, ioreqRanges: [...ioreqRanges, ...ioreqRanges] } };
    expect(problem(() => xenMachine(source.machine!, twice))).toEqual([
      'IOREQ server of /chosen/domU1 has claimed some of 0x4010000000-0x401fffffff before',
      undefined,
    ]);
  });
});
