import type { Board } from './board.js';
import { pc, q35 } from './pc.js';
import { virtAarch64 } from './virt-aarch64.js';
import { virtRiscv64 } from './virt-riscv64.js';

/** The boards whose memory map pinbar knows. Any other has to be described in the machine file. */
export const boards: readonly Board[] = [virtAarch64, virtRiscv64, q35, pc];

export const findBoard = (name: string, arch: string): Board | undefined =>
  boards.find((board) => board.name === name && board.arch === arch);
