import { describe, expect, it } from 'vitest';
import { parseQemuArgs } from '../args/command-line.js';
import { controlOf } from '../args/control.js';
import { bootWith } from './boot.js';
import { machineTypeOf } from './machine-type.js';

const boot = (arch: string, machine: string, ...words: string[]) => {
  const command = parseQemuArgs([`qemu-system-${arch}`, '-machine', machine, ...words]);
  return bootWith(command, machineTypeOf(command), controlOf(command));
};
const nothing = { extra: [], notices: [] };
/** Firmware that is given the driver, and what says so. */
const takesThePlan = (name: string, hostBridge: string) => ({
  extra: ['-global', `${hostBridge}.romfile=/proc/self/fd/5`],
  notices: [
    expect.stringMatching(new RegExp(`^${name} enumerates PCI itself: -global ${hostBridge}\\.romfile=\\S+ is added`)),
  ],
  firmware: { name, driver: true },
  files: [expect.any(Uint8Array)],
});
const movesPins = (name: string) => ({
  extra: [],
  notices: [expect.stringMatching(/enumerates PCI itself/)],
  firmware: { name, driver: false },
});

describe('what the machine starts', () => {
  it.each<[string, string, string[]]>([
    ['aarch64', 'virt', ['-kernel', 'Image']],
    ['aarch64', 'virt', ['-device', 'loader,file=a,addr=0x40000000']],
    ['aarch64', 'virt', ['-S']],
    ['riscv64', 'virt', ['-kernel', 'Image']],
    ['riscv64', 'virt', ['-bios', 'default', '-kernel', 'Image']],
    ['riscv64', 'virt', ['-bios', 'none', '-kernel', 'Image']],
    ['riscv64', 'virt', ['-bios', '/opt/opensbi-riscv64-generic-fw_dynamic.bin', '-kernel', 'Image']],
    ['riscv64', 'virt', ['-bios', 'fw_jump.elf', '-kernel', 'Image']],
    ['x86_64', 'q35', ['-bios', '/usr/share/qemu/qboot.rom', '-kernel', 'bzImage']],
  ])('%s %s with %j leaves PCI alone', (arch, machine, words) => {
    expect(boot(arch, machine, ...words)).toEqual(nothing);
  });

  it.each<[string, string, string, string[]]>([
    ['edk2.fd', 'aarch64', 'virt', ['-bios', 'edk2.fd']],
    ['edk2.fd', 'aarch64', 'virt', ['-pflash', 'edk2.fd']],
    ['CODE.fd', 'riscv64', 'virt', ['-drive', 'if=pflash,file=CODE.fd']],
    ['CODE.fd', 'riscv64', 'virt', ['-bios', 'default', '-drive', 'if=pflash,file=CODE.fd']],
    ['OVMF.fd', 'x86_64', 'q35', ['-bios', 'OVMF.fd', '-kernel', 'bzImage']],
    ['code', 'x86_64', 'q35', ['-machine', 'pflash0=code', '-kernel', 'bzImage']],
  ])('%s on %s %s with %j is given the driver, which is said', (name, arch, machine, words) => {
    expect(boot(arch, machine, ...words)).toEqual(takesThePlan(name, machine === 'q35' ? 'mch' : 'gpex-root'));
  });

  it.each<[string, string, string, string[]]>([
    ['SeaBIOS', 'x86_64', 'q35', ['-hda', 'disk.img']],
    ['bios-256k.bin', 'x86_64', 'q35', ['-bios', 'bios-256k.bin', '-kernel', 'bzImage']],
    ['u-boot.bin', 'riscv64', 'virt', ['-bios', 'u-boot.bin']],
  ])('%s on %s %s with %j moves pins, which is said', (name, arch, machine, words) => {
    expect(boot(arch, machine, ...words)).toEqual(movesPins(name));
  });

  it('without the driver all firmware moves pins', () => {
    const command = parseQemuArgs(['qemu-system-aarch64', '-machine', 'virt', '-bios', 'edk2.fd']);
    expect(bootWith(command, machineTypeOf(command), controlOf(command), false)).toEqual(movesPins('edk2.fd'));
  });

  it.each(['q35', 'pc'])('%s with a kernel and no firmware starts qboot, which is said', (machine) => {
    expect(boot('x86_64', machine, '-kernel', 'bzImage')).toEqual({
      extra: ['-bios', 'qboot.rom'],
      notices: [expect.stringContaining('-bios qboot.rom is added')],
    });
  });

  it.each(['aarch64', 'riscv64'])('%s without anything to run is refused', (arch) => {
    expect(() => boot(arch, 'virt', '-m', '1G')).toThrow(expect.objectContaining({ code: 'kernel-missing' }) as Error);
  });
});
