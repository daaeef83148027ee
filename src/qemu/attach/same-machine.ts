import { randomBytes } from 'node:crypto';
import { hex } from '../../address/format.js';
import { Exit, Problem } from '../../problem/problem.js';
import { flatView } from '../machines/flat-view.js';
import type { PhysicalMemory } from '../physical-memory.js';
import type { Qmp } from '../qmp.js';

const MARK_BYTES = 16;
/** Compared before anything is written. */
const SAMPLE_BYTES = 256;

/**
 * Makes sure that two connections lead to the same machine, which must be stopped: what is written to its RAM by the one is
 * seen by the other (HMP `xp`), and put back. Where RAM differs already, nothing is written.
 * @throws Problem `other-machine`, exit 1
 */
export async function requireSameMachine(qmp: Qmp, memory: PhysicalMemory): Promise<void> {
  const mtree = await qmp.monitor('info mtree -f');
  const ram = flatView(mtree, 'memory').find(({ kind, range }) => kind === 'ram' && range.size >= SAMPLE_BYTES);
  if (!ram) {
    throw new Problem('machine-without-ram', 'QEMU shows no RAM in its memory map (info mtree -f)', {
      exit: Exit.outside,
    });
  }
  const at = ram.range.base;
  const before = await memory.readBytes(at, SAMPLE_BYTES);
  if (!equal(before, await examine(qmp, at, SAMPLE_BYTES))) throw otherMachine();
  const mark = randomBytes(MARK_BYTES);
  await memory.writeBytes(at, mark);
  try {
    if (!equal(mark, await examine(qmp, at, MARK_BYTES))) throw otherMachine();
  } finally {
    await memory.writeBytes(at, before.subarray(0, MARK_BYTES));
  }
}

/** Bytes of physical memory, as QEMU's monitor prints them. */
async function examine(qmp: Qmp, address: bigint, size: number): Promise<Uint8Array> {
  return readExamined(await qmp.monitor(`xp /${size}xb ${hex(address)}`));
}

/** Reads what `xp /Nxb` prints: lines of an address, a colon, and bytes. */
export const readExamined = (text: string): Uint8Array =>
  Uint8Array.from(
    text.split('\n').flatMap((line) => [...line.replace(/^[^:]*:/, '').matchAll(/\b0x([0-9a-f]{2})\b/g)]),
    ([, digits = '']) => parseInt(digits, 16),
  );

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

const otherMachine = () =>
  new Problem('other-machine', 'the two sockets belong to two different QEMUs: their RAM is not the same', {
    hint: 'give the QMP socket and the other one of the same machine',
  });
