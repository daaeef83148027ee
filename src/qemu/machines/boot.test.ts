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
const enumerates = { extra: [], notices: [expect.stringMatching(/enumerates PCI itself/)] };

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

  it.each<[string, string, string[]]>([
    ['aarch64', 'virt', ['-bios', 'edk2.fd']],
    ['aarch64', 'virt', ['-pflash', 'edk2.fd']],
    ['riscv64', 'virt', ['-drive', 'if=pflash,file=RISCV_VIRT_CODE.fd']],
    ['riscv64', 'virt', ['-bios', 'u-boot.bin']],
    ['x86_64', 'q35', ['-bios', 'OVMF.fd', '-kernel', 'bzImage']],
    ['x86_64', 'q35', ['-machine', 'pflash0=code', '-kernel', 'bzImage']],
    // SeaBIOS, from the disk.
    ['x86_64', 'q35', ['-hda', 'disk.img']],
  ])('%s %s with %j enumerates, which is said', (arch, machine, words) => {
    expect(boot(arch, machine, ...words)).toEqual(enumerates);
  });

  it('q35 with a kernel and no firmware starts qboot, which is said', () => {
    expect(boot('x86_64', 'q35', '-kernel', 'bzImage')).toEqual({
      extra: ['-bios', 'qboot.rom'],
      notices: [expect.stringContaining('-bios qboot.rom is added')],
    });
  });

  it.each(['aarch64', 'riscv64'])('%s without anything to run is refused', (arch) => {
    expect(() => boot(arch, 'virt', '-m', '1G')).toThrow(expect.objectContaining({ code: 'kernel-missing' }) as Error);
  });
});
