import { hex } from '../address/format.js';
import type { AddressRange } from '../address/range.js';
import type { LogLine } from '../import/log/line.js';
import type { Diagnosis, PlacedBy } from './finding.js';
import type { DiagnosisJson } from './schema.js';

export const diagnosisToJson = ({ shown, findings, missing, placedBy }: Diagnosis): DiagnosisJson => ({
  pinbar: 1,
  shown,
  findings: findings.map(({ evidence, remedies, ...finding }) => ({
    ...finding,
    evidence: evidence.map(cited),
    remedies: remedies.map((remedy) => ({ ...remedy })),
  })),
  missing: missing.map((one) => ({ ...one })),
  ...(placedBy ? { placedBy: placedBy.map(placedByJson) } : {}),
});

const cited = ({ source, raw }: LogLine) => ({ file: source.file, line: source.line, text: raw });

const placedByJson = ({ guest, verdict, summary, evidence, differs, missing }: PlacedBy) => ({
  guest,
  verdict,
  summary,
  evidence: evidence.map(cited),
  differs: differs.map(({ address, what, shown, predicted }) => ({
    function: address,
    bar: what,
    shown: span(shown),
    predicted: span(predicted),
  })),
  missing: missing.map((one) => ({ ...one })),
});

const span = (range: AddressRange | null) => range && { base: hex(range.base), limit: hex(range.limit) };
