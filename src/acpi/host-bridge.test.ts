import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile, disassemble, hasIasl } from '../../test/support/iasl.js';
import { AddressRange } from '../address/range.js';
import { Problem } from '../problem/problem.js';
import { ascii, concat, fromAscii, little } from './bytes.js';
import { findDsdt } from './find.js';
import { hostBridgeWindows, isHigh, keepBars, keepBootConfiguration, moveHighWindow } from './host-bridge.js';
import { definitions } from './namespace.js';
import { qwordMemory, resourceTemplate } from './resources.js';
import { definitionBlock, HEADER_SIZE, sum, withChecksum } from './table.js';
import { arg, buffer, device, equal, ifThen, integer, method, name, returns, scope, uuid } from './write.js';

const range = (base: bigint, limit: bigint) => AddressRange.of(base, limit);
const high = range(0x80_0000_0000n, 0xff_ffff_ffffn);

/** As QEMU's boards have it: the method answers that there is no function but 0. */
const dsm = method(
  '_DSM',
  4,
  ifThen(
    equal(arg(0), uuid('e5c937d0-3553-4d7a-9117-ea4d19c3434d')),
    ifThen(equal(arg(2), integer(0n)), returns(buffer(Uint8Array.of(1)))),
  ),
  returns(buffer(Uint8Array.of(0))),
);
const crs = name('_CRS', buffer(resourceTemplate(qwordMemory(high.base, high.limit))));
const dsdt = (...terms: Uint8Array[]) =>
  definitionBlock('DSDT', 'TEST', scope('\\_SB', device('OTHR', method('_DSM', 4)), device('PCI0', ...terms)));

describe('a host bridge in a DSDT', () => {
  it('keeps its BARs by the method that was there, in the same bytes', () => {
    const table = dsdt(crs, dsm, name('LAST', integer(5n)));
    const edited = keepBars(table);
    expect(edited.length).toBe(table.length);
    expect(sum(edited)).toBe(0);
    const at = [...definitions(edited)].find(({ path }) => path === '\\_SB_.PCI0._DSM')!;
    expect([...edited.subarray(at.start, at.start + keepBootConfiguration.length)]).toEqual([...keepBootConfiguration]);
    // Nothing but this method and the checksum has changed.
    const same = (i: number) => i === 9 || (at.start <= i && i < at.end) || edited[i] === table[i];
    expect([...edited.keys()].every(same)).toBe(true);
  });

  it.each([
    ['none', dsdt(crs), /no method/],
    ['one that is too short', dsdt(crs, method('_DSM', 4, returns(integer(0n)))), /has 2 bytes/],
  ])('%s: refused', (_, table, message) => {
    expect(() => keepBars(table)).toThrow(expect.objectContaining({ code: 'acpi-dsm', exit: 3 }) as Error);
    expect(() => keepBars(table)).toThrow(message);
  });

  it('has its window above 4 GiB moved', () => {
    const edited = moveHighWindow(dsdt(dsm, crs), range(0x1_0000_0000n, 0x1_ffff_ffffn));
    expect(hostBridgeWindows(edited)).toMatchObject([
      { kind: 'memory', width: 8, base: 0x1_0000_0000n, limit: 0x1_ffff_ffffn, translation: 0n },
    ]);
    expect(sum(edited)).toBe(0);
  });

  it.each([
    ['no window there', dsdt(name('_CRS', buffer(resourceTemplate(qwordMemory(0xc000_0000n, 0xcfff_ffffn)))))],
    ['no _CRS', dsdt(dsm)],
    ['a _CRS that is no buffer', dsdt(name('_CRS', integer(0n)))],
    [
      'two windows',
      dsdt(
        name(
          '_CRS',
          buffer(resourceTemplate(qwordMemory(1n << 40n, (1n << 41n) - 1n), qwordMemory(1n << 41n, (1n << 42n) - 1n))),
        ),
      ),
    ],
  ])('%s: refused', (_, table) => {
    expect(() => moveHighWindow(table, high)).toThrow(expect.objectContaining({ code: 'acpi-crs', exit: 3 }) as Error);
  });

  it('of a damaged table is not edited', () => {
    const table = dsdt(crs, dsm);
    table[40]! ^= 1;
    expect(() => keepBars(table)).toThrow(expect.objectContaining({ code: 'acpi-table' }) as Error);
  });

  it('whatever the table holds, the answer is a table of the same size or a problem', () => {
    const whole = dsdt(crs, dsm, name('LAST', integer(5n)));
    const broken = fc
      .array(fc.tuple(fc.integer({ min: HEADER_SIZE, max: whole.length - 1 }), fc.integer({ min: 0, max: 255 })), {
        minLength: 1,
        maxLength: 6,
      })
      .map((changes) => {
        const table = whole.slice();
        for (const [at, byte] of changes) table[at] = byte;
        return withChecksum(table);
      });
    fc.assert(
      fc.property(broken, (table) => {
        for (const edit of [keepBars, (one: Uint8Array) => moveHighWindow(one, high)]) {
          try {
            expect(edit(table).length).toBe(table.length);
          } catch (error) {
            expect(error).toBeInstanceOf(Problem);
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the way to the DSDT', () => {
  const table = dsdt(crs, dsm);
  const memory = (wide: boolean) => {
    const sdt = (signature: string, body: Uint8Array) =>
      withChecksum(
        concat(fromAscii(signature), little(BigInt(HEADER_SIZE + body.length), 4), new Uint8Array(28), body),
      );
    const fadt = new Uint8Array(232);
    if (wide) fadt.set(little(0x4000n, 8), 140 - HEADER_SIZE);
    else fadt.set(little(0x4000n, 4), 40 - HEADER_SIZE);
    const rsdp = concat(
      fromAscii('RSD PTR '),
      0,
      fromAscii('BOCHS '),
      2,
      new Uint8Array(8),
      little(0x2000n, 8),
      0,
      0,
      0,
      0,
    );
    const places: [number, Uint8Array][] = [
      [0x1000, rsdp],
      [0x2000, sdt('XSDT', concat(little(0x2800n, 8), little(0x3000n, 8)))],
      [0x2800, sdt('APIC', new Uint8Array(8))],
      [0x3000, sdt('FACP', fadt)],
      [0x4000, table],
    ];
    const bytes = new Uint8Array(0x8000);
    for (const [at, content] of places) bytes.set(content, at);
    return { bytes, read: (at: bigint, size: number) => Promise.resolve(bytes.slice(Number(at), Number(at) + size)) };
  };

  it.each([true, false])('leads there (64-bit pointer: %s)', async (wide) => {
    expect(await findDsdt(memory(wide).read, 0x1000n)).toEqual({ address: 0x4000n, bytes: table });
  });

  it.each([
    ['no root pointer', 0x1000, /no root pointer/],
    ['no XSDT', 0x2000, /no XSDT at 0x2000/],
    ['no FADT', 0x3000, /no FADT/],
    ['no DSDT', 0x4000, /no DSDT at 0x4000/],
  ])('%s', async (_, at, message) => {
    const { bytes, read } = memory(true);
    bytes[at] = 0;
    await expect(findDsdt(read, 0x1000n)).rejects.toThrow(message);
  });
});

/** What QEMU's tables have outside of methods, and what others do. */
const asl = `DefinitionBlock ("", "DSDT", 2, "PINBAR", "TEST", 1)
{
  External (\\_SB.LNKA, DeviceObj)
  Name (PKG, Package () { 1, "two", Package () { 3 }, \\_SB })
  Name (ALLO, Ones)
  Alias (PKG, PKH)
  Mutex (MTX, 0)
  Event (EVT)
  OperationRegion (REG, SystemIO, 0x600, 0x10)
  Field (REG, DWordAcc, NoLock, WriteAsZeros) { ABCD, 32, DATA, 8 }
  IndexField (ABCD, DATA, ByteAcc, NoLock, Preserve) { EFGH, 8 }
  If (LEqual (1, 1)) { Name (INIF, 1) } Else { Name (INEL, 1) }
  PowerResource (PWR, 0, 0) { Method (_STA) { Return (1) } }
  ThermalZone (TZ) { Name (ZONE, "zone") }
  Scope (\\_SB) {
    Processor (CPU0, 0, 0x410, 6) { Name (_UID, 0) }
    Device (PCI0) {
      Name (_HID, EisaId ("PNP0A08"))
      Device (S00) { Name (_ADR, 0) Method (^SIBL) { Return (0) } }
      Name (_CRS, ResourceTemplate () {
        WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0xff, 0, 0x100)
        IO (Decode16, 0xcf8, 0xcf8, 1, 8)
        WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange, 0, 0xd00, 0xffff, 0, 0xf300)
        DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite, 0, 0xc0000000, 0xfebfffff, 0, 0x3ec00000)
        QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite, 0, 0x8000000000, 0x87ffffffff, 0, 0x800000000)
      })
      Method (_DSM, 4) { Return ("a method that has more bytes than what goes in its place") }
    }
  }
}`;

describe.skipIf(!hasIasl)(hasIasl ? 'a DSDT that iasl made' : 'a DSDT that iasl made (skipped: no iasl)', () => {
  it('is read to its end', () => {
    expect([...definitions(compile(asl))].map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'name \\PKG_',
      'name \\ALLO',
      'method \\PWR_._STA',
      'name \\TZ__.ZONE',
      'name \\_SB_.CPU0._UID',
      'device \\_SB_.PCI0',
      'name \\_SB_.PCI0._HID',
      'device \\_SB_.PCI0.S00_',
      'name \\_SB_.PCI0.S00_._ADR',
      'method \\_SB_.PCI0.SIBL',
      'name \\_SB_.PCI0._CRS',
      'method \\_SB_.PCI0._DSM',
    ]);
  });

  it('says what its windows are, and has one moved', () => {
    const windows = hostBridgeWindows(compile(asl));
    expect(
      windows.map(({ kind, width, base, limit }) => `${kind} ${width} ${base.toString(16)}-${limit.toString(16)}`),
    ).toEqual(['bus 2 0-ff', 'io 2 d00-ffff', 'memory 4 c0000000-febfffff', 'memory 8 8000000000-87ffffffff']);
    expect(windows.filter(isHigh)).toHaveLength(1);
    const text = disassemble(moveHighWindow(compile(asl), range(0x6b_8000_0000n, 0x73_7fff_ffffn)));
    expect(text).toMatch(
      /0x0000006B80000000, \/\/ Range Minimum\s+0x000000737FFFFFFF, \/\/ Range Maximum\s+0x0+, .*\s+0x0000000800000000, \/\/ Length/,
    );
    expect(text).toContain('0xFEBFFFFF');
  });

  it('answers function 5 of its _DSM with 0', () => {
    const edited = keepBars(compile(asl));
    expect(ascii(edited.subarray(0, 4))).toBe('DSDT');
    expect(disassemble(edited)).toMatch(
      /Method \(_DSM, 4[^]*e5c937d0-3553-4d7a-9117-ea4d19c3434d[^]*If \(Arg2\)\s+\{\s+Return \(Zero\)\s+\}\s+Return \(Buffer \(One\)\s+\{\s+0x21/,
    );
  });
});
