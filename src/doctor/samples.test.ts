import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { diagnose } from './diagnose.js';
import type { Diagnosis } from './finding.js';
import { diagnosisToJson } from './json.js';
import { EvidenceReader, gather } from './read.js';
import { diagnosisSchema } from './schema.js';

const folder = new URL('samples/', import.meta.url);
/** `CAUSE.what-is-special.txt`; what a machine prints, with addresses of no real one. */
const samples = readdirSync(folder)
  .filter((name) => name.endsWith('.txt'))
  .sort()
  .map((name) => ({
    name,
    cause: name.slice(0, name.indexOf('.')),
    text: readFileSync(new URL(name, folder), 'utf8'),
  }));

function diagnosisOf(text: string, pieces = [text]): Diagnosis {
  const reader = new EvidenceReader('input.txt');
  const encoder = new TextEncoder();
  for (const piece of pieces) reader.pushBytes(encoder.encode(piece));
  return diagnose(gather([reader.finish()]));
}

const firstCause = (text: string) => diagnosisOf(text).findings[0]?.cause ?? 'nothing';
const eachLine = (text: string, change: (line: string, index: number) => string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line, i) => change(line, i))
    .join('\n');

describe('samples of each cause', () => {
  it.each(samples)('$name: the cause is named first', ({ cause, text }) => {
    expect(firstCause(text)).toBe(cause);
  });

  it.each(samples)('$name: what is cited stands there, byte for byte', ({ text }) => {
    const lines = text.split('\n');
    for (const { evidence, proof, summary } of diagnosisOf(text).findings) {
      expect(evidence.length).toBeGreaterThan(0);
      for (const { source, raw } of evidence) expect(lines[source.line - 1]).toBe(raw);
      expect(`${summary} ${proof}`).not.toMatch(/undefined|NaN|null|\[object|\?\?/);
    }
  });

  it.each(samples)('$name: a fault has remedies, or a command that would settle it', ({ text }) => {
    const { findings, missing } = diagnosisOf(text);
    for (const { fault, remedies } of findings.filter(({ fault: is }) => is)) {
      expect(fault && remedies.length + missing.length).toBeGreaterThan(0);
    }
  });

  it.each(samples)('$name: its JSON is as the schema says', ({ text }) => {
    const json: unknown = JSON.parse(JSON.stringify(diagnosisToJson(diagnosisOf(text))));
    expect(v.parse(diagnosisSchema, json)).toEqual(json);
  });

  it('cover every cause', () => {
    const covered = new Set(samples.map(({ cause }) => cause));
    const { causes } = { causes: diagnosisSchema.pipe[0].entries.findings.pipe[0].item.entries.cause.options };
    expect(causes.filter((cause) => !covered.has(cause))).toEqual([]);
  });
});

/** What loggers, terminals, mail and containers do to a log. */
const wrappings: readonly (readonly [string, (text: string) => string, RegExp?])[] = [
  ['carriage returns', (text) => eachLine(text, (line) => `${line}\r`)],
  ['colours', (text) => eachLine(text, (line) => `\u001b[32m${line.slice(0, 4)}\u001b[0m${line.slice(4)}`), /^\t|^ *</],
  ['quoting in mail', (text) => eachLine(text, (line) => `> ${line}`)],
  ['quoting twice', (text) => eachLine(text, (line) => `> > ${line}`)],
  ['a journal', (text) => eachLine(text, (line) => `Dec 06 09:04:26 host kernel: ${line}`), /^(?!\[)/m],
  ['dmesg -T', (text) => eachLine(text, (line) => line.replace(/^\[ *[\d.]+\]/, '[Tue Aug 26 16:02:52 2025]'))],
  ['no time stamps', (text) => eachLine(text, (line) => line.replace(/^\[ *[\d.]+\] /, '')), /late/],
  ['a container’s log', (text) => eachLine(text, (line) => `level=info msg="${line}\\n" subsystem=agent`), /^(?!\[)/m],
];

describe('the same through loggers, terminals and mail', () => {
  for (const [what, wrap, unfit] of wrappings) {
    const fit = samples.filter(({ name, text }) => !unfit || !(unfit.test(text) || unfit.test(name)));
    it.each(fit)(`${what}: $name`, ({ cause, text }) => expect(firstCause(wrap(text))).toBe(cause));
  }

  it.each(samples)('$name in pieces of one byte, and of seven', ({ text }) => {
    const whole = diagnosisOf(text);
    for (const size of [1, 7]) {
      const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
      expect(diagnosisOf(text, pieces)).toEqual(whole);
    }
  });

  it.each(samples)('$name amid a thousand other lines', ({ cause, text }) => {
    const other = Array.from(
      { length: 1000 },
      (_, i) => `[    3.${String(i).padStart(6, '0')}] usb 1-${i % 9}: new high-speed USB device number ${i}`,
    );
    const mixed = text.startsWith('[')
      ? [...other.slice(0, 500), text.trimEnd(), ...other.slice(500)].join('\n')
      : `${text}\n${other.join('\n')}`;
    expect(firstCause(mixed)).toBe(cause);
  });
});

/** Kernels since 6.6 write `BAR 0 [mem …]: assigned` where older ones write `BAR 0: assigned [mem …]`, and name windows. */
function newStyle(line: string): string {
  const window = (index: string) => (['13', '14', '15'].includes(index) ? 'bridge window' : `BAR ${index}`);
  return line
    .replace(
      /BAR (\d+): no space for (\[[^\]]+\])/,
      (_, index: string, range: string) => `${window(index)} ${range}: can't assign; no space`,
    )
    .replace(
      /BAR (\d+): (failed to assign|assigned|releasing) (\[[^\]]+\])/,
      (_, index: string, verb: string, range: string) => `${window(index)} ${range}: ${verb}`,
    )
    .replace(/reg 0x10: /, 'BAR 0 ');
}

describe('the same on other machines', () => {
  it.each(samples)('$name, as newer kernels print it', ({ cause, text }) => {
    expect(firstCause(eachLine(text, newStyle))).toBe(cause);
  });

  it.each(samples.filter(({ text }) => /\b0000:00:/.test(text) && !/busid=/.test(text)))(
    '$name in another segment of a server',
    ({ cause, text }) => {
      const moved = text
        .replace(/\b0000:([0-9a-f]{2}:[0-9a-f]{2}\.\d)/g, '0003:$1')
        .replace(/(pci_bus |to bus |PCI Bus )0000:/g, '$10003:');
      // Chipsets and device trees differ in what is likely where nothing is shown: only proved findings have to stay.
      const { findings } = diagnosisOf(text);
      if (findings[0]?.confidence === 'certain') expect(firstCause(moved)).toBe(cause);
    },
  );
});
