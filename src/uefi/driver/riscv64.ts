import { signed, wordBytes, type Assembler } from './assembler.js';
import type { InstructionSet, Register } from './instruction-set.js';

/** RISC-V Unprivileged ISA, chapters 2 and 5 (RV64I). */
const [ZERO, RA, SP, T0, T1, A0] = [0, 1, 2, 5, 6, 10];
const Op = { load: 0x03, immediate: 0x13, auipc: 0x17, store: 0x23, branch: 0x63, jalr: 0x67, jal: 0x6f } as const;

const iType = (opcode: number, funct3: number, rd: Register, rs1: Register, value: number): number =>
  signed(value, 12, 'the number') * 2 ** 20 + rs1 * 2 ** 15 + funct3 * 2 ** 12 + rd * 2 ** 7 + opcode;

const sType = (rs1: Register, rs2: Register, offset: number): number => {
  const bits = signed(offset, 12, 'the offset');
  return (bits >>> 5) * 2 ** 25 + rs2 * 2 ** 20 + rs1 * 2 ** 15 + 0b011 * 2 ** 12 + (bits & 31) * 2 ** 7 + Op.store;
};

const addi = (rd: Register, rs1: Register, value: number) => iType(Op.immediate, 0b000, rd, rs1, value);
const ld = (rd: Register, rs1: Register, offset: number) => iType(Op.load, 0b011, rd, rs1, offset);

const jal = (to: Assembler, label: string): void =>
  to.reference(label, 4, (distance) => {
    const bits = signed(distance, 21, 'the distance');
    const [high, middle, bit11, low] = [bits >>> 20, (bits >>> 12) & 0xff, (bits >>> 11) & 1, (bits >>> 1) & 0x3ff];
    return wordBytes(high * 2 ** 31 + low * 2 ** 21 + bit11 * 2 ** 20 + middle * 2 ** 12 + ZERO * 2 ** 7 + Op.jal);
  });

export const riscv64: InstructionSet = {
  peMachine: 0x5064,
  args: [10, 11, 12, 13, 14, 15, 16, 17],
  result: A0,
  scratch: T0,
  pointer: T1,

  enter: (to) => {
    to.word(addi(SP, SP, -16));
    to.word(sType(SP, RA, 0));
  },
  leave: (to) => {
    to.word(ld(RA, SP, 0));
    to.word(addi(SP, SP, 16));
    to.word(iType(Op.jalr, 0, ZERO, RA, 0)); // ret
  },
  loadNumber: (to, register, value) => to.word(addi(register, ZERO, Number(value))),
  loadAddress: (to, register, label) =>
    to.reference(label, 8, (distance) => {
      const high = Math.floor((distance + 0x800) / 0x1000);
      const upper = signed(high, 20, 'the distance') * 0x1000 + register * 2 ** 7 + Op.auipc;
      return wordBytes(upper, addi(register, register, distance - high * 0x1000));
    }),
  load: (to, register, offset) => to.word(ld(register, register, offset)),
  store: (to, register, pointer) => to.word(sType(pointer, register, 0)),
  addNumber: (to, register, amount) => to.word(addi(register, register, amount)),
  passOnStack: (_, __, index) => {
    throw new RangeError(`there is no room for argument ${index}`);
  },
  call: (to, register) => to.word(iType(Op.jalr, 0, RA, register, 0)),
  jump: jal,
  // A branch reaches 4 KiB: over a jump, which reaches a MiB.
  jumpIfZero: (to, register, label) => {
    to.word(0x0000_0400 + register * 2 ** 15 + 0b001 * 2 ** 12 + Op.branch); // bne register, zero, +8
    jal(to, label);
  },
};
