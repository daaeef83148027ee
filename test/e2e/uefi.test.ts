import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import {
  boardOf,
  bootLoader,
  fastKernelArguments,
  firmwareFile,
  kernelImage,
  qemuBinary,
  type FirmwareVersion,
  type GuestArch,
  type QemuVersion,
} from '../lab/lab.js';
import { pinbar } from '../lab/pinbar.js';
import { expectPlanInGuest, listings, readPlan, verify } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

interface FirmwareCase {
  readonly arch: GuestArch;
  readonly version: QemuVersion;
  readonly firmware: FirmwareVersion;
  readonly transport: 'qtest' | 'gdb';
  readonly tables: 'ACPI' | 'a device tree';
  /** Who starts the kernel: the firmware, which has it from QEMU, or a boot loader on a disk. */
  readonly starts: 'firmware' | 'boot loader';
}

// prettier-ignore
const cases: readonly FirmwareCase[] = [
  { arch: 'aarch64', version: '7.2', firmware: '2022.11', transport: 'qtest', tables: 'ACPI', starts: 'firmware' },
  { arch: 'aarch64', version: '10.0', firmware: '2025.02', transport: 'gdb', tables: 'ACPI', starts: 'boot loader' },
  { arch: 'aarch64', version: '7.2', firmware: '2025.02', transport: 'gdb', tables: 'a device tree', starts: 'firmware' },
  { arch: 'x86_64', version: '7.2', firmware: '2022.11', transport: 'gdb', tables: 'ACPI', starts: 'boot loader' },
  { arch: 'x86_64', version: '10.0', firmware: '2025.02', transport: 'qtest', tables: 'ACPI', starts: 'firmware' },
  { arch: 'riscv64', version: '10.0', firmware: '2025.02', transport: 'qtest', tables: 'ACPI', starts: 'firmware' },
];

const high: Readonly<Record<GuestArch, bigint>> = {
  aarch64: 0x8b_4000_0000n,
  riscv64: 0x5_4000_0000n,
  x86_64: 0x6b_8000_0000n,
};
const above = (arch: GuestArch, offset: bigint): string => `0x${(high[arch] + offset).toString(16)}`;

// prettier-ignore
const devices = (disk: string) => [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0',
  '-device', 'pci-testdev,id=test,bus=rp1,membar=64M',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0',
  '-device', 'x3130-upstream,id=up,bus=rp2',
  '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0',
  '-object', 'memory-backend-ram,id=memory,size=16M', '-device', 'ivshmem-plain,id=shared,memdev=memory,bus=dn0',
  '-device', 'pcie-root-port,id=rp3,chassis=4,addr=3.0',
  '-drive', `if=none,id=d0,format=raw,file=${disk}`, '-device', 'virtio-blk-pci,id=disk,serial=test,drive=d0,bus=rp3',
  '-netdev', 'user,id=n0,restrict=on', '-device', 'virtio-net-pci,id=net,netdev=n0,romfile=,addr=6.0',
];

/** The second disk may be the boot loader's. */
const script = (mmio: string, more = '') => `
for disk in /sys/block/vd*; do [ "$(cat "$disk/serial")" = test ] && device=/dev/\${disk##*/}; done
boot=$(count_boots "$device")
section boot echo "$boot"
${more === '' ? 'section pci pci_functions' : `if [ "$boot" -eq 1 ]; then ${more.trim().replaceAll('\n', '; ')}; else section pci pci_functions; fi`}
section disk disk_test "$device"
section ivshmem mmio_test ${mmio}
[ "$boot" -gt 1 ] || finish reboot
`;

/** QEMU with firmware in its flash, whose variables are not kept. */
const withFirmware = (version: QemuVersion, arch: GuestArch, code: string, variables: string, machine = '') => [
  ...[qemuBinary(version, arch), '-machine', `${boardOf(arch).machine}${machine}`, ...boardOf(arch).cpu],
  ...['-m', '512M', '-nographic', '-nodefaults', '-serial', 'stdio'],
  ...['-drive', `if=pflash,format=raw,readonly=on,file=${code}`],
  ...['-drive', `if=pflash,format=raw,snapshot=on,file=${variables}`],
];

const withKernel = (arch: GuestArch, initrd: string) => [
  ...['-kernel', kernelImage('6.12', arch), '-initrd', initrd, '-append', fastKernelArguments[arch]],
];

/** A disk with a boot loader for it, the kernel and an initrd: a folder that QEMU shows as a FAT file system. */
function withBootLoader(arch: GuestArch, folder: string, initrd: string): string[] {
  const file = (...path: string[]) => join(folder, ...path);
  const name = { aarch64: 'BOOTAA64', riscv64: 'BOOTRISCV64', x86_64: 'BOOTX64' }[arch];
  mkdirSync(file('EFI', 'BOOT'), { recursive: true });
  mkdirSync(file('loader', 'entries'), { recursive: true });
  copyFileSync(bootLoader(arch), file('EFI', 'BOOT', `${name}.EFI`));
  copyFileSync(kernelImage('6.12', arch), file('linux'));
  copyFileSync(initrd, file('initrd'));
  writeFileSync(file('loader', 'loader.conf'), 'timeout 0\n');
  writeFileSync(
    file('loader', 'entries', 'guest.conf'),
    `title guest\nlinux /linux\ninitrd /initrd\noptions ${fastKernelArguments[arch]}\n`,
  );
  return [
    ...['-drive', `if=none,id=esp,format=raw,snapshot=on,file=fat:${folder}`],
    ...['-device', 'pcie-root-port,id=rp4,chassis=5,addr=5.0'],
    ...['-device', 'virtio-blk-pci,id=boot,drive=esp,bus=rp4,bootindex=0'],
  ];
}

function blankDisk(folder: string): string {
  const disk = join(folder, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 4 * 2 ** 20);
  return disk;
}

describeInLab(
  'UEFI firmware',
  // prettier-ignore
  [
    'qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest', 'edk2-2022.11', 'edk2-2025.02', 'boot-loader',
    'qemu-7.2-x86_64', 'qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64', 'edk2-2022.11-x86_64', 'edk2-2025.02-x86_64', 'boot-loader-x86_64',
    'qemu-10.0-riscv64', 'linux-6.12-riscv64', 'guest-riscv64', 'edk2-2025.02-riscv64',
  ],
  () => {
    it.each(cases)(
      'takes the plan, and the guest keeps it over a reboot: $arch, QEMU $version, EDK2 $firmware, $tables, $transport, kernel from the $starts',
      async ({ arch, version, firmware, transport, tables, starts }) => {
        const folder = scratchFolder();
        const file = (name: string) => join(folder, name);
        const shared = above(arch, 0x2000_0000n);
        // lspci makes an initrd four times as large, which firmware takes its time to read.
        const lspci = arch === 'aarch64' && starts === 'boot loader';
        writeInitrd(file('initrd'), { arch, script: script(shared, lspci ? listings : ''), lspci });
        mkdirSync(file('esp'));
        const pins = [
          `test=bar2@${above(arch, 0n)}`,
          `shared=bar2@${shared}`,
          `disk=bar4@${above(arch, 0x4000_0000n)}`,
        ];
        const code = firmwareFile(firmware, arch, 'code');
        const { boots, end, errors } = await pinbar(
          [
            ...['run', '--quiet', '--transport', transport, '--plan-out', file('plan'), '--verify', '--strict'],
            ...pins.flatMap((pin) => ['--pin', pin]),
            '--',
            ...withFirmware(
              version,
              arch,
              code,
              firmwareFile(firmware, arch, 'vars'),
              tables === 'ACPI' ? '' : ',acpi=off',
            ),
            ...devices(blankDisk(folder)),
            ...(starts === 'firmware'
              ? withKernel(arch, file('initrd'))
              : withBootLoader(arch, file('esp'), file('initrd'))),
          ],
          { seconds: 170 },
        );
        const said = errors.trim().split('\n');
        expect(said.filter((line) => !line.endsWith(' …'))).toEqual([
          expect.stringMatching(/romfile=\/proc\/self\/fd\/5 is added/),
        ]);
        expect(errors).toContain(code);
        expect(end).toBe(0);

        const plan = readPlan(file('plan'));
        const pinned = plan.functions.flatMap(({ id, bars }) =>
          bars.filter((bar) => bar.pinned).map(({ index, address }) => `${id}=bar${index}@${address}`),
        );
        expect(pinned.toSorted()).toEqual(pins.toSorted());
        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual(['1 reboot', '2 poweroff']);
        for (const boot of boots) {
          expectPlanInGuest(plan, boot);
          expect(output(boot, 'disk')).toContain('written, read and equal');
          expect(output(boot, 'ivshmem')).toContain(`${shared} keeps what is written`);
        }
        if (!lspci) return;
        const verified = await verify(folder, file('plan'), boots[0]);
        expect({ end: verified.end, verdict: (JSON.parse(verified.output) as { verdict: string }).verdict }).toEqual({
          end: 0,
          verdict: 'holds',
        });
      },
    );

    it('that moves the pins is named, and with --strict the exit code is 3: Secure Boot, which takes no driver', async () => {
      const folder = scratchFolder();
      const code = firmwareFile('2025.02', 'aarch64', 'secure-code');
      const { end, errors } = await pinbar([
        ...['run', '--quiet', '--strict', '--pin', 'test=bar2@0x8b40000000', '--'],
        ...withFirmware('10.0', 'aarch64', code, firmwareFile('2025.02', 'aarch64', 'secure-vars')),
        ...devices(blankDisk(folder)),
      ]);
      expect(errors).toContain(
        `the firmware has moved what is pinned: ${code} (Debian distribution of EDK II, 2025.02-`,
      );
      expect(errors).toMatch(/test \(0000:01:00\.0\) BAR 2, upper half: 0x8b is pinned, 0x80 is there/);
      expect(errors).toContain('Secure Boot');
      expect(end).toBe(3);
    });

    it('that moves the pins is named, and the guest runs on: without the driver', async () => {
      const folder = scratchFolder();
      writeInitrd(join(folder, 'initrd'), { script: 'section pci pci_functions' });
      const code = firmwareFile('2022.11', 'aarch64', 'code');
      const { boots, end, errors } = await pinbar([
        ...['run', '--quiet', '--no-uefi-driver', '--pin', 'test=bar2@0x8b40000000', '--'],
        ...withFirmware('10.0', 'aarch64', code, firmwareFile('2022.11', 'aarch64', 'vars')),
        ...devices(blankDisk(folder)),
        ...withKernel('aarch64', join(folder, 'initrd')),
      ]);
      expect(errors).toContain(`the firmware has moved what is pinned: ${code}`);
      expect(boots.map(({ left }) => left)).toEqual(['poweroff']);
      expect(end).toBe(0);
    });

    it('that is none, SeaBIOS, is named as well', async () => {
      const { end, errors } = await pinbar([
        ...['run', '--quiet', '--strict', '--pin', 'test=bar2@0x6b80000000', '--'],
        ...[qemuBinary('10.0', 'x86_64'), '-machine', 'q35', '-m', '256M', '-nographic', '-nodefaults'],
        ...['-device', 'pci-testdev,id=test,membar=64M'],
      ]);
      expect(errors).toMatch(/the firmware has moved what is pinned: SeaBIOS/);
      expect(end).toBe(3);
    });
  },
);
