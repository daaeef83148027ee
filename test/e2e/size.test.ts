import { join } from 'node:path';
import { expect, it } from 'vitest';
import { devicesOfBars } from '../../src/size/need.js';
import { sizesFor } from '../../src/size/sizes.js';
import { output, readFunctions, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { firmwareDrives } from '../lab/lab.js';
import { guestCommand } from '../lab/pinbar.js';
import { runToEnd } from '../lab/run.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

const GiB = 1n << 30n;

/** What `pinbar size` says of an option, and the next smaller value. */
function answer(bars: readonly string[], ram: bigint, option: RegExp, where: RegExp) {
  const found = sizesFor({ devices: devicesOfBars(bars), ram }).answers.find(
    (one) => option.test(one.option) && where.test(one.where),
  );
  expect(found?.value).toBeTruthy();
  expect(found?.smaller).toBeDefined();
  return { value: found?.value ?? '', smaller: found?.smaller?.value ?? '' };
}

/** Devices with one large 64-bit prefetchable BAR, each behind a root port, as `pinbar size` takes them. */
const behindPorts = (count: number, size: string): string[] =>
  Array.from({ length: count }, (_, i) => [
    ...['-device', `pcie-root-port,id=rp${i},chassis=${i + 1},addr=1.${i}${i === 0 ? ',multifunction=on' : ''}`],
    ...['-device', `pci-testdev,id=dev${i},bus=rp${i},membar=${size}`],
  ]).flat();

/** How many of them have an address in the guest. */
const placed = (boot: Boot | undefined): number =>
  [...readFunctions(output(boot, 'pci')).values()].filter(({ config, resources }) => {
    const isTestDevice = config[0] === 0x36 && config[1] === 0x1b && config[2] === 0x05;
    const bar = resources[2];
    return isTestDevice && bar !== undefined && bar.base !== 0n && (bar.flags & 0x2000_0000n) === 0n;
  }).length;

const initrdIn = (folder: string, arch: 'aarch64' | 'x86_64'): string => {
  const initrd = join(folder, 'initrd');
  writeInitrd(initrd, { arch, script: 'section pci pci_functions' });
  return initrd;
};

describeInLab('pinbar size, aarch64', ['qemu-10.0', 'linux-6.12', 'guest'], () => {
  it('highmem-mmio-size: Linux places everything with it, and not with half of it', async () => {
    const { value, smaller } = answer(['256GiB*3'], GiB / 2n, /^highmem-mmio-size$/, /aarch64/);
    const initrd = initrdIn(scratchFolder(), 'aarch64');
    const boot = async (size: string) => {
      const devices = behindPorts(3, '256G');
      const command = guestCommand('10.0', { machine: `,highmem-mmio-size=${size}`, devices, initrd });
      return placed((await runToEnd(command as [string, ...string[]], { seconds: 120 })).boots[0]);
    };
    expect([value, smaller]).toEqual(['1T', '512G']);
    expect(await boot(value)).toBe(3);
    expect(await boot(smaller)).toBeLessThan(3);
  });
});

const bootPc = async (words: readonly string[], seconds = 170) => {
  const initrd = initrdIn(scratchFolder(), 'x86_64');
  const command = guestCommand('10.0', { arch: 'x86_64', memory: '1G', devices: words, initrd });
  return placed((await runToEnd(command as [string, ...string[]], { seconds })).boots[0]);
};

/** OVMF, without a word on its aperture. */
const ovmf = firmwareDrives('2025.02', 'x86_64');

describeInLab(
  'pinbar size, q35',
  ['qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64', 'edk2-2025.02-x86_64'],
  () => {
    it('X-PciMmio64Mb: OVMF places everything with it, and not with the next smaller value', async () => {
      const { value, smaller } = answer(['128GiB*2'], GiB, /X-PciMmio64Mb/, /OVMF/);
      const boot = (megabytes: string) =>
        bootPc([...[...ovmf, '-fw_cfg', `name=opt/ovmf/X-PciMmio64Mb,string=${megabytes}`], ...behindPorts(2, '128G')]);
      expect([value, smaller]).toEqual(['262144', '261120']);
      expect(await boot(value)).toBe(2);
      expect(await boot(smaller)).toBeLessThan(2);
    });

    it.each([
      { firmware: 'OVMF', vendor: 'GenuineIntel', where: /OVMF.* Intel/, bits: '39' },
      { firmware: 'OVMF', vendor: 'AuthenticAMD', where: /OVMF.* AMD/, bits: '40' },
      { firmware: 'SeaBIOS', vendor: 'AuthenticAMD', where: /SeaBIOS/, bits: '37' },
    ])(
      'phys-bits: $firmware on $vendor places everything with $bits, and not with one less',
      async ({ firmware, vendor, where, bits }) => {
        const { value, smaller } = answer(['64GiB'], GiB, /phys-bits$/, where);
        expect(value).toBe(bits);
        const boot = (width: string) =>
          bootPc([
            ...['-cpu', `max,vendor=${vendor},phys-bits=${width}`],
            ...[...(firmware === 'OVMF' ? ovmf : []), ...behindPorts(1, '64G')],
          ]);
        expect(await boot(value)).toBe(1);
        expect(await boot(smaller)).toBe(0);
      },
    );
  },
);
