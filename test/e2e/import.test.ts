import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { machineOfQemu } from '../../src/import/machine/qemu.js';
import type { Machine } from '../../src/machine/model.js';
import { planToJson } from '../../src/place/plan-json.js';
import { place } from '../../src/place/place.js';
import { qemuBinary, type GuestArch, type QemuVersion } from '../lab/lab.js';
import { RunningPinbar } from '../lab/pinbar.js';
import { readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** Devices that every QEMU of the lab has, some on the root bus and some behind ports, where virtio devices differ. */
const common = `
  -device pcie-root-port,id=rp1,chassis=1,addr=8.0,multifunction=on,pref64-reserve=1G,bus-reserve=1,io-reserve=0
  -device pcie-root-port,id=rp2,chassis=2,addr=8.1,multifunction=on,hotplug=off
  -device ioh3420,id=rp3,chassis=3,addr=9.0
  -device x3130-upstream,id=up,bus=rp2 -device xio3130-downstream,id=dn1,bus=up,chassis=4 -device xio3130-downstream,id=dn2,bus=up,chassis=5,addr=3.0
  -device virtio-net-pci,id=net0,bus=rp1 -device virtio-net-pci,id=net1 -device virtio-rng-pci,bus=dn1,id=rng
  -device pcie-pci-bridge,id=pb,bus=dn2 -device edu,id=edu,bus=pb,addr=2 -device i6300esb,id=dog,bus=pb,addr=5
  -object memory-backend-ram,id=m0,size=64M -device ivshmem-plain,id=shared,memdev=m0,bus=rp3
  -device pci-testdev,id=td,membar=256M -device '{"driver":"e1000e","id":"nic","addr":"1c.0"}' -device qemu-xhci,id=usb -device usb-tablet
  -device ich9-ahci,id=sata -device nec-usb-xhci,id=nec -device ich9-intel-hda,id=hda -device pci-serial,id=serial
  -device megasas,id=mega -device mptsas1068,id=mpt -device lsi53c895a,id=lsi -device vmxnet3,id=vmx
  -drive if=none,id=d0,file=null-co://,format=raw -device nvme,id=nv,drive=d0,serial=x
`;
const cases: readonly { version: QemuVersion; arch: GuestArch; words: string }[] = [
  {
    version: '10.0',
    arch: 'x86_64',
    words: `-machine q35 -cpu qemu64,phys-bits=42 -m 3G -bios qboot.rom -nodefaults -device VGA,id=vga -device virtio-gpu-pci,id=gpu,hostmem=1G -device secondary-vga,id=second ${common}`,
  },
  {
    version: '10.0',
    arch: 'aarch64',
    words: `-machine virt,highmem-mmio-size=1T -cpu max -m 1G -nodefaults ${common}`,
  },
  { version: '7.2', arch: 'aarch64', words: `-machine virt-7.2 -cpu max -m 1G -nodefaults ${common}` },
  { version: '10.0', arch: 'riscv64', words: `-machine virt -m 1G -nodefaults ${common}` },
];

describeInLab(
  'pinbar import of a QEMU command line',
  ['qemu-7.2', 'qemu-10.0', 'qemu-10.0-x86_64', 'qemu-10.0-riscv64'],
  () => {
    it.each(cases)('is the machine that pinbar run finds: $arch, QEMU $version', async ({ version, arch, words }) => {
      const folder = scratchFolder();
      const command = `${qemuBinary(version, arch)} -display none -serial none -monitor none -S ${words}`.replaceAll(
        '\n',
        ' ',
      );
      const out = join(folder, 'plan.json');
      const run = new RunningPinbar(['run', '--plan-out', out, '--', ...wordsOfShell(command)]);
      while (!existsSync(out)) {
        await Promise.race([sleep(50), run.ended.then(({ errors }) => expect.fail(`pinbar ended: ${errors}`))]);
      }
      const told = machineOfQemu(command);
      const plan = place(withoutLowPorts(told.machine));
      expect(comparable(planToJson(plan), arch)).toEqual(comparable(readPlan(out), arch));
      expect(told.notes).toEqual([]);
      run.signal('SIGTERM');
      await run.ended;
    });
  },
);

/** pinbar run leaves the first 4 KiB of ports alone, as Linux does. */
const withoutLowPorts = (machine: Machine): Machine => ({
  ...machine,
  hostBridges: machine.hostBridges.map((bridge) => ({
    ...bridge,
    windows: bridge.windows.map((window) =>
      window.type === 'io' && window.base === 0n
        ? { ...window, base: 0x1000n, size: window.size - 0x1000n, cpuBase: window.cpuBase + 0x1000n }
        : window,
    ),
  })),
});

/**
 * What a plan says. On q35 without bus numbers, which qboot gives in an order of its own, and without the host bridge, whose
 * free ports QEMU lists by the byte.
 */
function comparable(plan: unknown, arch: GuestArch): unknown {
  if (arch !== 'x86_64') return plan;
  const { bridges, functions } = plan as Record<'bridges' | 'functions', { readonly id: string }[]>;
  const left = (list: readonly { readonly id: string }[]) =>
    list
      .map((one) => ({ ...one, address: 0, primary: 0, secondary: 0, subordinate: 0 }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  return { bridges: left(bridges), functions: left(functions) };
}

/** The words of a command without expansions: only single quotes occur. */
const wordsOfShell = (command: string): string[] =>
  [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
