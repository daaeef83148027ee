import { describe, expect, it } from 'vitest';
import { configAccessContract } from '../../test/contract/config-access.js';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { simulate } from './simulate.js';
import { readConfig, writeConfig } from '../pci/config-access.js';

const onBus = (bus: number, device = 0, fn = 0) => ({ segment: 0, bus, device, fn });

configAccessContract('sim', () => ({
  access: simulate(machineOf([endpoint('dev', '1', [], { vendor: 0x8086, device: 0x9a1b })])).access,
  present: { at: onBus(0, 1), vendor: 0x8086, device: 0x9a1b },
  absent: onBus(0, 2),
}));

describe('a simulated machine', () => {
  it('sizes a BAR by its hardwired bits: all ones and 0xfffffff0 read back the same', async () => {
    const { access } = simulate(machineOf([endpoint('dev', '1', [bar(0, 'mem32', 0x8_0000n, true)])]));
    for (const ones of [0xffff_ffff, 0xffff_fff0]) {
      await writeConfig(access, onBus(0, 1), 0x10, 4, ones);
      expect(await readConfig(access, onBus(0, 1), 0x10, 4)).toBe(0xfff8_0008);
    }
  });

  it('sizes a 64-bit BAR above 4 GiB through its upper half alone', async () => {
    const { access } = simulate(machineOf([endpoint('dev', '1', [bar(2, 'mem64', 1n << 36n, true)])]));
    for (const register of [0x18, 0x1c]) await writeConfig(access, onBus(0, 1), register, 4, 0xffff_ffff);
    expect(await readConfig(access, onBus(0, 1), 0x18, 4)).toBe(0x0c);
    expect(await readConfig(access, onBus(0, 1), 0x1c, 4)).toBe(0xffff_fff0);
  });

  it('clears a status bit only where a 1 is written to it', async () => {
    const sim = simulate(machineOf([endpoint('dev', '1', [])]));
    sim.functionAt(onBus(0, 1))!.registers.force(6, 2, 0xc010);
    await writeConfig(sim.access, onBus(0, 1), 4, 4, 0x4000_0002);
    expect(await readConfig(sim.access, onBus(0, 1), 4, 4)).toBe(0x8010_0002);
  });

  it('routes by the bus numbers that bridges hold now', async () => {
    const { access, reset } = simulate(machineOf([bridge('rp', '1', 'root-port', [endpoint('dev', '0', [])])]));
    expect(await readConfig(access, onBus(5), 0, 2)).toBe(0xffff);
    await writeConfig(access, onBus(0, 1), 0x18, 4, 0x00_05_05_00);
    expect(await readConfig(access, onBus(5), 0, 2)).toBe(0x1b36);
    await writeConfig(access, onBus(0, 1), 0x18, 4, 0x00_07_07_00);
    expect(await readConfig(access, onBus(5), 0, 2)).toBe(0xffff);
    expect(await readConfig(access, onBus(7), 0, 2)).toBe(0x1b36);
    reset();
    expect(await readConfig(access, onBus(7), 0, 2)).toBe(0xffff);
  });

  it('answers all ones where two bridges claim the same bus', async () => {
    const ports = ['1', '2'].map((slot) => bridge(`rp${slot}`, slot, 'root-port', [endpoint(`dev${slot}`, '0', [])]));
    const { access } = simulate(machineOf(ports));
    for (const device of [1, 2]) await writeConfig(access, onBus(0, device), 0x18, 4, 0x00_01_01_00);
    expect(await readConfig(access, onBus(1), 0, 2)).toBe(0xffff);
  });

  it('forwards other device numbers through a port only with ARI forwarding', async () => {
    const functions = [endpoint('a', '0', []), { ...endpoint('b', '0', []), slot: { device: 0, fn: 9 } }];
    const sim = simulate(machineOf([bridge('rp', '1', 'root-port', functions)]));
    const { access } = sim;
    await writeConfig(access, onBus(0, 1), 0x18, 4, 0x00_01_01_00);
    expect(await readConfig(access, onBus(1, 0, 9), 0, 2)).toBe(0xffff);
    await writeConfig(access, onBus(0, 1), sim.functionAt(onBus(0, 1))!.at.express + 0x28, 2, 0x20);
    expect(await readConfig(access, onBus(1, 0, 9), 0, 2)).toBe(0x1b36);
    expect(await readConfig(access, onBus(1, 1, 1), 0, 2)).toBe(0x1b36);
  });

  it('decodes only with decoding on and windows open, and reports conflicts', async () => {
    const sim = simulate(
      machineOf([
        bridge('rp', '1', 'root-port', [endpoint('dev', '0', [bar(0, 'mem32', 0x1000n)])]),
        endpoint('other', '2', [bar(0, 'mem32', 0x10_0000n)]),
      ]),
    );
    const { access } = sim;
    await writeConfig(access, onBus(0, 1), 0x18, 4, 0x00_01_01_00);
    await writeConfig(access, onBus(1), 0x10, 4, 0x2000_0000);
    await writeConfig(access, onBus(1), 4, 2, 2);
    expect(sim.decode('memory', 0x2000_0010n)).toEqual([]);
    await writeConfig(access, onBus(0, 1), 0x20, 4, 0x2000_2000);
    expect(sim.decode('memory', 0x2000_0010n)).toEqual([]);
    await writeConfig(access, onBus(0, 1), 4, 2, 2);
    const hit = { id: 'dev', region: { kind: 'bar', index: 0 }, offset: 0x10n };
    expect(sim.decode('memory', 0x2000_0010n)).toEqual([hit]);
    await writeConfig(access, onBus(0, 2), 0x10, 4, 0x2000_0000);
    await writeConfig(access, onBus(0, 2), 4, 2, 2);
    expect(sim.decode('memory', 0x2000_0010n)).toEqual([hit, { ...hit, id: 'other' }]);
  });
});
