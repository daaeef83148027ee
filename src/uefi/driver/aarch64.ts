import { signed, wordBytes, type Assembler } from './assembler.js';
import type { InstructionSet } from './instruction-set.js';

/** Arm Architecture Reference Manual for A-profile, C6.2. */
const [X0, X16, X17] = [0, 16, 17];

/** A distance in instructions, in so many bits from bit `low` on. */
const distanceIn = (distance: number, bits: number, low: number): number =>
  signed(distance / 4, bits, 'the distance') * 2 ** low;

const branch = (to: Assembler, label: string, opcode: number, bits: number, low: number): void =>
  to.reference(label, 4, (distance) => wordBytes(opcode + distanceIn(distance, bits, low)));

export const aarch64: InstructionSet = {
  peMachine: 0xaa64,
  args: [0, 1, 2, 3, 4, 5, 6, 7],
  result: X0,
  scratch: X16,
  pointer: X17,

  enter: (to) => to.word(0xa9bf_7bfd), // stp x29, x30, [sp, #-16]!
  leave: (to) => {
    to.word(0xa8c1_7bfd); // ldp x29, x30, [sp], #16
    to.word(0xd65f_03c0); // ret
  },
  loadNumber: (to, register, value) => {
    const part = (index: number) => Number((value >> BigInt(16 * index)) & 0xffffn);
    to.word(0xd280_0000 + part(0) * 32 + register); // movz
    for (let i = 1; i < 4; i++) if (part(i)) to.word(0xf280_0000 + i * 0x20_0000 + part(i) * 32 + register); // movk
  },
  loadAddress: (to, register, label) =>
    to.reference(label, 4, (distance) => {
      const bits = signed(distance, 21, 'the distance'); // adr
      return wordBytes(0x1000_0000 + (bits & 3) * 2 ** 29 + (bits >>> 2) * 32 + register);
    }),
  load: (to, register, offset) => {
    if (offset % 8 !== 0 || offset < 0 || offset >= 0x8000) throw new RangeError(`no load has offset ${offset}`);
    to.word(0xf940_0000 + (offset / 8) * 0x400 + register * 32 + register); // ldr
  },
  store: (to, register, pointer) => to.word(0xf900_0000 + pointer * 32 + register), // str
  addNumber: (to, register, amount) => {
    if (!Number.isInteger(amount) || Math.abs(amount) > 0xfff) throw new RangeError(`no addition of ${amount}`);
    const opcode = amount < 0 ? 0xd100_0000 : 0x9100_0000; // sub, add
    to.word(opcode + Math.abs(amount) * 0x400 + register * 32 + register);
  },
  passOnStack: (_, __, index) => {
    throw new RangeError(`there is no room for argument ${index}`);
  },
  call: (to, register) => to.word(0xd63f_0000 + register * 32), // blr
  jump: (to, label) => branch(to, label, 0x1400_0000, 26, 0), // b
  jumpIfZero: (to, register, label) => branch(to, label, 0xb400_0000 + register, 19, 5), // cbz
};
