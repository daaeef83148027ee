import { toJsonSchema, type ConversionConfig } from '@valibot/to-json-schema';
import type * as v from 'valibot';
import { predictionSchema } from '../src/guests/prediction-schema.js';
import { differenceSchema } from '../src/import/diff/json.js';
import { captureSchema } from '../src/import/capture/schema.js';
import { boardsSchema } from '../src/machine/boards/json.js';
import { machineFileDefinitions, machineFileSchema } from '../src/machine/schema.js';
import { diagnosisSchema } from '../src/doctor/schema.js';
import { planSchema } from '../src/place/plan-schema.js';
import { sizeSchema } from '../src/size/schema.js';

type Schema = v.GenericSchema;

const plainTypes = ['string', 'number', 'boolean', 'bigint'];

/** A union of plain types is a list of types, and JSON has one kind of number. */
const overrideSchema: NonNullable<ConversionConfig['overrideSchema']> = ({ valibotSchema }) => {
  if (valibotSchema.type === 'bigint') return { type: 'integer' };
  if (valibotSchema.type !== 'union') return undefined;
  const { options } = valibotSchema as v.UnionSchema<Schema[], undefined>;
  if (!options.every((option) => plainTypes.includes(option.type) && !('pipe' in option))) return undefined;
  return { type: options.map(({ type }) => type as 'string').filter((type: string) => type !== 'bigint') };
};

function jsonSchema(id: string, schema: Schema, definitions: Record<string, Schema> = {}): string {
  const converted = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
    definitions,
    overrideSchema,
    ignoreActions: ['check'],
  });
  const { $schema, title, description, ...rest } = converted;
  return `${JSON.stringify({ $schema, $id: id, title, description, ...rest }, null, 2)}\n`;
}

/** The JSON Schemas of pinbar's formats, by file name in `schema/`, made of what checks the files themselves. */
export const schemas = (): Readonly<Record<string, string>> => ({
  'boards.schema.json': jsonSchema('urn:pinbar:boards:1', boardsSchema),
  'capture.schema.json': jsonSchema('urn:pinbar:capture:1', captureSchema),
  'machine.schema.json': jsonSchema('urn:pinbar:machine:1', machineFileSchema, machineFileDefinitions),
  'plan.schema.json': jsonSchema('urn:pinbar:plan:1', planSchema),
  'prediction.schema.json': jsonSchema('urn:pinbar:prediction:1', predictionSchema),
  'diff.schema.json': jsonSchema('urn:pinbar:diff:1', differenceSchema),
  'size.schema.json': jsonSchema('urn:pinbar:size:1', sizeSchema),
  'doctor.schema.json': jsonSchema('urn:pinbar:doctor:1', diagnosisSchema),
});
