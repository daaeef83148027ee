import * as v from 'valibot';
import type { Sizes } from './sizes.js';

const text = (what: string) => v.pipe(v.string(), v.description(what));

/** What `pinbar size --json` prints. The schema is the one source of the type and of `schema/size.schema.json`. */
export const sizeSchema = v.pipe(
  v.object({
    pinbar: v.literal(1),
    answers: v.array(
      v.object({
        stack: v.picklist(['qemu', 'ovmf', 'port', 'linux', 'libvirt', 'vmware', 'cpu']),
        option: text('As it is written.'),
        where: text('What it is an option of, and where it counts.'),
        value: v.nullable(text('As it is written; null: leave it out.')),
        why: v.string(),
        smaller: v.optional(v.object({ value: text('The next smaller value that can be said.'), fails: v.string() })),
        by: v.pipe(
          v.picklist(['model', 'source', 'rule']),
          v.description(
            'How it is known: models of the guests, the source of the program, a rule of its documentation.',
          ),
        ),
      }),
    ),
    notes: v.pipe(v.array(v.string()), v.description('What no option changes.')),
  }),
  v.title('pinbar sizes'),
  v.description('What each stack has to be told for devices to find a place.'),
);

export const sizesToJson = ({ answers, notes }: Sizes): v.InferOutput<typeof sizeSchema> => ({
  pinbar: 1,
  answers: answers.map((one) => ({ ...one })),
  notes: [...notes],
});
