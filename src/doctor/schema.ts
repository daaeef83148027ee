import * as v from 'valibot';
import { causes, confidences, places, scopes, verdicts } from './finding.js';

const cited = v.object({
  file: v.string(),
  line: v.pipe(v.number(), v.integer(), v.minValue(1)),
  text: v.pipe(v.string(), v.description('The line as it stands in the file.')),
});

const span = v.pipe(
  v.nullable(v.object({ base: v.string(), limit: v.string() })),
  v.description('Bus addresses, both ends included; null: no address, or a closed window.'),
);

/**
 * A diagnosis as JSON. The schema is the one source of the type and of `schema/doctor.schema.json`.
 */
export const diagnosisSchema = v.pipe(
  v.object({
    pinbar: v.literal(1),
    shown: v.optional(
      v.pipe(
        v.picklist(scopes),
        v.description(
          'bars: the input shows memory BARs; other: something else of the machine, and no BAR; nothing: no line that is known. Only with bars do no findings mean that none of them is without a place.',
        ),
      ),
    ),
    findings: v.pipe(
      v.array(
        v.object({
          cause: v.picklist(causes),
          confidence: v.pipe(v.picklist(confidences), v.description('certain: proved from the input.')),
          fault: v.pipe(v.boolean(), v.description('False: nothing has to be repaired.')),
          summary: v.string(),
          evidence: v.pipe(v.array(cited), v.minLength(1)),
          proof: v.pipe(v.string(), v.description('The arithmetic or the reasoning.')),
          remedies: v.array(v.object({ change: v.string(), where: v.picklist(places), why: v.string() })),
        }),
      ),
      v.description('The main cause first; empty where nothing wrong was found: see shown.'),
    ),
    missing: v.pipe(
      v.array(v.object({ command: v.string(), why: v.string() })),
      v.description('What to run for what the input leaves open.'),
    ),
    placedBy: v.optional(
      v.pipe(
        v.array(
          v.object({
            guest: v.pipe(v.string(), v.description('Whose order, as predict --guest has it: linux-6.12.')),
            verdict: v.pipe(
              v.picklist(verdicts),
              v.description('own: as the guest places by itself; other: something else decided; open: not to be told.'),
            ),
            summary: v.string(),
            evidence: v.array(cited),
            differs: v.array(
              v.object({
                function: v.string(),
                bar: v.pipe(
                  v.union([v.number(), v.string()]),
                  v.description(
                    'A BAR’s number, rom, vf0 to vf5, io, memory, prefetchable, or numbers: the bus number.',
                  ),
                ),
                shown: span,
                predicted: span,
              }),
            ),
            missing: v.array(v.object({ command: v.string(), why: v.string() })),
          }),
        ),
        v.description('Per kernel log: whether firmware and kernel placed as they do by themselves.'),
      ),
    ),
  }),
  v.title('pinbar diagnosis'),
  v.description('What is wrong in logs and listings, and what shows it.'),
);

export type DiagnosisJson = v.InferOutput<typeof diagnosisSchema>;
