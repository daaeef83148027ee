import { describe, expect, it } from 'vitest';
import { compile, disassemble, hasIasl } from '../../test/support/iasl.js';
import { concat } from './bytes.js';
import { decodeName, encodeName, formatPath, resolveName } from './names.js';
import { qwordMemory, resourceTemplate } from './resources.js';
import { definitionBlock, HEADER_SIZE, readHeader, sum } from './table.js';
import { arg, buffer, device, equal, ifThen, integer, method, name, returns, scope, string, uuid } from './write.js';

const long = 'x'.repeat(0x50);
const longer = 'y'.repeat(0x1100);

/** The same twice: in ASL, and by the functions under test. */
const asl = `DefinitionBlock ("", "SSDT", 2, "PINBAR", "TEST", 1)
{
  Scope (\\_SB) {
    Device (PCI1) {
      Name (_ADR, Zero)
      Name (TEXT, "${long}")
      Name (AAAA, 0x12)
      Name (BBBB, 0x1234)
      Name (CCCC, 0x12345678)
      Name (DDDD, 0x123456789ABCDEF0)
      Name (_CRS, ResourceTemplate () {
        QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
          0, 0x8000000000, 0xFFFFFFFFFF, 0, 0x8000000000)
      })
      Method (_DSM, 4) {
        If (LEqual (Arg0, ToUUID ("e5c937d0-3553-4d7a-9117-ea4d19c3434d"))) {
          If (Arg2) { Return (Zero) }
          Return (Buffer (One) { 0x21 })
        }
        Return (Buffer (One) { 0 })
      }
    }
  }
  Name (\\_SB.PCI1.LONG, "${longer}")
}`;
const aml = concat(
  scope(
    '\\_SB',
    device(
      'PCI1',
      name('_ADR', integer(0n)),
      name('TEXT', string(long)),
      name('AAAA', integer(0x12n)),
      name('BBBB', integer(0x1234n)),
      name('CCCC', integer(0x1234_5678n)),
      name('DDDD', integer(0x1234_5678_9abc_def0n)),
      name('_CRS', buffer(resourceTemplate(qwordMemory(0x80_0000_0000n, 0xff_ffff_ffffn)))),
      method(
        '_DSM',
        4,
        ifThen(
          equal(arg(0), uuid('e5c937d0-3553-4d7a-9117-ea4d19c3434d')),
          ifThen(arg(2), returns(integer(0n))),
          returns(buffer(Uint8Array.of(0x21))),
        ),
        returns(buffer(Uint8Array.of(0))),
      ),
    ),
  ),
  name('\\_SB.PCI1.LONG', string(longer)),
);

describe.skipIf(!hasIasl)(hasIasl ? 'AML' : 'AML (skipped: no iasl)', () => {
  it('is what iasl makes of the same ASL', () => {
    // iasl adds up a resource template; 0 says that nobody did (ACPI 6.5 §6.4.2.9).
    const hex = (bytes: Uint8Array) =>
      Buffer.from(bytes)
        .toString('hex')
        .replace(/(?<=0000000080000000)79../, 'end tag');
    expect(hex(aml)).toBe(hex(compile(asl).slice(HEADER_SIZE)));
  });

  it('is a table that iasl reads without a complaint', () => {
    const block = definitionBlock('SSDT', 'TEST', aml);
    expect(readHeader(block)).toEqual({ signature: 'SSDT', length: block.length });
    expect(sum(block)).toBe(0);
    const text = disassemble(block);
    expect(text).toContain('0x000000FFFFFFFFFF, // Range Maximum');
    expect(text).not.toMatch(/checksum.*should be|error/i);
  });
});

describe('names', () => {
  it.each([
    ['\\', [0x5c, 0]],
    ['PCI', [...Buffer.from('PCI_')]],
    ['\\_SB.PCI0', [0x5c, 0x2e, ...Buffer.from('_SB_PCI0')]],
    ['^^A.B.C', [0x5e, 0x5e, 0x2f, 3, ...Buffer.from('A___B___C___')]],
  ])('%s', (text, bytes) => {
    const encoded = encodeName(text);
    expect([...encoded]).toEqual(bytes);
    expect(decodeName(encoded, 0)?.end).toBe(bytes.length);
  });

  it('are resolved from where they stand', () => {
    const at = (text: string) =>
      formatPath(resolveName(['_SB_', 'PCI0', 'S00_'], decodeName(encodeName(text), 0)!.name));
    expect(at('_ADR')).toBe('\\_SB_.PCI0.S00_._ADR');
    expect(at('^^GED')).toBe('\\_SB_.GED_');
    expect(at('\\_GPE')).toBe('\\_GPE');
  });

  it.each(['', '1AB', 'ABCDE', 'a', '.A', 'A..B'])('%j is none', (text) => {
    expect(() => encodeName(text)).toThrow(expect.objectContaining({ code: 'aml-name' }) as Error);
  });
});
