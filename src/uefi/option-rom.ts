import { concat, fromAscii, little } from '../acpi/bytes.js';
import type { Arch } from '../machine/model.js';
import { aarch64 } from './driver/aarch64.js';
import { callerSource } from './driver/caller.js';
import type { InstructionSet } from './driver/instruction-set.js';
import { riscv64 } from './driver/riscv64.js';
import { x86_64 } from './driver/x86-64.js';
import { BOOT_SERVICE_DRIVER, driverImage } from './image.js';

const instructionSets: Readonly<Record<Arch, InstructionSet>> = { aarch64, riscv64, x86_64 };

const EFI_IMAGE = 0x0ef1;
const DATA = 0x1c;
const IMAGE = 0x40;
const UNIT = 512;

/**
 * An expansion ROM with pinbar's UEFI driver. PCI Firmware Specification 3.3 §5.1; UEFI 2.10 §14.4.2. Firmware looks at no
 * more of its ids than that they are there, so any function may carry it.
 */
export function optionRom(arch: Arch): Uint8Array {
  const isa = instructionSets[arch];
  const image = driverImage(callerSource(arch), isa);
  const units = Math.ceil((IMAGE + image.length) / UNIT);
  const number = (value: number, width: number) => little(BigInt(value), width);
  const header = concat(
    number(0xaa55, 2),
    number(units, 2),
    number(EFI_IMAGE, 4),
    number(BOOT_SERVICE_DRIVER, 2),
    number(isa.peMachine, 2),
    number(0, 2), // not compressed
    new Uint8Array(8),
    number(IMAGE, 2),
    number(DATA, 2),
    number(0, 2),
  );
  const data = concat(
    fromAscii('PCIR'),
    number(0x1b36, 2), // Red Hat, whose QEMU's host bridge is
    number(0x0008, 2),
    number(0, 2),
    number(0x1c, 2),
    number(3, 1),
    number(0x06_0000, 3),
    number(units, 2),
    number(0, 2),
    number(3, 1), // an EFI image
    number(0x80, 1), // and the last one
    number(0, 2),
  );
  const rom = concat(header, data);
  return concat(rom, new Uint8Array(IMAGE - rom.length), image, new Uint8Array(units * UNIT - IMAGE - image.length));
}
