import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { bar, bridge, endpoint, machineOf } from '../../test/machines.js';
import { MiB } from '../address/kinds.js';
import { decodeCapabilities } from '../pci/capabilities/chain.js';
import { ConfigBytes } from '../pci/config-bytes.js';
import { loadCapture } from '../import/capture/load.js';
import type { Bridge, MachineFunction } from '../machine/model.js';
import { formatBdf } from '../pci/bdf.js';
import { parseAddition } from './additions.js';
import { pluggedTwins } from './hotplug.js';
import { parseLateRule } from './late.js';
import { serveTwins } from './serve.js';

const capture = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
const GPU = '0009:03:00.0';

async function served(additions: readonly string[] = [], addresses: readonly string[] = [GPU], when = '') {
  const notices: string[] = [];
  const functions = capture.functions.filter((fn) => addresses.includes(formatBdf(fn.address)));
  const twins = await serveTwins(functions, {
    ...{ rules: [], late: addresses.map((address) => parseLateRule(`${address}${when},hotplug`)), memory: 0 },
    additions: additions.map(parseAddition),
    notice: (text) => notices.push(text),
  });
  onTestFinished(twins.close);
  return { twins, twin: twins.list[0]!, notices };
}

const fn = (id: string, slot = '0.0'): MachineFunction => endpoint(id, slot, [bar(0, 'mem32', MiB)]);
const behind = (kind: Bridge['kind'], ...functions: MachineFunction[]) =>
  machineOf([bridge('port', '3.0', kind, functions)]);

/** What is plugged in of a machine whose functions have these rules: `,hotplug`, `@5`, … */
async function plugged(machine: ReturnType<typeof machineOf>, rules: Readonly<Record<string, string>>) {
  const { twin } = await served();
  const late = Object.entries(rules).map(
    ([id, rule]) => [id, { twin, rule: rule === '' ? undefined : parseLateRule(`${GPU}${rule}`) }] as const,
  );
  return pluggedTwins(machine, new Map(late));
}

describe('a twin that is plugged in', () => {
  it('is described for device_add, with where it will be', async () => {
    const machine = machineOf([
      bridge('rp', '2.0', 'root-port', [
        bridge('up', '0.0', 'upstream-port', [bridge('down', '1.0', 'downstream-port', [fn('gpu')])]),
      ]),
    ]);
    const [one, ...others] = await plugged(machine, { gpu: '@5,hotplug' });
    expect(others).toEqual([]);
    expect(one).toMatchObject({
      ...{ id: 'gpu', host: 'pcie.0' },
      path: [2, 0, 1, 0].map((device) => ({ device, fn: 0 })),
      device: { driver: 'vfio-user-pci', id: 'gpu', bus: 'down', addr: '00.0', socket: { type: 'unix' } },
    });
    expect(one!.registers.read(0, 4)).toBe(0x2342_10de);
    expect(one!.registers.read(0x0e, 1) & 0x80).toBe(0);
  });

  it('may have several functions, which come together', async () => {
    const both = behind('root-port', fn('gpu'), fn('audio', '0.1'));
    const [gpu, audio] = await plugged(both, { gpu: ',hotplug', audio: ',hotplug' });
    expect(gpu?.device).toMatchObject({ multifunction: true });
    expect(gpu!.registers.read(0x0e, 1) & 0x80).toBe(0x80);
    expect(audio?.device).not.toHaveProperty('multifunction');
  });

  it('has none of the capabilities that QEMU keeps from a guest', async () => {
    const { twin } = await served([`${GPU}=sriov:4:1MiB`]);
    const kinds = (config: ConfigBytes) => decodeCapabilities(config).capabilities.map(({ kind }) => kind);
    expect(kinds(twin.fn.config)).toContain('singleRootIov');
    const [one] = pluggedTwins(
      behind('root-port', fn('gpu')),
      new Map([['gpu', { twin, rule: parseLateRule(`${GPU},hotplug`) }]]),
    );
    const bytes = Uint8Array.from({ length: 4096 }, (_, at) => one!.registers.read(at, 1));
    expect(kinds(ConfigBytes.of(bytes))).toEqual(
      kinds(twin.fn.config).map((kind) => (kind === 'singleRootIov' ? 'raw' : kind)),
    );
  });

  it.each([
    ['on the root bus', machineOf([fn('gpu', '4.0')]), { gpu: ',hotplug' }, /gpu .* lies on the root bus pcie.0/],
    ['at a bridge', behind('pcie-pci-bridge', fn('gpu')), { gpu: ',hotplug' }, /port above it is a pcie-pci-bridge/],
    ['at a PCI bridge', behind('pci-bridge', fn('gpu')), { gpu: ',hotplug' }, /port above it is a pci-bridge/],
    [
      'beside one that is there',
      behind('root-port', fn('gpu'), fn('audio', '0.1')),
      { gpu: ',hotplug', audio: '' },
      /gpu and audio are functions of one device/,
    ],
    [
      'at another time than the rest',
      behind('root-port', fn('gpu'), fn('audio', '0.1')),
      { gpu: '@1,hotplug', audio: '@2,hotplug' },
      /gpu and audio are functions of one device/,
    ],
    [
      'beside one that appears silently',
      behind('root-port', fn('gpu'), fn('audio', '0.1')),
      { gpu: ',hotplug', audio: '@1' },
      /gpu and audio are functions of one device/,
    ],
  ] as const)('is refused %s', async (_, machine, rules, why) => {
    await expect(plugged(machine, rules)).rejects.toMatchObject({ code: 'twin-hotplug', exit: 1 });
    await expect(plugged(machine, rules)).rejects.toThrow(why);
  });

  it('comes when it is told to, but not while the machine is prepared', async () => {
    const { twins, notices } = await served();
    const came: string[] = [];
    twins.late.plugInBy((devices) => {
      came.push(...devices.map(({ fn: { address } }) => formatBdf(address)));
      return Promise.resolve();
    });
    process.emit('SIGUSR2');
    expect(came).toEqual([]);
    twins.late.hide();
    expect(came).toEqual([GPU]);
    await expect.poll(() => notices).toContain(`plugged in: ${GPU}`);
    twins.late.show();
    twins.late.hide();
    process.emit('SIGUSR2');
    expect(came).toEqual([GPU]);
  });

  it('comes together with the others of its time', async () => {
    const [first, second] = [GPU, '0009:04:00.0'];
    const { twins } = await served([], [first, second], '@0.1');
    const came: string[][] = [];
    twins.late.plugInBy((devices) => {
      came.push(devices.map(({ fn: { address } }) => formatBdf(address)));
      return Promise.resolve();
    });
    twins.late.hide();
    await expect.poll(() => came).toEqual([[first, second]]);
  });

  it('is there no sooner than its time, and what hinders it is said', async () => {
    const { twins, notices } = await served();
    twins.late.plugInBy(() => Promise.reject(new Error('no bus of that name')));
    twins.late.hide();
    expect(notices).toEqual([]);
    process.emit('SIGUSR2');
    await expect.poll(() => notices).toContain(`could not be plugged in: ${GPU}: no bus of that name`);
  });

  it.each([`${GPU},hotplug,now`, `${GPU},silently`, `${GPU}@3,`])('is not what %s says', (text) => {
    expect(() => parseLateRule(text)).toThrow(/does not say how the function appears/);
  });
});
