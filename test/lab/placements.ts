import { join } from 'node:path';
import { output } from './console.js';
import { writeInitrd } from './initrd.js';
import { firmwareDrives, type FirmwareVersion, type GuestArch, type Part, type QemuVersion } from './lab.js';
import { guestCommand, pinbarProgram } from './pinbar.js';
import { runToEnd } from './run.js';

/** A guest whose log shows either its own order of placement, or a pinned one. */
export interface PlacedGuest {
  /** `own` or `pinned`, and what is special about it: the name of its recording. */
  readonly name: string;
  readonly arch: GuestArch;
  readonly qemu: QemuVersion;
  readonly firmware?: FirmwareVersion;
  /** It runs with `pinbar run`, two BARs of the usual devices pinned. */
  readonly isPinned: boolean;
  /** Other devices. */
  readonly devices?: readonly string[];
}

/** Where the first of two BARs is pinned. */
export const pinnedAt: Readonly<Record<GuestArch, bigint>> = {
  aarch64: 0x8b_4000_0000n,
  riscv64: 0x5_4000_0000n,
  x86_64: 0x6b_8000_0000n,
};

// prettier-ignore
const usual = [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0',
  '-device', 'pci-testdev,id=test,bus=rp1,membar=64M',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0,hotplug=off',
  '-device', 'x3130-upstream,id=up,bus=rp2',
  '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0',
  '-object', 'memory-backend-ram,id=memory,size=16M', '-device', 'ivshmem-plain,id=shared,memdev=memory,bus=dn0',
  '-device', 'secondary-vga,id=vga,addr=5.0,romfile=',
  '-netdev', 'user,id=n0,restrict=on', '-device', 'virtio-net-pci,id=net,netdev=n0,addr=6.0',
];

/** Three displays of 256 MiB in a window of 1 GiB: Linux aligns ports' windows as a whole, and one finds no place. */
const tight = [1, 2, 3].flatMap((i) => [
  ...(i < 3 ? ['-device', `pcie-root-port,id=rp${i},chassis=${i},addr=${i}.0`] : []),
  ...['-device', `secondary-vga,id=vga${i},bus=${i < 3 ? `rp${i}` : 'pcie.0,addr=5.0'},romfile=,vgamem_mb=256`],
]);

export const placedGuests: readonly PlacedGuest[] = [
  { name: 'own.riscv64-tight', arch: 'riscv64', qemu: '10.0', isPinned: false, devices: tight },
  { name: 'own.aarch64', arch: 'aarch64', qemu: '10.0', isPinned: false },
  { name: 'own.riscv64', arch: 'riscv64', qemu: '10.0', isPinned: false },
  { name: 'own.x86_64', arch: 'x86_64', qemu: '10.0', isPinned: false },
  { name: 'own.aarch64-edk2', arch: 'aarch64', qemu: '10.0', firmware: '2025.02', isPinned: false },
  { name: 'own.x86_64-ovmf', arch: 'x86_64', qemu: '7.2', firmware: '2022.11', isPinned: false },
  { name: 'pinned.aarch64', arch: 'aarch64', qemu: '10.0', isPinned: true },
  { name: 'pinned.riscv64', arch: 'riscv64', qemu: '10.0', isPinned: true },
  { name: 'pinned.x86_64', arch: 'x86_64', qemu: '10.0', isPinned: true },
  { name: 'pinned.aarch64-edk2', arch: 'aarch64', qemu: '10.0', firmware: '2025.02', isPinned: true },
  { name: 'pinned.x86_64-ovmf-2025.02', arch: 'x86_64', qemu: '10.0', firmware: '2025.02', isPinned: true },
  { name: 'pinned.x86_64-ovmf', arch: 'x86_64', qemu: '7.2', firmware: '2022.11', isPinned: true },
];

export const partsOfPlaced = ({ arch, qemu, firmware }: PlacedGuest): Part[] => {
  const suffix = arch === 'aarch64' ? '' : `-${arch}`;
  return [
    `qemu-${qemu}${suffix}`,
    `linux-6.12${suffix}`,
    `guest${suffix}`,
    ...(firmware ? [`edk2-${firmware}${suffix}`] : []),
  ] as Part[];
};

/** Boots the guest and returns what of its kernel's log tells of placement. */
export async function logOfPlaced(guest: PlacedGuest, folder: string): Promise<string> {
  const { name, arch, qemu, firmware, isPinned, devices = usual } = guest;
  const initrd = join(folder, 'initrd');
  writeInitrd(initrd, { script: 'section dmesg dmesg', arch });
  const flash = firmware ? firmwareDrives(firmware, arch) : [];
  const command = guestCommand(qemu, { arch, initrd, devices: [...devices, ...flash] });
  const pins = guest.devices
    ? []
    : [`test=bar2@0x${pinnedAt[arch].toString(16)}`, `shared=bar2@0x${(pinnedAt[arch] + 0x1000_0000n).toString(16)}`];
  const pinbar = [process.execPath, pinbarProgram, 'run', ...pins.flatMap((pin) => ['--pin', pin]), '--'];
  const { boots, errors } = await runToEnd([...(isPinned ? pinbar : []), ...command] as [string, ...string[]], {
    seconds: 170,
  });
  if (boots.length === 0) throw new Error(`${name}: the guest did not boot\n${errors}`);
  const lines = output(boots[0], 'dmesg').split('\n');
  return `${lines.filter((line) => /Linux version|ommand line:|DMI: |e820|pci|PCI/.test(line)).join('\n')}\n`;
}
