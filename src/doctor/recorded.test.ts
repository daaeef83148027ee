import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { diagnose } from './diagnose.js';
import type { Diagnosis } from './finding.js';
import { EvidenceReader, gather } from './read.js';

/** `CAUSE.NAME.txt`: what real guests and QEMU printed, recorded by scripts/record-failures.ts. */
const folder = new URL('samples/recorded/', import.meta.url);
const recordings = readdirSync(folder)
  .sort()
  .map((name) => ({
    name,
    cause: name.slice(0, name.indexOf('.')),
    text: readFileSync(new URL(name, folder), 'utf8'),
  }));

function diagnosisOf(...texts: string[]): Diagnosis {
  const parts = texts.map((text, i) => {
    const reader = new EvidenceReader(`${i}.txt`);
    reader.pushBytes(new TextEncoder().encode(text));
    return reader.finish();
  });
  return diagnose(gather(parts));
}

const firstOf = ({ findings }: Diagnosis) => findings[0]?.cause ?? 'nothing';
const each = (text: string, change: (line: string) => string) => text.split('\n').map(change).join('\n');

describe('recordings of real guests', () => {
  it.each(recordings)('$name: the cause is named first, from lines that stand there', ({ cause, text }) => {
    const diagnosis = diagnosisOf(text);
    expect(firstOf(diagnosis)).toBe(cause);
    const lines = text.split('\n');
    for (const { evidence } of diagnosis.findings) {
      for (const { source, raw } of evidence) expect(lines[source.line - 1]).toBe(raw);
    }
  });

  const wrappings: readonly (readonly [string, (text: string) => string])[] = [
    ['with carriage returns', (text) => each(text, (line) => `${line}\r`)],
    ['from a journal', (text) => each(text, (line) => `Nov 21 17:33:02 host kernel: ${line}`)],
    ['from journalctl with ISO dates', (text) => each(text, (line) => `2026-11-21T17:33:02+0000 host kernel: ${line}`)],
    ['of dmesg -T', (text) => each(text, (line) => line.replace(/^\[ *[\d.]+\]/, '[Sat Nov 21 17:33:02 2026]'))],
    ['of dmesg --color', (text) => each(text, (line) => line.replace(/^(\[ *[\d.]+\]) /, '\u001b[32m$1 \u001b[0m'))],
    ['of dmesg -x', (text) => each(text, (line) => line.replace(/^(?=\[ )/, '<6>'))],
  ];
  // Listings have no prefixes of loggers.
  const logs = recordings.filter(({ text }) => !/^\S\S:\S\S\.\d |^\$ qemu/m.test(text));
  for (const [how, wrap] of wrappings) {
    it.each(logs)(`$name, ${how}`, ({ cause, text }) => expect(firstOf(diagnosisOf(wrap(text)))).toBe(cause));
  }

  it.each(recordings)('$name: cut anywhere, only less is found', ({ text }) => {
    const known = new Set([...diagnosisOf(text).findings.map(({ cause }) => cause)]);
    const lines = text.split('\n');
    for (let end = 40; end < lines.length; end += Math.ceil(lines.length / 12)) {
      for (const { cause, confidence, fault } of diagnosisOf(lines.slice(0, end).join('\n')).findings) {
        expect(known.has(cause) || !fault || confidence !== 'certain').toBe(true);
      }
    }
  });

  it('a healthy guest beside a failing one adds nothing', () => {
    const healthy = recordings.find(({ cause }) => cause === 'nothing')!;
    for (const { cause, text } of recordings) expect(firstOf(diagnosisOf(healthy.text, text))).toBe(cause);
  });

  it('several boots in one file: each counts by itself', () => {
    const healthy = recordings.find(({ cause }) => cause === 'nothing')!;
    for (const { cause, text } of logs) expect(firstOf(diagnosisOf(`${healthy.text}\n${text}`))).toBe(cause);
  });
});
