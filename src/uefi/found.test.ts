import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromAscii, little } from '../acpi/bytes.js';
import { uuidBytes } from '../acpi/uuid.js';
import { AddressRange } from '../address/range.js';
import { guid } from './guids.js';
import { biosInformation, findEntryPoint } from './smbios.js';
import { findSystemTable, readSystemTable } from './system-table.js';

/** Memory with zeros where nothing was put. */
class Memory {
  readonly #pieces: { readonly at: bigint; readonly bytes: Uint8Array }[] = [];
  reads = 0;

  put(at: bigint, ...parts: (number | Uint8Array)[]): this {
    this.#pieces.push({ at, bytes: concat(...parts) });
    return this;
  }

  readonly read = (at: bigint, size: number): Promise<Uint8Array> => {
    this.reads++;
    const out = new Uint8Array(size);
    for (const { at: base, bytes } of this.#pieces) {
      bytes.forEach((byte, i) => {
        const offset = base + BigInt(i) - at;
        if (offset >= 0n && offset < BigInt(size)) out[Number(offset)] = byte;
      });
    }
    return Promise.resolve(out);
  };
}

const wide = (text: string) => Uint8Array.from(Buffer.from(`${text}\0`, 'utf16le'));
const SIGNATURE = little(0x5453_5953_2049_4249n, 8);

/** A system table as UEFI 2.10 §4.3 has it, with one configuration table. */
function withSystemTable(at: bigint, vendor: string, count = 1n): Memory {
  const table = new Uint8Array(0x78);
  table.set(SIGNATURE, 0);
  table.set(little(at + 0x100n, 8), 0x18);
  table.set(little(count, 8), 0x68);
  table.set(little(at + 0x400n, 8), 0x70);
  return new Memory()
    .put(at, table)
    .put(at + 0x100n, wide(vendor))
    .put(at + 0x400n, uuidBytes(guid.acpi20Table), little(0x1234_5678n, 8));
}

describe('a system table', () => {
  it('has its vendor and its configuration tables', async () => {
    const table = await readSystemTable(withSystemTable(0x7f00_0000n, 'EDK II').read, 0x7f00_0000n);
    expect(table.vendor).toBe('EDK II');
    expect(table.configuration(guid.acpi20Table)).toBe(0x1234_5678n);
    expect(table.configuration(guid.smbios3Table)).toBeUndefined();
  });

  it('with a count beyond all measure is read only so far, and what no terminal should see is not handed on', async () => {
    const { read } = withSystemTable(0x7f00_0000n, 'a\u001b[2Jb', 0xffff_ffff_ffff_ffffn);
    const table = await readSystemTable(read, 0x7f00_0000n);
    expect(table.vendor).toBe('a?[2Jb');
    expect(table.configuration(guid.acpi20Table)).toBe(0x1234_5678n);
  });

  it('that is none is refused', async () => {
    await expect(readSystemTable(new Memory().read, 0x1000n)).rejects.toThrow(
      expect.objectContaining({ code: 'uefi-system-table', exit: 3 }) as Error,
    );
  });

  const ram = [AddressRange.sized(0x4000_0000n, 0x4000_0000n)];

  it('is found by the pointer that EDK2 leaves for debuggers, past one that leads nowhere', async () => {
    const memory = withSystemTable(0x5000_0000n, 'EDK II')
      .put(0x7fc0_0000n, SIGNATURE, little(0x6000_0000n, 8))
      .put(0x7f80_0000n, SIGNATURE, little(0x5000_0000n, 8));
    expect((await findSystemTable(memory.read, ram))?.vendor).toBe('EDK II');
  });

  it('is looked for in a bounded part of RAM', async () => {
    const memory = new Memory();
    expect(await findSystemTable(memory.read, [AddressRange.sized(0n, 1n << 45n)])).toBeNull();
    expect(memory.reads).toBeLessThanOrEqual(1024);
  });
});

/** Type 1 with no strings, type 0 with two, and the end. */
const structures = concat(
  ...[concat(1, 4, 0, 0), new Uint8Array(2)],
  ...[concat(0, 6, 0, 0, 1, 2), fromAscii('EFI Development\0'), fromAscii('2025.02\0'), 0],
  ...[concat(127, 4, 0, 0), new Uint8Array(2)],
);
const entry3 = concat(fromAscii('_SM3_'), new Uint8Array(7), little(0x1000n, 4), little(0x9000n, 8), new Uint8Array(8));
const entry2 = concat(fromAscii('_SM_'), new Uint8Array(18), little(BigInt(structures.length), 2), little(0x9000n, 4));

describe('BIOS information', () => {
  it.each([
    ['64-bit', entry3],
    ['32-bit', entry2],
  ])('is found by a %s entry point', async (_, entry) => {
    const memory = new Memory().put(0xf_5a80n, entry).put(0x9000n, structures);
    expect(await findEntryPoint(memory.read)).toBe(0xf_5a80n);
    expect(await biosInformation(memory.read, 0xf_5a80n)).toEqual({ vendor: 'EFI Development', version: '2025.02' });
  });

  it('is null where there is none', async () => {
    expect(await findEntryPoint(new Memory().read)).toBeNull();
    expect(await biosInformation(new Memory().read, 0xf_0000n)).toBeNull();
    const broken = new Memory().put(0xf_0000n, entry3).put(0x9000n, concat(0, 3, 0, 0));
    expect(await biosInformation(broken.read, 0xf_0000n)).toBeNull();
  });

  it('of any bytes at all ends, and hands on nothing but printable text', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const found = await biosInformation(new Memory().put(0n, entry3).put(0x9000n, bytes).read, 0n);
        expect(`${found?.vendor ?? ''}${found?.version ?? ''}`).toMatch(/^[ -~]*$/);
      }),
    );
  });
});
