import { describe, expect, it } from 'vitest';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { duplexPair } from '../../test/support/duplex-pair.js';
import { ScriptedQemu } from '../../test/support/scripted-qemu.js';
import { MiB } from '../address/kinds.js';
import { enumerate } from '../enumerate/enumerate.js';
import type { Machine } from '../machine/model.js';
import { parseBdf } from '../pci/bdf.js';
import { readConfig } from '../pci/config-access.js';
import { pin } from '../pin/pin.js';
import { verifyProgramme } from '../program/program.js';
import { simulate } from '../sim/simulate.js';
import { AwaitedFunctions } from './awaited.js';
import type { PinnableMachine } from './machines/machine.js';
import { LineDecoder, Qmp, type QemuVersion } from './qmp.js';

const device = () => endpoint('dev', '0.0', [bar(0, 'mem32', MiB), bar(2, 'mem64', 64n * MiB, true)]);
/** Two root ports, the second with a switch behind it, at whose second port there is something or not. */
const tree = (behind: readonly ReturnType<typeof device>[]): Machine =>
  machineOf([
    bridge(
      'rp1',
      '1.0',
      'root-port',
      [device()].map((fn) => ({ ...fn, id: 'other' })),
    ),
    bridge('rp2', '2.0', 'root-port', [
      bridge('up', '0.0', 'upstream-port', [
        bridge('down0', '0.0', 'downstream-port', []),
        bridge('down1', '1.0', 'downstream-port', behind),
      ]),
    ]),
  ]);
const path = [
  { device: 2, fn: 0 },
  { device: 0, fn: 0 },
  { device: 1, fn: 0 },
  { device: 0, fn: 0 },
];

const version: QemuVersion = { major: 10, minor: 0, micro: 2, text: '10.0.2' };

/** A simulated machine without the device, and with it as one that is awaited. */
function awaiting() {
  const whole = simulate(tree([device()]));
  const registers = whole.hosts[0]!.functions[1]!.children[0]!.children[1]!.children[0]!.registers;
  const rest = simulate(tree([]));
  const fn = {
    id: 'dev',
    host: 'pcie.0',
    path,
    registers,
    device: { driver: 'vfio-user-pci', id: 'dev', bus: 'down1' },
  };
  const awaited = new AwaitedFunctions([fn]);
  const machine = {
    access: rest.access,
    hosts: rest.hosts,
    reopen: () =>
      new Promise<void>((done) => {
        rest.reset();
        done();
      }),
  };
  return { awaited, rest, machine: awaited.beside(machine as unknown as PinnableMachine) };
}

describe('a function that is awaited', () => {
  it('is found, placed and programmed as if it were there', async () => {
    const { machine } = awaiting();
    const whole = simulate(tree([device()]));
    const make = (access: typeof machine.access) => pin(access, whole.hosts, () => tree([device()]));
    const [seen, there] = [await make(machine.access), await make(whole.access)];
    expect(seen.topology).toEqual(there.topology);
    expect(seen.programme).toEqual(there.programme);
    expect(machine.awaited?.()).toEqual(new Map([['0000:05:00.0', 'dev']]));
    expect(await verifyProgramme(machine.access, seen.programme)).toEqual([]);
  });

  it('is behind its port wherever that is, and nowhere after a reset', async () => {
    const { machine } = awaiting();
    await enumerate(machine.access, machine.hosts);
    const id = (at: string) => readConfig(machine.access, parseBdf(at), 0, 4);
    expect(await id('0000:05:00.0')).not.toBe(0xffff_ffff);
    expect(await id('0000:04:00.0')).toBe(0xffff_ffff);
    await machine.reopen();
    expect(await id('0000:05:00.0')).toBe(0xffff_ffff);
    expect(machine.awaited?.()).toEqual(new Map());
  });

  it('is the machine’s own once it has been plugged in', async () => {
    const { awaited, machine } = awaiting();
    await enumerate(machine.access, machine.hosts);
    const qemu = new ScriptedQemu();
    await awaited.use({ qmp: qemu.qmp, version });
    let around: readonly string[] = [];
    awaited.programBy(async (plugIn) => (around = await plugIn()));
    await awaited.plugIn(['dev']);
    expect(qemu.log).toEqual(['device-list-properties vfio-user-pci', 'device_add vfio-user-pci dev down1']);
    expect(machine.awaited?.()).toEqual(new Map());
    expect(around).toEqual(['dev']);
    expect(await readConfig(machine.access, parseBdf('0000:05:00.0'), 0, 4)).toBe(0xffff_ffff);
    await awaited.plugIn(['dev']);
    expect(qemu.log).toHaveLength(2);
  });

  it('is still awaited where QEMU refuses it; a QEMU that does not know it is refused itself', async () => {
    const { awaited, machine } = awaiting();
    await enumerate(machine.access, machine.hosts);
    const { qmp, refuse } = refusing();
    await expect(awaited.use({ qmp, version })).rejects.toMatchObject({
      code: 'qemu-no-device',
      exit: 3,
      message: 'this is QEMU 10.0.2, which has no vfio-user-pci to be plugged in',
      hint: 'it came with QEMU 10.1',
    });
    refuse.now = false;
    await awaited.use({ qmp, version });
    refuse.now = true;
    await expect(awaited.plugIn(['dev'])).rejects.toMatchObject({ code: 'qmp-error' });
    expect(machine.awaited?.().size).toBe(1);
  });
});

/** A monitor that refuses everything as long as it is told to. */
function refusing() {
  const refuse = { now: true };
  const [own, far] = duplexPair();
  const decoder = new LineDecoder((line) => {
    const { id } = JSON.parse(line) as { id: number };
    const answer = refuse.now ? { error: { class: 'DeviceNotFound', desc: 'no such device' } } : { return: [] };
    far.write(`${JSON.stringify({ ...answer, id })}\n`);
  });
  far.on('data', (chunk: Buffer) => decoder.push(chunk));
  return { qmp: new Qmp(own), refuse };
}
