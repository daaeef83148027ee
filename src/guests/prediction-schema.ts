import * as v from 'valibot';
import { formatVersion, hexSize, layoutEntries } from '../place/plan-schema.js';

/** A prediction as JSON: a plan, and what is left without an address. The one source of `schema/prediction.schema.json`. */
export const predictionSchema = v.pipe(
  v.object({
    pinbar: formatVersion,
    status: v.picklist(['placed', 'partial']),
    guests: v.pipe(
      v.array(v.object({ name: v.string(), model: v.string() })),
      v.description('Who places, in their order, and the model that was used for each.'),
    ),
    ...layoutEntries,
    unplaced: v.array(
      v.object({
        id: v.string(),
        bar: v.union([
          v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(5)),
          v.pipe(v.string(), v.regex(/^(?:rom|vf[0-5])$/)),
        ]),
        size: hexSize,
        reason: v.string(),
      }),
    ),
    stopped: v.optional(
      v.pipe(v.string(), v.description('The guest gives up before it has placed anything, and why.')),
    ),
  }),
  v.title('pinbar prediction'),
  v.description('What a guest does with a machine by itself.'),
);

export type PredictionJson = v.InferInput<typeof predictionSchema>;
