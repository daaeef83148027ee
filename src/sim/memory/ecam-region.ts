import { AddressRange } from '../../address/range.js';
import type { EcamWindow } from '../../pci/ecam.js';
import { readOp, writeOp, type ConfigAccess, type ConfigOp, type Width } from '../../pci/config-access.js';
import type { Bdf } from '../../pci/bdf.js';
import type { MemoryAccess } from './access.js';
import { priority, type Answer, type MemoryRegion } from './address-space.js';

/** Whoever answers config accesses of a function: `null`, at once or later, where it does not. */
export type ConfigResponder = (op: ConfigOp) => Promise<Answer | null> | null;

/** The range of an ECAM window. */
export const ecamRange = ({ base, firstBus, lastBus }: EcamWindow): AddressRange =>
  AddressRange.sized(base, BigInt(lastBus - firstBus + 1) << 20n);

/** The function and register that an address in the window means: PCI Express Base 6.0 §7.2.2. */
function decode(window: EcamWindow, address: bigint): { at: Bdf; register: number } {
  const offset = Number(address - window.base);
  const bus = window.firstBus + (offset >> 20);
  const at = { segment: window.segment, bus, device: (offset >> 15) & 0x1f, fn: (offset >> 12) & 7 };
  return { at, register: offset & 0xfff };
}

/**
 * Config space at CPU addresses. The responders are asked in order; where none has the function, what lies below the region
 * answers. Accesses of 8 bytes are made as two of 4, the lower first.
 */
export function ecamRegion(window: EcamWindow, responders: readonly ConfigResponder[]): MemoryRegion {
  const name = `config space of segment ${window.segment}`;
  const one = async (op: ConfigOp): Promise<Answer | null> => {
    for (const respond of responders) {
      const answer = await respond(op);
      if (answer) return answer;
    }
    return null;
  };
  return {
    name,
    range: ecamRange(window),
    priority: priority.device,
    answer: async (access) => {
      const { at, register } = decode(window, access.address);
      if (access.width !== 8) return one(opOf(access, at, register, access.width));
      const low = await one(opOf(access, at, register, 4));
      const high = low && (await one(opOf(access, at, register + 4, 4, 32n)));
      return low && high && { value: low.value | (high.value << 32n), by: low.by };
    },
  };
}

const opOf = (access: MemoryAccess, at: Bdf, register: number, width: Width, shift = 0n): ConfigOp =>
  access.kind === 'read'
    ? readOp(at, register, width)
    : writeOp(at, register, width, Number(BigInt.asUintN(32, access.value >> shift)));

/** A root complex: it answers for every function, with all ones where there is none. */
export const rootComplex =
  (access: ConfigAccess, by = 'root complex'): ConfigResponder =>
  async (op) => {
    const [value = 0] = await access.batch([op]);
    return { value: BigInt(value), by };
  };
