import { describe, expect, it } from 'vitest';
import { configAccessContract } from '../../../test/contract/config-access.js';
import { bar, bridge, endpoint, machineOf } from '../../../test/machines.js';
import { toMachine } from '../../enumerate/to-machine.js';
import type { Machine } from '../../machine/model.js';
import { pin } from '../../pin/pin.js';
import { simulate } from '../simulate.js';
import type { MemoryWidth } from './access.js';
import { AddressSpace } from './address-space.js';
import { ecamRegion, rootComplex } from './ecam-region.js';
import { guestConfig } from './guest.js';
import { pciWindow } from './pci-windows.js';

const ecam = { segment: 0, base: 0x40_1000_0000n, firstBus: 0, lastBus: 255 };

function spaceOf(machine: Machine) {
  const simulated = simulate(machine);
  const space = new AddressSpace();
  space.add(ecamRegion(ecam, [rootComplex(simulated.access)]));
  for (const window of machine.hostBridges[0]!.windows) space.add(pciWindow(window, simulated));
  return { space, simulated, config: guestConfig(space, [ecam]) };
}

const specimen = () => ({
  access: spaceOf(machineOf([endpoint('dev', '1', [], { vendor: 0x8086, device: 0x9a1b })])).config,
  present: { at: { segment: 0, bus: 0, device: 1, fn: 0 }, vendor: 0x8086, device: 0x9a1b },
  absent: { segment: 0, bus: 0, device: 2, fn: 0 },
});

configAccessContract('a guest’s loads and stores to the ECAM', specimen);

describe('config space at an address', () => {
  it('takes 8 bytes as two dwords, and faults past its last bus', async () => {
    const { space } = spaceOf(machineOf([endpoint('dev', '1', [], { vendor: 0x8086, device: 0x9a1b })]));
    const at = ecam.base + (1n << 15n);
    expect(await space.access({ kind: 'read', address: at, width: 8 })).toMatchObject({
      value: 0x0010_0000_9a1b_8086n,
    });
    await space.access({ kind: 'write', address: at + 0x38n, width: 8, value: 0x5an << 32n });
    expect(await space.access({ kind: 'read', address: at + 0x3cn, width: 1 })).toMatchObject({ value: 0x5an });
    const past = await space.access({ kind: 'read', address: ecam.base + (256n << 20n), width: 4 });
    expect(past).toMatchObject({ status: 'abort', abort: { cause: 'external' } });
  });
});

describe('windows of a host bridge', () => {
  const machine = machineOf([
    bridge('rp', '1', 'root-port', [
      endpoint('nic', '0', [bar(0, 'mem32', 0x1000n), bar(1, 'io', 8n), bar(2, 'mem64', 1n << 36n, true)], {
        rom: { size: 0x1_0000n },
      }),
    ]),
    endpoint('other', '2', [bar(0, 'mem32', 0x2000n)]),
  ]);

  async function pinned() {
    const { space, config, simulated } = spaceOf(machine);
    const { ram, arch, board, physicalAddressBits, properties } = machine;
    const windows = { 'pcie.0': machine.hostBridges[0]!.windows };
    const { plan } = await pin(config, simulated.hosts, (topology) =>
      toMachine(
        topology,
        { ram, arch, board, physicalAddressBits, properties, windows },
        { name: ({ at }) => simulated.functionAt(at)?.id },
      ),
    );
    const addressOf = (id: string, index: number) =>
      plan.functions.find((fn) => fn.id === id)!.bars.find((one) => one.index === index)!.address as bigint;
    const see = async (address: bigint, width: MemoryWidth = 4) => {
      const result = await space.access({ kind: 'read', address, width });
      return result.status === 'done' ? [result.by, result.value] : result.abort.cause;
    };
    const writeConfig = (bus: number, device: number, register: number, value: number) =>
      config.batch([
        { kind: 'write', at: { segment: 0, bus, device, fn: 0 }, register, width: register % 4 === 0 ? 4 : 2, value },
      ]);
    return { space, addressOf, see, writeConfig };
  }

  it('lead to the BARs of a machine that was pinned by its guest, through ECAM alone', async () => {
    const { addressOf, see } = await pinned();
    expect(await see(addressOf('nic', 2) + 0x7_1234_5670n, 8)).toEqual(['nic BAR 2', 0x7_1234_5670n]);
    expect(await see(addressOf('nic', 0) + 0xffcn)).toEqual(['nic BAR 0', 0n]);
    expect(await see(0x3eff_0000n + addressOf('nic', 1) + 4n)).toEqual(['nic BAR 1', 0n]);
    expect(await see(addressOf('other', 0) + 0x1ff8n, 2)).toEqual(['other BAR 0', 0x1ff8n]);
  });

  it('fault where nothing is decoded, by Command, bridge windows and BARs as they stand', async () => {
    const { addressOf, see, writeConfig } = await pinned();
    const nic = addressOf('nic', 0);
    expect(await see(0x7fff_ffff_0000n)).toBe('external');
    await writeConfig(1, 0, 4, 0);
    expect(await see(nic)).toBe('external');
    await writeConfig(1, 0, 4, 2);
    expect(await see(nic)).toEqual(['nic BAR 0', 0n]);
    await writeConfig(0, 1, 4, 0);
    expect(await see(nic)).toBe('external');
    await writeConfig(0, 1, 4, 2);
    const elsewhere = addressOf('other', 0) + 0x1000n;
    await writeConfig(0, 2, 0x10, 0x3000_0000);
    expect(await see(elsewhere)).toBe('external');
    expect(await see(0x3000_1008n)).toEqual(['other BAR 0', 0x1008n]);
  });

  it('give an access that is wider than a BAR to nobody, and all ones where two decode', async () => {
    const { addressOf, see, writeConfig, space } = await pinned();
    const ports = 0x3eff_0000n + addressOf('nic', 1);
    expect(await see(ports, 8)).toEqual(['nic BAR 1', 0n]);
    const nic = addressOf('nic', 0);
    await writeConfig(0, 2, 0x10, Number(nic & ~0x1fffn));
    expect(await see(nic)).toEqual(['nic BAR 0 and other BAR 0', 0xffff_ffffn]);
    const stored = await space.access({ kind: 'write', address: nic, width: 4, value: 1n });
    expect(stored).toEqual({ status: 'done', value: 0n, by: 'nic BAR 0 and other BAR 0' });
  });
});
