import fc from 'fast-check';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { diagnose } from './diagnose.js';
import { diagnosisToJson } from './json.js';
import { withPlacement } from './oracle/with-placement.js';
import { EvidenceReader, gather, type FileEvidence } from './read.js';
import { diagnosisSchema } from './schema.js';

/** Lines that rules look for: every sample's. */
const folder = new URL('samples/', import.meta.url);
const lines = readdirSync(folder)
  .filter((name) => name.endsWith('.txt'))
  .flatMap((name) => readFileSync(new URL(name, folder), 'utf8').trimEnd().split('\n'));
/** Logs of whole boots, which are held against what the guests' models do. */
const boots = readdirSync(new URL('placed-by/', folder)).map((name) =>
  readFileSync(new URL(`placed-by/${name}`, folder), 'utf8')
    .trimEnd()
    .split('\n'),
);

const read = (bytes: Uint8Array, piece = bytes.length || 1): FileEvidence => {
  const reader = new EvidenceReader('hostile.txt');
  for (let i = 0; i < bytes.length; i += piece) reader.pushBytes(bytes.subarray(i, i + piece));
  return reader.finish();
};

/** Diagnoses, and holds the diagnosis against its schema and its text. */
function examine(text: string): void {
  const evidence = gather([read(new TextEncoder().encode(text))]);
  const json = diagnosisToJson(withPlacement(diagnose(evidence), evidence));
  v.parse(diagnosisSchema, json);
  const there = text.split('\n').map((line) => line.replace(/\r$/, ''));
  for (const { evidence: cited } of [...json.findings, ...(json.placedBy ?? [])]) {
    for (const one of cited) expect(there[one.line - 1]?.startsWith(one.text.slice(0, 4096))).toBe(true);
  }
}

const digit = fc.constantFrom(...Array.from('0123456789abcdef'));
/** A line of a sample in which some digits are others, and which may be cut. */
const mutated = fc
  .tuple(fc.constantFrom(...lines), fc.array(fc.tuple(fc.nat(200), digit), { maxLength: 12 }), fc.nat(400))
  .map(([line, changes, end]) => {
    const letters = Array.from(line);
    for (const [at, to] of changes) if (/[0-9a-f]/.test(letters[at] ?? '')) letters[at] = to;
    return letters.join('').slice(0, end < 200 ? end + 20 : undefined);
  });

describe('hostile input', () => {
  it('lines of all samples, mixed, cut and with other numbers', () => {
    fc.assert(
      fc.property(fc.array(mutated, { maxLength: 60 }), (mix) => examine(mix.join('\n'))),
      { numRuns: 400 },
    );
  });

  it('logs of whole boots, in which lines are gone, out of order and with other numbers', () => {
    const digits = fc.array(fc.tuple(fc.nat(200), digit), { minLength: 1, maxLength: 3 });
    const change = fc.record({ at: fc.nat(1000), digits, drop: fc.boolean(), to: fc.nat(1000) });
    fc.assert(
      fc.property(fc.constantFrom(...boots), fc.array(change, { maxLength: 12 }), (boot, changes) => {
        const changed = [...boot];
        for (const { at, digits: digitsOf, drop, to } of changes) {
          const [line = ''] = changed.splice(at % changed.length, 1);
          const letters = Array.from(line);
          for (const [i, other] of digitsOf) if (/[0-9a-f]/.test(letters[i] ?? '')) letters[i] = other;
          if (!drop) changed.splice(to % changed.length, 0, letters.join(''));
        }
        examine(changed.join('\n'));
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it('any bytes, in any pieces', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4000 }), fc.integer({ min: 1, max: 99 }), (bytes, piece) => {
        expect(diagnose(gather([read(bytes, piece)]))).toEqual(diagnose(gather([read(bytes)])));
      }),
    );
  });

  it.each([
    ['a window that ends before it begins', 'pci_bus 0000:00: root bus resource [mem 0xffff-0x0]'],
    ['all of 64 bits', 'pci_bus 0000:00: root bus resource [mem 0x0-0xffffffffffffffff]'],
    ['a size of nothing', 'pci 0000:00:01.0: BAR 0: no space for [mem size 0x0]'],
    ['the largest size', 'pci 0000:00:01.0: BAR 0: no space for [mem size 0xffffffffffffffff 64bit pref]'],
    ['a mapping beyond all', 'vfio_dma_map(0x1, 0xffffffffffffffff, 0xffffffffffffffff, 0x1) = -22 (Invalid argument)'],
    ['a bar number beyond all', 'pci 0000:00:01.0: BAR 99: no space for [mem size 0x1000]'],
    [
      'ECAM of more digits than an address has',
      'PCI: ECAM [mem 0x80000000-0x8ff18446744073709551615] (base 0x80000000) for domain 0000 [bus 00-ff]',
    ],
    [
      'reserved regions that end before they begin',
      '0x00000000fee00000 0x0000000000000000 msi\nvfio_dma_map(0x1, 0xfee00000, 0x10000, 0x1) = -22 (Invalid argument)',
    ],
    [
      'a claim that ends before it begins',
      'pnp 00:05: disabling [mem 0x0] because it overlaps 0000:01:00.0 BAR 7 [mem 0xffff-0x0]',
    ],
    [
      'a move beyond all',
      'kvm: pci_bar_move_failed\nmoving BAR from 0xffffffffffffffff to 0xffffffffffffffff size 0xffffffffffffffff',
    ],
    ['RAM beyond all', 'qemu-system-aarch64 -M virt -m 16777215T -device vfio-pci,host=01:00.0'],
    [
      'a bridge that is its own',
      'pci 0000:01:00.0: PCI bridge to [bus 01-ff]\npci 0000:01:00.0: BAR 14: no space for [mem size 0x100000]',
    ],
  ])('%s', (_, text) => {
    examine(text);
    examine(`pci_bus 0000:00: root bus resource [mem 0x10000000-0x3efeffff]\n${text}\n${text}`);
  });

  it('bridges one behind the other in a ring end somewhere', () => {
    const ring = Array.from({ length: 64 }, (_, i) => {
      const [bus, next] = [i, (i + 1) % 64].map((n) => n.toString(16).padStart(2, '0'));
      return `pci 0000:${bus}:00.0: PCI bridge to [bus ${next}]\npci 0000:${bus}:00.0: BAR 14: no space for [mem size 0x100000]`;
    });
    examine(ring.join('\n'));
  });

  it('what is kept does not grow with what comes', () => {
    const reader = new EvidenceReader('long.txt');
    const encoder = new TextEncoder();
    const block = encoder.encode(
      Array.from(
        { length: 1000 },
        (_, i) =>
          `[    1.000000] pci 0000:0${i % 9}:1${i % 10}.0: BAR 14: no space for [mem size 0x00${(i % 9) + 1}00000]`,
      ).join('\n') + '\n',
    );
    for (let i = 0; i < 300; i++) reader.pushBytes(block);
    const evidence = reader.finish();
    expect(evidence.file.lines).toBe(300_000);
    expect(evidence.lines.length).toBeLessThanOrEqual(80_000);
    expect(evidence.resources.length).toBeLessThanOrEqual(20_000);
    expect(diagnose(gather([evidence])).findings.length).toBeLessThanOrEqual(6);
  }, 60_000);
});
