import type { Diagnosis } from './finding.js';
import type { DiagnosisJson } from './schema.js';

export const diagnosisToJson = ({ findings, missing }: Diagnosis): DiagnosisJson => ({
  pinbar: 1,
  findings: findings.map(({ evidence, remedies, ...finding }) => ({
    ...finding,
    evidence: evidence.map(({ source, raw }) => ({ file: source.file, line: source.line, text: raw })),
    remedies: remedies.map((remedy) => ({ ...remedy })),
  })),
  missing: missing.map((one) => ({ ...one })),
});
