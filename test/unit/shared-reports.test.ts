import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.js';
import type { Diagnosis } from '../../src/doctor/finding.js';
import { withPlacement } from '../../src/doctor/oracle/with-placement.js';
import { EvidenceReader, gather } from '../../src/doctor/read.js';
import { sharedFolder } from '../support/shared.js';

/** A public report, with what a person found in it. */
interface Report {
  readonly inputs: readonly { readonly file: string }[];
  readonly cause: string;
  readonly fault: boolean;
  readonly causeEvidence: readonly string[];
}

const folder = sharedFolder('corpus');
const names = folder ? readdirSync(folder).filter((name) => /^\d/.test(name)) : [];

const open = (name: string) => {
  const report = JSON.parse(readFileSync(join(folder!, name, 'case.json'), 'utf8')) as Report;
  const texts = report.inputs.map(({ file }) => ({ file, bytes: readFileSync(join(folder!, name, file)) }));
  const parts = texts.map(({ file, bytes }) => {
    const reader = new EvidenceReader(file);
    reader.pushBytes(bytes);
    return reader.finish();
  });
  const evidence = gather(parts);
  return { report, texts, diagnosis: withPlacement(diagnose(evidence), evidence) };
};

const cited = ({ findings }: Diagnosis, cause: string) =>
  findings.filter((one) => one.cause === cause).flatMap(({ evidence }) => evidence.map(({ raw }) => raw));

describe.skipIf(!folder)('public reports', () => {
  it.each(names)('%s: the cause is the first finding, and a line that shows it is cited', (name) => {
    const { report, diagnosis } = open(name);
    expect(diagnosis.findings.map(({ cause }) => cause)[0]).toBe(report.cause);
    expect(diagnosis.findings[0]?.fault).toBe(report.fault);
    const lines = cited(diagnosis, report.cause);
    expect(report.causeEvidence.filter((line) => lines.includes(line))).not.toEqual([]);
  });

  it.each(names)('%s: nothing is said to have interfered that no line shows', (name) => {
    const { diagnosis } = open(name);
    expect(diagnosis.placedBy?.filter(({ verdict }) => verdict === 'other') ?? []).toEqual([]);
  });

  it.each(names)('%s: what is cited stands there, byte for byte', (name) => {
    const { texts, diagnosis } = open(name);
    for (const { evidence } of [...diagnosis.findings, ...(diagnosis.placedBy ?? [])]) {
      for (const { source, raw } of evidence) {
        const file = texts.find((text) => text.file === source.file);
        expect(file?.bytes.toString().split('\n')[source.line - 1]?.replace(/\r$/, '')).toBe(raw);
      }
    }
  });
});
