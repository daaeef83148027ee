import { describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { compile, disassemble, hasIasl } from '../../../test/support/iasl.js';
import { hostBridgeWindows } from '../../acpi/host-bridge.js';
import { decodeAddressSpaces } from '../../acpi/resources.js';
import { HEADER_SIZE, readHeader, sum } from '../../acpi/table.js';
import { exportAml } from './aml.js';
import { exportAsl } from './asl.js';

const two = `
pinbar: 1
machine: { arch: aarch64, board: none, ram: [{ base: 0x40000000, size: 1GiB }] }
hostBridges:
  - id: a
    buses: [0, 0x7f]
    windows: [{ type: io, base: 0x1000, size: 60KiB }, { type: mem32, base: 0x10000000, size: 256MiB, cpuBase: 0x8010000000 }]
  - id: b
    segment: 1
    windows: [{ type: mem64, base: 0x100000000, size: 4GiB, cpuBase: 0x80000000 }]
`;

describe('ACPI host bridges', () => {
  it('one of everything', async () => {
    expect(exportAsl(await sourceOf(oneOfEverything)).content).toMatchSnapshot();
  });

  it('have windows that are read back as they are in the plan', async () => {
    const table = exportAml(await sourceOf(oneOfEverything)).content as Uint8Array;
    expect(readHeader(table)).toEqual({ signature: 'SSDT', length: table.length });
    expect(sum(table)).toBe(0);
    const start = Buffer.from(table).indexOf(Buffer.from([0x88, 0x0d, 0]));
    expect(decodeAddressSpaces(table.subarray(start))).toMatchObject([
      { kind: 'bus', width: 2, base: 0n, limit: 0xffn, translation: 0n },
      { kind: 'io', width: 4, base: 0n, limit: 0xffffn, translation: 0x3eff0000n },
      { kind: 'memory', width: 4, base: 0x10000000n, limit: 0x3efeffffn, translation: 0n },
      { kind: 'memory', width: 8, base: 0x400000000000n, limit: 0x7fffffffffffn, translation: 0n },
    ]);
    // Of a DSDT, which this is not.
    expect(() => hostBridgeWindows(table)).toThrow('DSDT');
  });

  it('say where the CPU sees ports only if the machine does', async () => {
    const { plan, options } = await sourceOf(oneOfEverything);
    const { content, notes } = exportAsl({ plan, options });
    expect(content).not.toContain('DWordIO');
    expect(notes).toEqual([
      'where the CPU sees the I/O window of pcie.0 is not in a plan: it is left out; --machine FILE says it',
    ]);
  });
});

describe.skipIf(!hasIasl)(hasIasl ? 'against iasl' : 'against iasl (skipped: no iasl)', () => {
  it.each([
    ['one of everything', oneOfEverything],
    ['two host bridges that translate', two],
  ])('%s: the source compiles to the table', async (_, text) => {
    const source = await sourceOf(text);
    const table = exportAml(source).content as Uint8Array;
    const compiled = compile(exportAsl(source).content as string);
    // iasl adds up a resource template; 0 says that nobody did (ACPI 6.5 §6.4.2.9).
    const hex = (bytes: Uint8Array) =>
      Buffer.from(bytes.subarray(HEADER_SIZE))
        .toString('hex')
        .replaceAll(/79..(?=14|5b82)/g, '79');
    expect(hex(table)).toBe(hex(compiled));
    expect(disassemble(table)).toContain('WordBusNumber');
  });
});
