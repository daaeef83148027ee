import type { Board } from './board.js';
import { q35 } from './q35.js';
import { virtAarch64 } from './virt-aarch64.js';
import { virtRiscv64 } from './virt-riscv64.js';

/** The boards whose memory map pinbar knows. Any other has to be described in the machine file. */
export const boards: readonly Board[] = [virtAarch64, virtRiscv64, q35];

export const findBoard = (name: string, arch: string): Board | undefined =>
  boards.find((board) => board.name === name && board.arch === arch);
