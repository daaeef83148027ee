import type { ConfigAccess } from '../../pci/config-access.js';
import { EcamAccess, type AddressedMemory, type EcamWindow } from '../../pci/ecam.js';
import { Exit, Problem } from '../../problem/problem.js';
import { abortText, type DataAbort, type MemoryAccess } from './access.js';
import type { AddressSpace } from './address-space.js';

/** The CPU of a guest took a data abort that it has no handler for; `facts.abort` is the {@link DataAbort}. */
export const guestAbort = (abort: DataAbort): Problem =>
  new Problem('guest-abort', abortText(abort), { exit: Exit.outside, facts: { abort } });

/**
 * The CPU of a guest: one access after the other, each waits for the answer of the one before it.
 * @throws Problem `guest-abort` from `batch` where an access ends in a data abort: the accesses after it are not made
 */
export const guestMemory = (space: AddressSpace): AddressedMemory => ({
  source: 'sim',
  batch: async (ops) => {
    const values: number[] = [];
    for (const op of ops) {
      const access: MemoryAccess = op.kind === 'read' ? op : { ...op, value: BigInt(op.value) };
      const result = await space.access(access);
      if (result.status === 'abort') throw guestAbort(result.abort);
      values.push(Number(result.value));
    }
    return values;
  },
});

/** Config space as a guest reaches it: by loads and stores to the ECAM windows. */
export const guestConfig = (space: AddressSpace, windows: readonly EcamWindow[]): ConfigAccess =>
  new EcamAccess(guestMemory(space), windows);
