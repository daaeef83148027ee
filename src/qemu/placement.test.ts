import { describe, expect, it } from 'vitest';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { GiB, KiB, MiB } from '../address/kinds.js';
import type { MachineBase } from '../enumerate/to-machine.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import type { Pinned } from '../pin/pin.js';
import type { Plan } from '../place/plan.js';
import { verifyProgramme } from '../program/program.js';
import { simulate } from '../sim/simulate.js';
import type { PinnableMachine } from './machines/machine.js';
import { placeAfterFirmware, placeAgain, placeMachine } from './placement.js';
import type { Qmp } from './qmp.js';
import type { Wanted } from './request.js';

/** A simulated machine in the place of QEMU's; its functions have no ids there, so that names are addresses. */
function open(machine: Machine): PinnableMachine {
  const { hostBridges, ...rest } = machine;
  const base: MachineBase = {
    ...rest,
    windows: Object.fromEntries(hostBridges.map(({ id, windows }) => [id, windows])),
  };
  const { access, hosts } = simulate(machine);
  const nothing = () => Promise.resolve();
  const uefi = {
    doorbell: { rung: () => Promise.resolve(false), quiet: nothing },
    base: () => base,
    editDsdt: (dsdt: Uint8Array) => dsdt,
  };
  return { access, hosts, base, notices: [], reopen: nothing, deliver: nothing, uefi };
}
const qmp = { execute: () => Promise.resolve([]) } as unknown as Qmp;
const silent = () => undefined;

const wanted = (more: Partial<Wanted> = {}): Wanted => ({
  machine: { arch: 'aarch64', board: 'virt', type: 'virt' },
  pins: [],
  reserves: [],
  ...more,
});
const dev = (size = 64n * MiB) => endpoint('dev', '0.0', [bar(0, 'mem32', 4n * KiB), bar(2, 'mem64', size, true)]);
const port = (n: number, functions: MachineFunction[]) =>
  bridge(`rp${n}`, `${n}.0`, 'root-port', functions, { hotplug: 'pcie' });

/** Two ports; room is kept behind the first, and the device behind the second is pinned. */
const request = wanted({
  reserves: [{ id: '0000:00:01.0', reserve: { buses: 2, memory: 2n * MiB, prefetchable: GiB }, source: '--reserve' }],
  pins: [{ id: '0000:02:00.0', target: 2, address: 0x5000_0000_0000n, source: '--pin' }],
});
const before = () => machineOf([port(1, []), port(2, [dev()])]);

async function start(machine = before(), asked = request) {
  const opened = open(machine);
  return placeMachine(opened, qmp, asked, silent);
}

async function again(earlier: Pinned, machine: Machine) {
  const notices: string[] = [];
  const opened = open(machine);
  const pinned = await placeAgain(opened, qmp, earlier, (text) => notices.push(text));
  expect(await verifyProgramme(opened.access, pinned.programme)).toEqual([]);
  return { ...pinned, notices };
}

const where = (plan: Plan, at: string, index: number) =>
  plan.functions.find(({ address }) => formatBdf(address) === at)?.bars.find((one) => one.index === index);
const windowsOf = (plan: Plan, at: string) => plan.bridges.find(({ address }) => formatBdf(address) === at);

describe('a machine that has other devices in it after a reset', () => {
  it('what was plugged in gets the room that was kept for it, and all else stays', async () => {
    const earlier = await start();
    const port1 = windowsOf(earlier.plan, '0000:00:01.0')!;
    expect(port1).toMatchObject({ secondary: 1, subordinate: 3 });
    const { plan, notices } = await again(earlier, machineOf([port(1, [dev(GiB)]), port(2, [dev()])]));

    expect(windowsOf(plan, '0000:00:01.0')).toEqual(port1);
    expect(where(plan, '0000:01:00.0', 2)).toMatchObject({
      address: port1.prefetchable!.base,
      size: GiB,
      pinned: false,
    });
    const [moved] = earlier.plan.functions.filter(({ id }) => id === '0000:02:00.0');
    expect(formatBdf(moved!.address)).toBe('0000:04:00.0');
    expect(plan.functions.find(({ address }) => formatBdf(address) === '0000:04:00.0')?.bars).toEqual(moved!.bars);
    expect(where(plan, '0000:04:00.0', 2)).toMatchObject({ address: 0x5000_0000_0000n });
    expect(notices).toEqual([
      'new since the last start of the guest: 0000:01:00.0; placed beside what was there before, which stays where it was',
    ]);
  });

  it('where that room is too small, the port gets another window, and all else stays', async () => {
    const earlier = await start();
    const { plan } = await again(earlier, machineOf([port(1, [dev(4n * GiB)]), port(2, [dev()])]));
    expect(windowsOf(plan, '0000:00:01.0')?.prefetchable?.size).toBe(4n * GiB);
    expect(where(plan, '0000:04:00.0', 2)).toMatchObject({ address: 0x5000_0000_0000n });
    expect(windowsOf(plan, '0000:00:02.0')).toEqual(windowsOf(earlier.plan, '0000:00:02.0'));
  });

  it('where there is no room at all, it gets nothing, and is named', async () => {
    const earlier = await start();
    const large = endpoint('large', '0.0', [bar(0, 'mem32', 2n * GiB)]);
    const { plan, notices } = await again(earlier, machineOf([port(1, [large]), port(2, [dev()])]));
    expect(where(plan, '0000:01:00.0', 0)).toBeUndefined();
    expect(plan).toEqual(earlier.plan);
    expect(notices).toEqual([
      'new since the last start of the guest: 0000:01:00.0; there is no room for all of it beside what was there before, so it has no addresses, and the guest cannot use it',
    ]);
  });

  it('what was taken out is missing, and can come back to where it was not pinned', async () => {
    const earlier = await start();
    const first = await again(earlier, machineOf([port(1, []), port(2, [])]));
    expect(first.notices).toEqual(['gone since the last start of the guest: 0000:02:00.0']);
    expect(windowsOf(first.plan, '0000:00:02.0')).toEqual(windowsOf(earlier.plan, '0000:00:02.0'));
    const second = await again(first, before());
    expect(where(second.plan, '0000:04:00.0', 2)?.address).toBe(0x5000_0000_0000n);
  });

  it('another device in the same slot is another, whatever its name', async () => {
    const earlier = await start();
    const { plan, notices } = await again(earlier, machineOf([port(1, []), port(2, [dev(32n * MiB)])]));
    expect(where(plan, '0000:04:00.0', 2)).toMatchObject({ size: 32n * MiB });
    expect(notices).toHaveLength(2);
  });

  it('a switch that was plugged in gets bus numbers from those that were kept', async () => {
    const earlier = await start();
    const up = bridge('up', '0.0', 'upstream-port', [bridge('dn', '0.0', 'downstream-port', [dev(MiB)])]);
    const { plan } = await again(earlier, machineOf([port(1, [up]), port(2, [dev()])]));
    expect(where(plan, '0000:03:00.0', 2)).toMatchObject({ size: MiB });
    expect(where(plan, '0000:04:00.0', 2)).toMatchObject({ address: 0x5000_0000_0000n });
  });
});

describe('after firmware', () => {
  it('nothing is placed over what it has given to other root buses', async () => {
    const opened = open(before());
    // A root port of a pxb-pcie, bus 0x80, whose window lies where the pinned device's memory would go; QEMU sees it.
    const held = { base: 0x1000_0000, limit: 0x1fff_ffff };
    const closed = { base: 0xfff0_0000, limit: 0xf_ffff };
    const port = {
      ...{ bus: 0x80, slot: 0, function: 0, qdev_id: 'rpx' },
      regions: [{ bar: 0, type: 'memory', address: 0x2000_0000, size: 4096 }],
      pci_bridge: {
        bus: { secondary: 0x81, subordinate: 0x81, io_range: closed, memory_range: held, prefetchable_range: closed },
      },
    };
    const other = { execute: () => Promise.resolve([{ bus: 0x80, devices: [port] }]) } as unknown as Qmp;
    const hosts = opened.hosts.map((host) => ({ ...host, buses: [0, 0x7f] as const }));
    const { plan, machine } = await placeAfterFirmware({ ...opened, hosts }, other, request, silent);
    expect(machine.reserved.map(({ range, reason }) => `${range.toString()} ${reason}`)).toEqual([
      '0x20000000-0x20000fff BAR 0 of 0000:80:00.0',
      '0x10000000-0x1fffffff a window of 0000:80:00.0',
    ]);
    const memory = plan.functions.flatMap(({ bars }) => bars.map(({ address }) => address));
    expect(memory.filter((address) => address >= 0x1000_0000n && address <= 0x2000_0fffn)).toEqual([]);
    expect(memory).toContain(0x5000_0000_0000n);
  });
});
