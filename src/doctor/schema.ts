import * as v from 'valibot';
import { causes, confidences, places } from './finding.js';

/**
 * A diagnosis as JSON. The schema is the one source of the type and of `schema/doctor.schema.json`.
 */
export const diagnosisSchema = v.pipe(
  v.object({
    pinbar: v.literal(1),
    findings: v.pipe(
      v.array(
        v.object({
          cause: v.picklist(causes),
          confidence: v.pipe(v.picklist(confidences), v.description('certain: proved from the input.')),
          fault: v.pipe(v.boolean(), v.description('False: nothing has to be repaired.')),
          summary: v.string(),
          evidence: v.pipe(
            v.array(
              v.object({
                file: v.string(),
                line: v.pipe(v.number(), v.integer(), v.minValue(1)),
                text: v.pipe(v.string(), v.description('The line as it stands in the file.')),
              }),
            ),
            v.minLength(1),
          ),
          proof: v.pipe(v.string(), v.description('The arithmetic or the reasoning.')),
          remedies: v.array(v.object({ change: v.string(), where: v.picklist(places), why: v.string() })),
        }),
      ),
      v.description('The main cause first; empty where nothing wrong was found.'),
    ),
    missing: v.pipe(
      v.array(v.object({ command: v.string(), why: v.string() })),
      v.description('What to run for what the input leaves open.'),
    ),
  }),
  v.title('pinbar diagnosis'),
  v.description('What is wrong in logs and listings, and what shows it.'),
);

export type DiagnosisJson = v.InferOutput<typeof diagnosisSchema>;
