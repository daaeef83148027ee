import { expect, it } from 'vitest';
import { kernelImage, qemuBinary, type QemuVersion } from '../lab/lab.js';
import { Traces } from '../lab/leftovers.js';
import { pinbar } from '../lab/pinbar.js';
import { describeInLab } from '../lab/suite.js';

interface Mistake {
  readonly name: string;
  readonly version?: QemuVersion;
  /** More properties of -machine, with the comma before them. */
  readonly machine?: string;
  readonly pins?: readonly string[];
  /** More words for QEMU. */
  readonly words?: readonly string[];
  readonly end: 1 | 2 | 3;
  /** What a person needs to see, in any order. */
  readonly says: readonly (string | RegExp)[];
}

const window = ',pcie-mmio-window=0x400000000000:0x400000000000';

const mistakes: readonly Mistake[] = [
  {
    name: 'an unknown device id',
    pins: ['dev9=bar2@0x8b40000000'],
    end: 1,
    says: ['--pin dev9=bar2@0x8b40000000', 'no -device has the id "dev9"', 'did you mean dev0', 'rp1, dev0, dev1'],
  },
  {
    name: 'the upper half of a 64-bit BAR',
    pins: ['dev0=bar3@0x8b40000000'],
    end: 1,
    says: ['dev0 has no BAR 3', 'upper half of BAR 2', 'bar2 (mem64 prefetchable, 64 MiB)'],
  },
  {
    name: 'a BAR that the device does not have',
    pins: ['dev0=bar5@0x8b40000000'],
    end: 1,
    says: ['dev0 has no BAR 5', 'bar1 (io, 256 bytes)'],
  },
  {
    name: 'a BAR that no device can have',
    pins: ['dev0=bar6@0x8b40000000'],
    end: 1,
    says: ['bar6 does not exist', '0 to 5'],
  },
  { name: 'a ROM that the device does not have', pins: ['dev0=rom@0x30000000'], end: 1, says: ['dev0 has no ROM'] },
  {
    name: 'a misaligned pin',
    pins: ['dev0=bar2@0x8b40001000'],
    end: 2,
    says: ['dev0 BAR 2', '0x8b40001000', 'multiple of 0x4000000', '0x8b40000000', '0x8b44000000'],
  },
  {
    name: 'overlapping pins',
    pins: ['dev0=bar2@0x8b40000000', 'dev1=bar2@0x8b40000000'],
    end: 2,
    says: ['dev0 BAR 2', 'dev1 BAR 2', '0x8b40000000-0x8b43ffffff'],
  },
  {
    name: 'a pin outside every window',
    pins: ['dev0=bar2@0x6b8000000000'],
    end: 2,
    says: ['0x6b8000000000', '0x8000000000-0xffffffffff', 'highmem-mmio-size'],
  },
  {
    name: 'a 32-bit BAR above 4 GiB',
    pins: ['dev0=bar0@0x8b40000000'],
    end: 2,
    says: ['dev0 BAR 0', /32-bit/, '0x10000000-0x3efeffff'],
  },
  {
    name: 'two addresses for one BAR',
    pins: ['dev0=bar2@0x8b40000000'],
    words: ['-set', 'device.dev0.fixed-bars=bar2@0x8c00000000'],
    end: 1,
    says: ['0x8b40000000', '0x8c00000000', 'bar2 of dev0'],
  },
  {
    name: 'fixed-bars without an address',
    words: ['-set', 'device.dev0.fixed-bars=bar2'],
    end: 1,
    says: ['device.dev0.fixed-bars=bar2', 'no @', 'bar2@0x'],
  },
  {
    name: 'fixed-bars with an empty address',
    words: ['-set', 'device.dev0.fixed-bars=bar2@'],
    end: 1,
    says: ['needs an address after the @'],
  },
  {
    name: 'fixed-bars that ends in a comma',
    words: ['-set', 'device.dev0.fixed-bars=bar2@0x8b40000000,'],
    end: 1,
    says: ['ends in a comma'],
  },
  {
    name: 'fixed-bars that name no BAR',
    words: ['-device', 'pci-testdev,fixed-bars=resource2@0x8b40000000'],
    end: 1,
    says: ['resource2', 'barN@ADDRESS'],
  },
  {
    name: 'pci-pre-enum that is neither on nor off',
    machine: ',pci-pre-enum=maybe',
    end: 1,
    says: ['pci-pre-enum', '"maybe"'],
  },
  {
    name: 'pcie-mmio-window without a size',
    machine: ',pcie-mmio-window=0x400000000000',
    end: 1,
    says: ['no colon', 'BASE:SIZE'],
  },
  {
    name: 'pcie-mmio-window that is misaligned',
    machine: ',pcie-mmio-window=0x600000000000:0x400000000000',
    end: 1,
    says: ['0x600000000000', 'no multiple of the size 0x400000000000', '0x800000000000'],
  },
  {
    name: 'pcie-mmio-window on a QEMU that cannot move it',
    version: '7.2',
    machine: window,
    end: 3,
    says: [
      'pcie-mmio-window=0x400000000000:0x400000000000',
      'QEMU 10.0',
      /this is QEMU 7\.2\.\d+/,
      '0x8000000000-0xffffffffff',
    ],
  },
  {
    name: 'a kernel that is not there',
    words: ['-kernel', '/nonexistent/Image'],
    end: 3,
    says: ['could not load kernel', '/nonexistent/Image', /help: .*exists/],
  },
  {
    name: 'an option that QEMU does not know',
    words: ['-bogus'],
    end: 3,
    says: ['QEMU ended with code 1', '-bogus: invalid option'],
  },
  {
    name: 'a device that QEMU does not know',
    words: ['-device', 'nosuchdev'],
    end: 3,
    says: ['QEMU ended with code 1', "'nosuchdev' is not a valid device model name"],
  },
  {
    name: 'a device that makes QEMU abort',
    words: ['-device', 'pci-testdev,membar=3M'],
    end: 3,
    says: ['QEMU was killed by SIGABRT', 'is_power_of_2'],
  },
  {
    name: 'an option without its argument',
    words: ['-append'],
    end: 1,
    says: ['-append is the last word', 'needs an argument'],
  },
  {
    name: 'a machine without PCI Express',
    words: ['-machine', 'xlnx-zcu102'],
    end: 1,
    says: ['xlnx-zcu102', 'PCI Express', '-machine virt'],
  },
];

describeInLab('mistakes', ['qemu-7.2', 'qemu-10.0', 'linux-6.12'], () => {
  it.each(mistakes)('$name', async ({ version = '10.0', machine = '', pins = [], words = [], end, says }) => {
    const traces = new Traces();
    // prettier-ignore
    const ran = await pinbar([
      'run', ...pins.flatMap((pin) => ['--pin', pin]), '--',
      qemuBinary(version), '-machine', `virt,gic-version=3${machine}`, '-cpu', 'max', '-m', '512M',
      '-nodefaults', '-display', 'none', '-S', ...traces.name, '-kernel', kernelImage(),
      '-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M',
      '-device', 'pci-testdev,id=dev1,membar=64M', ...words,
    ], { ...traces.options, seconds: 20 });
    // Sentences are wrapped where they are long.
    const errors = ran.errors.replaceAll(/\s+/g, ' ');
    // A string is looked for as it stands.
    for (const part of says) expect(errors).toMatch(part);
    expect(ran.errors).not.toMatch(/^\s+at .*:\d+:\d+|defect|\bundefined\b|\bNaN\b/m);
    expect(ran.end).toBe(end);
    expect(ran.output).toBe('');
    await traces.expectNothingLeft();
  });

  it('a QEMU that is not installed', async () => {
    const { end, errors } = await pinbar(['run', '--', 'qemu-system-aarch64-nope', '-machine', 'virt', '-S']);
    expect(errors).toMatch(/qemu-system-aarch64-nope is not on the PATH\n +help: .*(?:install|path)/);
    expect(end).toBe(3);
  });

  it('nothing to boot, no machine, no QEMU command, no such option of pinbar', async () => {
    const qemu = qemuBinary('10.0');
    const kernel = await pinbar(['run', '--', qemu, '-machine', 'virt', '-cpu', 'max', '-nographic']);
    expect(kernel.errors).toMatch(/neither -kernel nor firmware[^]*help: add -kernel/);
    const machine = await pinbar(['run', '--', qemu, '-cpu', 'max', '-S']);
    expect(machine.errors).toMatch(/names no machine[^]*help: add -machine virt/);
    const nothing = await pinbar(['run']);
    expect(nothing.errors).toMatch(/no QEMU command line[^]*help: .*--/);
    const option = await pinbar(['run', '--pins', 'x', '--', qemu]);
    expect(option.errors).toMatch(/--pins/);
    expect([kernel, machine, nothing, option].map(({ end }) => end)).toEqual([1, 1, 1, 1]);
  });
});
