import { describe, expect, it } from 'vitest';
import { parseQemuArgs } from '../args/command-line.js';
import { machineTypeOf } from './machine-type.js';

const typeOf = (program: string, ...words: string[]) => machineTypeOf(parseQemuArgs([program, ...words]));

describe('boards', () => {
  it.each([
    ['qemu-system-aarch64', 'virt', { arch: 'aarch64', board: 'virt' }],
    ['/opt/bin/qemu-system-aarch64', 'virt-7.2,gic-version=3', { arch: 'aarch64', board: 'virt' }],
    ['qemu-system-riscv64', 'type=virt,aia=aplic', { arch: 'riscv64', board: 'virt' }],
    ['qemu-system-x86_64', 'q35', { arch: 'x86_64', board: 'q35' }],
    ['qemu-system-x86_64', 'pc-q35-7.2,accel=tcg', { arch: 'x86_64', board: 'q35' }],
    ['qemu-system-x86_64', 'pc-q35-noble', { arch: 'x86_64', board: 'q35' }],
    ['qemu-system-x86_64', 'pc', { arch: 'x86_64', board: 'pc' }],
    ['qemu-system-x86_64', 'pc-i440fx-10.0', { arch: 'x86_64', board: 'pc' }],
    ['/usr/libexec/qemu-kvm', 'q35', { arch: 'x86_64', board: 'q35' }],
    ['./my-qemu', 'virt', { arch: 'aarch64', board: 'virt' }],
  ])('%s -machine %s', (program, machine, expected) => {
    expect(typeOf(program, '-machine', machine)).toMatchObject(expected);
  });

  it.each([
    ['qemu-system-x86_64', 'isapc', /ISA and no PCI/, /q35/],
    ['qemu-system-x86_64', 'microvm,pcie=on', /virtio-mmio/, /q35/],
    ['qemu-system-x86_64', 'none', /empty/, /PCI Express/],
    ['qemu-system-aarch64', 'sbsa-ref', /TF-A and EDK2/, /virt/],
    ['qemu-system-aarch64', 'raspi3b', /works with virt \(PCI Express\)/, /virt/],
    ['qemu-system-x86_64', 'virt', /works with q35 \(PCI Express\), pc \(PCI\)/, /q35/],
    ['qemu-system-riscv64', 'sifive_u', /works with virt \(PCI Express\)/, /virt/],
  ])('%s -machine %s is refused, with the reason', (program, machine, message, hint) => {
    expect(() => typeOf(program, '-M', machine)).toThrow(
      expect.objectContaining({
        code: 'machine-unsupported',
        exit: 1,
        message: expect.stringMatching(message) as string,
        hint: expect.stringMatching(hint) as string,
      }) as Error,
    );
  });

  it('qemu-system-x86_64 without -machine is a pc', () => {
    expect(typeOf('qemu-system-x86_64')).toEqual({ arch: 'x86_64', board: 'pc', type: 'pc' });
  });

  it.each([
    ['qemu-system-aarch64', 'machine-missing', /names no machine/],
    ['qemu-system-riscv64', 'machine-missing', /names no machine/],
    ['qemu-system-ppc64', 'machine-unsupported', /qemu-system-aarch64, qemu-system-riscv64, qemu-system-x86_64/],
    ['qemu-system-i386', 'machine-unsupported', /works with/],
  ])('%s without -machine', (program, code, message) => {
    expect(() => typeOf(program, '-m', '1G')).toThrow(
      expect.objectContaining({ code, exit: 1, message: expect.stringMatching(message) as string }) as Error,
    );
  });
});
