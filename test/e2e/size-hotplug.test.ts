import { expect, it } from 'vitest';
import { devicesOfBars } from '../../src/size/need.js';
import { sizesFor } from '../../src/size/sizes.js';
import type { GuestFunction } from '../lab/console.js';
import { firmwareDrives } from '../lab/lab.js';
import type { PluggedDevice } from '../lab/plug.js';
import { placeOf, plugInto } from '../lab/plugged.js';
import { describeInLab } from '../lab/suite.js';

const GiB = 1n << 30n;
const MiB = 1n << 20n;

type Functions = ReadonlyMap<string, GuestFunction>;

const q35 = { arch: 'x86_64', host: 4 } as const;

/** Ports on the root bus, the first as its slot 2. Their buses are numbered in this order. */
const ports = (...options: readonly string[]): string[] =>
  options.flatMap((more, i) => [
    '-device',
    `pcie-root-port,id=rp${i},chassis=${i + 1},addr=2.${i}${i === 0 ? ',multifunction=on' : ''}${more && `,${more}`}`,
  ]);

/** A device with two functions: BARs of 64 MiB (64-bit, prefetchable), 16 MiB and twice 4 KiB (32-bit), and I/O ports. */
const device = (bus: string): PluggedDevice[] => [
  { driver: 'secondary-vga', id: `${bus}b`, bus, addr: '0.1', vgamem_mb: 16 },
  { driver: 'pci-testdev', id: `${bus}a`, bus, addr: '0.0', multifunction: true, membar: Number(64n * MiB) },
];
const bars = ['64MiB', '16MiB:32p', '4KiB:32', '4KiB:32', '256:io'];

/** What `pinbar size` says of an option for that device: the value, and the next smaller one. */
function answer(option: string, where = /./) {
  const { answers } = sizesFor({ devices: devicesOfBars(bars), ram: GiB });
  const found = answers.find((one) => one.option === option && where.test(one.where));
  return { value: found?.value, smaller: found?.smaller?.value };
}

/** Which of the device's BARs have a place: of 64 MiB, of 16 MiB, those of 4 KiB, I/O. */
const placed = (functions: Functions, bus: string) => {
  const [first, second] = ['0', '1'].map((fn) => functions.get(`0000:${bus}:00.${fn}`));
  const has = (fn: GuestFunction | undefined, bar: number) => placeOf(fn, bar) !== 0n;
  return { large: has(first, 2), display: has(second, 0), small: has(first, 0) && has(second, 2), io: has(first, 1) };
};

const all = { large: true, display: true, small: true, io: true };

/** Whether a bridge that was plugged in has a secondary bus, of those that the port above forwards to. */
function hasBus(functions: Functions, bridge: string, port: string): boolean {
  const secondary = functions.get(bridge)?.config[0x19] ?? 0;
  const [least = 0, most = 0] = functions.get(port)?.config.slice(0x19, 0x1b) ?? [];
  return secondary > least && secondary <= most;
}

/** Where a port's window starts: 14 is the memory window, 15 the prefetchable one. */
const windowStart = (functions: Functions, address: string, index: 14 | 15): bigint =>
  placeOf(functions.get(address), index);

describeInLab(
  'pinbar size, devices plugged in later, q35',
  ['qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64', 'edk2-2025.02-x86_64'],
  () => {
    it('pci-hole64-size: Linux finds room for a port’s window with it, and not with the next smaller value', async () => {
      const { answers } = sizesFor({ devices: devicesOfBars(['64GiB']), ram: GiB });
      const found = answers.find(({ option }) => option.endsWith('pci-hole64-size'));
      const native = ['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'];
      const plugged = async (size = '') => {
        const functions = await plugInto({
          arch: 'x86_64',
          machine: [...native, '-global', `q35-pcihost.pci-hole64-size=${size}`, ...ports('')],
          plug: [{ driver: 'pci-testdev', id: 'dev', bus: 'rp0', membar: Number(64n * GiB) }],
          functions: q35.host + 2,
        });
        return placeOf(functions.get('0000:01:00.0'), 2);
      };
      expect([found?.value, found?.smaller?.value]).toEqual(['124G', '123G']);
      expect(await plugged(found?.value ?? '')).toBe(0x1000000000n);
      expect(await plugged(found?.smaller?.value)).toBe(0n);
    });

    it('mem-, pref64-, io-, bus-reserve: SeaBIOS keeps what a device needs, and less does not do', async () => {
      const memory = answer('mem-reserve', /SeaBIOS/);
      const pref = answer('pref64-reserve', /SeaBIOS/);
      const io = answer('io-reserve');
      expect({ memory, pref, io }).toEqual({
        memory: { value: '30M', smaller: '28M' },
        pref: { value: '126M', smaller: '124M' },
        io: { value: '4K', smaller: '0' },
      });
      const functions = await plugInto({
        arch: 'x86_64',
        machine: [
          // On an AMD CPU QEMU reserves what lies below 2^40, and SeaBIOS opens windows there.
          ...['-cpu', 'max,vendor=GenuineIntel'],
          ...ports(
            `mem-reserve=${memory.value},pref64-reserve=${pref.value},io-reserve=${io.value}`,
            `mem-reserve=${memory.smaller},pref64-reserve=${pref.smaller},io-reserve=${io.smaller}`,
            // Moves the others above 4 GiB and to where the smaller windows start badly, and leaves Linux no I/O ports.
            'mem-reserve=24M,pref64-reserve=4228M,io-reserve=52K',
            'bus-reserve=1',
            '',
          ),
        ],
        plug: [
          ...device('rp0'),
          ...device('rp1'),
          { driver: 'x3130-upstream', id: 'up3', bus: 'rp3' },
          { driver: 'x3130-upstream', id: 'up4', bus: 'rp4' },
        ],
        functions: q35.host + 5 + 6,
      });
      expect(placed(functions, '01')).toEqual(all);
      expect(windowStart(functions, '0000:00:02.1', 14) % (16n * MiB)).toBe(2n * MiB);
      expect(windowStart(functions, '0000:00:02.1', 15) % (64n * MiB)).toBe(2n * MiB);
      expect(placed(functions, '02')).toEqual({ large: false, display: false, small: true, io: false });
      // A bridge that is plugged in: one bus more.
      expect(hasBus(functions, '0000:04:00.0', '0000:00:02.3')).toBe(true);
      expect(functions.has('0000:06:00.0')).toBe(true);
      expect(hasBus(functions, '0000:06:00.0', '0000:00:02.4')).toBe(false);
    });

    it('mem-, pref64-, bus-reserve: OVMF keeps what a device needs, and less does not do', async () => {
      const memory = answer('mem-reserve', /OVMF/);
      const pref = answer('pref64-reserve', /OVMF/);
      expect({ memory, pref }).toEqual({
        memory: { value: '32M', smaller: '16M' },
        pref: { value: '64M', smaller: '32M' },
      });
      const functions = await plugInto({
        arch: 'x86_64',
        machine: [
          ...firmwareDrives('2025.02', 'x86_64'),
          ...ports(
            `mem-reserve=${memory.value},pref64-reserve=${pref.value},io-reserve=${answer('io-reserve').value}`,
            `mem-reserve=${memory.smaller},pref64-reserve=${pref.smaller}`,
            'bus-reserve=1',
            '',
          ),
        ],
        plug: [
          ...device('rp0'),
          ...device('rp1'),
          { driver: 'x3130-upstream', id: 'up2', bus: 'rp2' },
          { driver: 'x3130-upstream', id: 'up3', bus: 'rp3' },
        ],
        functions: q35.host + 4 + 6,
      });
      expect(placed(functions, '01')).toEqual(all);
      expect(placed(functions, '02')).toMatchObject({ large: false, small: false });
      expect(hasBus(functions, '0000:03:00.0', '0000:00:02.2')).toBe(true);
      expect(functions.has('0000:05:00.0')).toBe(true);
      expect(hasBus(functions, '0000:05:00.0', '0000:00:02.3')).toBe(false);
    });
  },
);

describeInLab('pinbar size, devices plugged in later, Linux', ['qemu-10.0', 'linux-6.12', 'guest'], () => {
  /** A switch with two empty ports; what is before it makes its windows start badly. */
  const machine = [
    ...['-device', 'pci-testdev,addr=1.0,membar=1M,multifunction=on', '-device', 'secondary-vga,addr=1.1,vgamem_mb=1'],
    ...['-device', 'pcie-root-port,id=rp,addr=2.0,chassis=1', '-device', 'x3130-upstream,id=up,bus=rp'],
    ...['-device', 'xio3130-downstream,id=dn0,bus=up,chassis=2,addr=0.0'],
    ...['-device', 'xio3130-downstream,id=dn1,bus=up,chassis=3,addr=1.0'],
  ];
  const plug = [...device('dn0'), { driver: 'x3130-upstream', id: 'more', bus: 'dn1' }];
  const boot = async (parameters: Readonly<Record<string, string | null | undefined>>) => {
    const said = Object.entries(parameters).flatMap(([name, value]) =>
      value === null || value === undefined ? [] : `${name}=${value}`,
    );
    const kernelArguments = `pci=${said.join(',')}`;
    return plugInto({ arch: 'aarch64', machine, plug, functions: 10, kernelArguments });
  };

  it('hpmmiosize, hpmmioprefsize: the ports of a switch hold the device with them, and not with the next smaller values', async () => {
    const memory = answer('pci=hpmmiosize');
    const pref = answer('pci=hpmmioprefsize');
    expect({ memory, pref, io: answer('pci=hpiosize').value, buses: answer('pci=hpbussize').value }).toEqual({
      memory: { value: '31M', smaller: '30M' },
      pref: { value: '127M', smaller: '126M' },
      io: null,
      buses: null,
    });
    const enough = await boot({ hpmmiosize: memory.value, hpmmioprefsize: pref.value, hpbussize: '2' });
    expect(placed(enough, '03')).toEqual(all);
    expect(hasBus(enough, '0000:05:00.0', '0000:02:01.0')).toBe(true);
    const less = await boot({ hpmmiosize: memory.smaller, hpmmioprefsize: pref.smaller, hpiosize: '0' });
    expect(placed(less, '03')).toMatchObject({ large: false, display: false, io: false });
    // By itself Linux keeps one bus, which the bridge takes that is plugged in; none is left for what is behind it.
    expect(less.has('0000:04:00.0')).toBe(true);
    expect(hasBus(less, '0000:04:00.0', '0000:02:01.0')).toBe(false);
  });
});
