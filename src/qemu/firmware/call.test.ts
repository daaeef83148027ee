import { describe, expect, it } from 'vitest';
import { concat, fromAscii, little } from '../../acpi/bytes.js';
import { decodeAddressSpaces, qwordMemory, resourceTemplate } from '../../acpi/resources.js';
import { AddressRange } from '../../address/range.js';
import type { ConfigAccess, ConfigOp } from '../../pci/config-access.js';
import { callSign, mailbox } from '../../uefi/driver/caller.js';
import type { PhysicalMemory } from '../physical-memory.js';
import { answer, listRanges, takeCall } from './call.js';

const ram = [AddressRange.sized(0x4000_0000n, 0x4000_0000n)];

interface Made {
  readonly at?: bigint;
  readonly mark?: number;
  readonly signature?: string;
  /** Instead of the mailbox. */
  readonly list?: Uint8Array;
}

/** A host bridge with a call in its registers, and memory with a mailbox. */
function machine({ at = 0x7f00_0000n, mark = callSign.mark, signature = mailbox.signature, list }: Made = {}) {
  const registers = new Map<number, number>([
    [callSign.register, Number(at & 0xffff_ffffn)],
    [callSign.register + 4, Number(at >> 32n)],
    [callSign.register + 8, mark],
  ]);
  const carryOut = (op: ConfigOp) => {
    if (op.kind === 'read') return registers.get(op.register) ?? 0;
    registers.set(op.register, op.value);
    return 0;
  };
  const access = { batch: (ops: readonly ConfigOp[]) => Promise.resolve(ops.map(carryOut)) } as unknown as ConfigAccess;
  const content = list ?? concat(fromAscii(signature), little(0x7e00_0000n, 8), little(1n, 8));
  const written: [bigint, Uint8Array][] = [];
  const memory = {
    readBytes: (address: bigint, size: number) =>
      Promise.resolve(address === at ? content.slice(0, size) : new Uint8Array(size)),
    writeBytes: (address: bigint, bytes: Uint8Array) => Promise.resolve(void written.push([address, bytes])),
  } as unknown as PhysicalMemory;
  return { access, memory, registers, written };
}

describe('what the root bridge lists', () => {
  const call = { mailbox: 0x7f00_0000n, systemTable: 0n, listed: 0x7f00_0000n };

  it('goes to the mailbox, and then that it does', async () => {
    const { memory, written } = machine({ list: resourceTemplate(qwordMemory(0x1000_0000n, 0x1fff_ffffn)) });
    await listRanges(memory, call, [AddressRange.sized(0x6b_8000_0000n, 0x1000n)], false);
    expect(written.map(([at]) => at - call.mailbox)).toEqual([40n, 32n]);
    expect(decodeAddressSpaces(written[0]![1]).map(({ base }) => base)).toEqual([0x1000_0000n, 0x6b_8000_0000n]);
    expect(written[1]![1]).toEqual(little(1n, 8));
  });

  it.each([
    ['is no list', new Uint8Array(600), 'acpi-resources'],
    [
      'has no room for more',
      resourceTemplate(...new Array<Uint8Array>(11).fill(qwordMemory(1n, 2n))),
      'uefi-resources',
    ],
  ])('and %s is refused, with nothing written', async (_, list, code) => {
    const { memory, written } = machine({ list });
    await expect(listRanges(memory, call, [AddressRange.sized(0x6b_8000_0000n, 0x1000n)], false)).rejects.toThrow(
      expect.objectContaining({ code, exit: 3 }) as Error,
    );
    expect(written).toEqual([]);
  });
});

describe('the driver’s call', () => {
  it('is taken, once, and answered', async () => {
    const { access, memory, registers, written } = machine();
    const call = await takeCall(access, memory, ram);
    expect(call).toEqual({ mailbox: 0x7f00_0000n, systemTable: 0x7e00_0000n, listed: 0n });
    expect([...registers.values()]).toEqual([0, 0, 0]);
    expect(await takeCall(access, memory, ram)).toBeNull();
    await answer(memory, call!);
    expect(written).toEqual([[0x7f00_0010n, new Uint8Array(8)]]);
  });

  it('is none without its mark, and nothing is written then', async () => {
    const { access, memory, registers } = machine({ mark: 0 });
    expect(await takeCall(access, memory, ram)).toBeNull();
    expect(registers.get(callSign.register)).toBe(0x7f00_0000);
  });

  it.each([
    ['leads out of RAM', { at: 0x8_0000_0000n }],
    ['leads across the end of RAM', { at: 0x7fff_fff0n }],
    ['leads to something else', { signature: 'pinbar 0' }],
  ])('that %s is refused', async (_, made) => {
    const { access, memory } = machine(made);
    await expect(takeCall(access, memory, ram)).rejects.toThrow(
      expect.objectContaining({ code: 'uefi-call', exit: 3 }) as Error,
    );
  });
});
