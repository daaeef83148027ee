import type { Assembler } from './assembler.js';

/** A register by its number in instructions. */
export type Register = number;

/**
 * What the compiler needs of an instruction set, with the calling convention that UEFI has on it (UEFI 2.10 §2.3). None of
 * the registers here has to be kept for a caller.
 */
export interface InstructionSet {
  /** IMAGE_FILE_MACHINE_*, Microsoft PE format; UEFI 2.10 §2.1.1. */
  readonly peMachine: number;
  /** For arguments; more go to the stack. */
  readonly args: readonly Register[];
  readonly result: Register;
  /** For what is computed, and for addresses that something is stored to. */
  readonly scratch: Register;
  readonly pointer: Register;

  /** At the beginning and the end of a routine: the return address, and room for arguments on the stack. */
  enter(to: Assembler): void;
  leave(to: Assembler): void;
  loadNumber(to: Assembler, register: Register, value: bigint): void;
  loadAddress(to: Assembler, register: Register, label: string): void;
  /** Loads what lies `offset` bytes behind the register's address into it. */
  load(to: Assembler, register: Register, offset: number): void;
  store(to: Assembler, register: Register, pointer: Register): void;
  addNumber(to: Assembler, register: Register, amount: number): void;
  /** Passes argument `index`, for which there is no register. */
  passOnStack(to: Assembler, register: Register, index: number): void;
  call(to: Assembler, register: Register): void;
  jump(to: Assembler, label: string): void;
  jumpIfZero(to: Assembler, register: Register, label: string): void;
}
