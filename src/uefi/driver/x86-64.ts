import { signed, wordBytes, type Assembler } from './assembler.js';
import type { InstructionSet, Register } from './instruction-set.js';

/** Intel 64 manual, volume 2. Registers 8 to 15 take their fourth bit from the REX prefix, which W makes 64-bit. */
const rex = (reg: Register, rm: Register): number => 0x48 | ((reg >>> 3) << 2) | (rm >>> 3);
const modrm = (mod: number, reg: Register, rm: Register): number => (mod << 6) | ((reg & 7) << 3) | (rm & 7);

const [RAX, RCX, RDX, RSP, R8, R9, R10] = [0, 1, 2, 4, 8, 9, 10];
/** Room for the callee's own copies of four arguments, more arguments, and the stack's alignment to 16 bytes. */
const FRAME = 0x58;

/** A distance is counted from the end of its 4 bytes. */
const relative = (to: Assembler, label: string): void =>
  to.reference(label, 4, (distance) => wordBytes(signed(distance - 4, 32, 'the distance')));

export const x86_64: InstructionSet = {
  peMachine: 0x8664,
  args: [RCX, RDX, R8, R9],
  result: RAX,
  scratch: RAX,
  pointer: R10,

  enter: (to) => to.bytes(rex(0, RSP), 0x83, modrm(3, 5, RSP), FRAME), // sub rsp, FRAME
  leave: (to) => to.bytes(rex(0, RSP), 0x83, modrm(3, 0, RSP), FRAME, 0xc3), // add rsp, FRAME; ret
  loadNumber: (to, register, value) => {
    to.bytes(rex(0, register), 0xb8 | (register & 7)); // mov r, imm64
    for (let shift = 0n; shift < 64n; shift += 8n) to.bytes(Number((value >> shift) & 0xffn));
  },
  loadAddress: (to, register, label) => {
    to.bytes(rex(register, 0), 0x8d, modrm(0, register, 5)); // lea r, [rip + …]
    relative(to, label);
  },
  load: (to, register, offset) => {
    if ((register & 7) === RSP) throw new RangeError('this register needs another encoding');
    to.bytes(rex(register, register), 0x8b, modrm(2, register, register)); // mov r, [r + disp32]
    to.word(signed(offset, 32, 'the offset'));
  },
  store: (to, register, pointer) => {
    if ([RSP, 5].includes(pointer & 7)) throw new RangeError('this register needs another encoding');
    to.bytes(rex(register, pointer), 0x89, modrm(0, register, pointer)); // mov [p], r
  },
  addNumber: (to, register, amount) =>
    to.bytes(rex(0, register), 0x83, modrm(3, 0, register), signed(amount, 8, 'the number')), // add r, imm8
  passOnStack: (to, register, index) => {
    const offset = 8 * index;
    if (offset + 8 > FRAME) throw new RangeError(`there is no room for argument ${index}`);
    to.bytes(rex(register, RSP), 0x89, modrm(1, register, 4), 0x24, offset); // mov [rsp + disp8], r
  },
  call: (to, register) => to.bytes(rex(0, register), 0xff, modrm(3, 2, register)),
  jump: (to, label) => {
    to.bytes(0xe9);
    relative(to, label);
  },
  jumpIfZero: (to, register, label) => {
    to.bytes(rex(register, register), 0x85, modrm(3, register, register), 0x0f, 0x84); // test r, r; jz
    relative(to, label);
  },
};
