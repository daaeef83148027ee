import * as v from 'valibot';
import { parseAddress, parseSize } from '../address/format.js';
import { parseBdf, parseSlot, type Bdf } from '../pci/bdf.js';
import { Problem } from '../problem/problem.js';
import { parseRelease, type QemuRelease } from './boards/release.js';
import { arches, barTypes, bridgeKinds } from './model.js';

/**
 * The machine file as people write it. The schema is the one source of the types, of the checks and of
 * `schema/machine.schema.json`. What one value alone can get wrong is checked here, what several must agree on in
 * `normalize.ts`.
 */

const scalar = v.union([v.string(), v.number(), v.bigint()]);

/**
 * Makes a schema of a parser that throws Problem. `description` and `keywords` are what the JSON Schema says of it: a
 * `pattern` is about strings, a `minimum` about numbers.
 */
function parsed<T>(
  parse: (value: string | number | bigint) => T,
  description: string,
  keywords: Readonly<Record<string, unknown>>,
) {
  return v.pipe(
    scalar,
    v.description(description),
    v.metadata(keywords),
    v.rawTransform<string | number | bigint, T>(({ dataset, addIssue, NEVER }) => {
      try {
        return parse(dataset.value);
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        addIssue({ message: error.hint ? `${error.message}: ${error.hint}` : error.message });
        return NEVER;
      }
    }),
  );
}

/** What parseSize reads, without anchors. */
const SIZE = '\\s*(0[xX][0-9a-fA-F]+|[0-9]+)\\s*([kKmMgGtTpPeE]([iI]?[bB])?|[bB])?\\s*';
const wholeNumber = { type: ['string', 'integer'], minimum: 0 };
const size = parsed(parseSize, 'A size in bytes: a number, or a string such as "4KiB", "16M" or "0x1000".', {
  ...wholeNumber,
  pattern: `^${SIZE}$`,
});
const address = parsed(parseAddress, 'An address: a number, or a string such as "0x6b8000000000".', {
  ...wholeNumber,
  pattern: '^\\s*(0[xX][0-9a-fA-F]+|[0-9]+)\\s*$',
});

const integer = (low: number, high: number, what: string) =>
  parsed(
    (value) => {
      const number =
        typeof value === 'string' && !/^(?:0x[0-9a-f]{1,8}|[0-9]{1,9})$/i.test(value) ? NaN : Number(value);
      if (!Number.isInteger(number) || number < low || number > high) {
        const say = (n: number) => (high > 0xff ? `0x${n.toString(16)}` : String(n));
        throw new Problem('integer-range', `${String(value).slice(0, 60)} is not ${what}, ${say(low)} to ${say(high)}`);
      }
      return number;
    },
    `${what.replace(/^./, (c) => c.toUpperCase())}, ${low} to ${high}.`,
    { type: ['string', 'integer'], minimum: low, maximum: high, pattern: '^(0[xX][0-9a-fA-F]{1,8}|[0-9]{1,9})$' },
  );

const name = v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxLength(256, 'is longer than 256 characters'));
const bus = integer(0, 255, 'a bus number');

const wishes = ['keep', 'largest'] as const;
const resize = parsed<bigint | (typeof wishes)[number]>(
  (value) => {
    const wish = wishes.find((one) => one === value);
    if (wish) return wish;
    try {
      return parseSize(value);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      throw new Problem(error.code, error.message, { hint: `${error.hint ?? 'write a size'}, or keep or largest` });
    }
  },
  'What to make of a resizable BAR: "keep" its size, the "largest" that fits, or a size.',
  { type: ['string', 'integer'], minimum: 0, pattern: `^(keep|largest|${SIZE})$` },
);

const bar = v.strictObject({
  index: integer(0, 5, 'a BAR number'),
  type: v.picklist(barTypes),
  prefetchable: v.optional(v.boolean(), false),
  size,
  sizes: v.optional(
    v.pipe(
      v.array(size),
      v.minLength(1, 'lists no sizes'),
      v.maxLength(44, 'lists more than 44 sizes'),
      v.description('The sizes that its Resizable BAR capability offers.'),
    ),
  ),
  resize: v.optional(resize, 'keep'),
  pin: v.optional(address),
});

const range = v.strictObject({ base: address, size });

const bridgePin = v.strictObject({
  secondary: v.optional(bus),
  subordinate: v.optional(bus),
  io: v.optional(range),
  memory: v.optional(range),
  prefetchable: v.optional(range),
});

const reserve = v.strictObject({
  buses: v.optional(integer(0, 255, 'a number of buses'), 0),
  io: v.optional(size, 0),
  memory: v.optional(size, 0),
  prefetchable: v.optional(size, 0),
});

const hints = v.pipe(
  v.strictObject({
    buses: v.optional(integer(0, 255, 'a number of buses')),
    io: v.optional(size),
    memory: v.optional(size),
    prefetchable32: v.optional(size),
    prefetchable64: v.optional(size),
  }),
  v.description(
    'What the bridge tells firmware to keep: QEMU’s bus-reserve, io-reserve, mem-reserve, pref32-reserve, pref64-reserve.',
  ),
);

const bits = <const N extends number>(allowed: readonly N[]) =>
  v.pipe(
    scalar,
    v.description('Address bits that the window decodes; 0: there is no such window.'),
    v.metadata({ enum: allowed }),
    v.rawTransform<string | number | bigint, N>(({ dataset, addIssue, NEVER }) => {
      const found = allowed.find((one) => String(one) === String(dataset.value));
      if (found !== undefined) return found;
      addIssue({
        message: `${String(dataset.value)} is not one of ${allowed.join(', ')} (address bits; 0: no such window)`,
      });
      return NEVER;
    }),
  );

const slot = v.pipe(
  scalar,
  v.description('Device and function in hexadecimal, such as "1e.1". Quote it: YAML reads 1.0 as a number.'),
  v.metadata({ type: 'string', pattern: '^\\s*[01]?[0-9a-fA-F](\\.[0-7])?\\s*$' }),
  v.rawTransform<string | number | bigint, { device: number; fn: number }>(({ dataset, addIssue, NEVER }) => {
    if (typeof dataset.value !== 'string') {
      addIssue({ message: `${String(dataset.value)} is a number, not a slot: put it in quotes, such as "1.0"` });
      return NEVER;
    }
    try {
      return parseSlot(dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Problem ? `${error.message}: ${error.hint ?? ''}` : String(error) });
      return NEVER;
    }
  }),
);

const hostAddress = v.pipe(
  v.string(),
  v.description('The function of the host that is passed through here, such as "0009:06:00.0".'),
  v.metadata({ pattern: '^\\s*([0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\\.[0-7]\\s*$' }),
  v.rawTransform<string, Bdf>(({ dataset, addIssue, NEVER }) => {
    try {
      return parseBdf(dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Problem ? `${error.message}: ${error.hint ?? ''}` : String(error) });
      return NEVER;
    }
  }),
);

const qemuDevice = v.pipe(
  v.string(),
  v.description('What QEMU has here, as -device takes it, without id, bus, addr and multifunction.'),
  v.maxLength(4096, 'is longer than 4096 characters'),
  v.regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]*(,[\s\S]*)?$/,
    'begins with the name of a device, such as "pci-testdev,membar=64M"',
  ),
  v.check(
    (text) => !/,(id|bus|addr|multifunction)=/.test(text),
    'says id, bus, addr or multifunction, which the machine file says in its own place',
  ),
);

const ownEntries = {
  id: name,
  slot,
  vendor: v.optional(integer(0, 0xffff, 'a vendor id')),
  device: v.optional(integer(0, 0xffff, 'a device id')),
  class: v.optional(integer(0, 0xff_ffff, 'a class code')),
  hostAddress: v.optional(hostAddress),
  qemuDevice: v.optional(qemuDevice),
  bars: v.optional(v.array(bar), []),
  rom: v.optional(v.strictObject({ size, pin: v.optional(address) })),
  sriov: v.optional(
    v.strictObject({
      totalVfs: integer(0, 0xffff, 'a number of VFs'),
      firstVfOffset: integer(0, 0xffff, 'a VF offset'),
      vfStride: integer(0, 0xffff, 'a VF stride'),
      bars: v.optional(v.array(bar), []),
    }),
  ),
};

const bridgeEntries = {
  kind: v.picklist(bridgeKinds),
  io: v.optional(bits([0, 16, 32]), 16),
  prefetchable: v.optional(bits([0, 32, 64]), 64),
  hotplug: v.optional(v.picklist(['none', 'pcie', 'shpc']), 'none'),
  reserve: v.optional(reserve, {}),
  hints: v.optional(hints),
  pin: v.optional(bridgePin, {}),
};

type OwnInput = v.InferInput<v.StrictObjectSchema<typeof ownEntries, undefined>>;
type OwnOutput = v.InferOutput<v.StrictObjectSchema<typeof ownEntries, undefined>>;
type BridgeInput = v.InferInput<v.StrictObjectSchema<typeof bridgeEntries, undefined>>;
type BridgeOutput = v.InferOutput<v.StrictObjectSchema<typeof bridgeEntries, undefined>>;

export type FunctionInput = OwnInput & {
  bridge?: (BridgeInput & { functions?: FunctionInput[] | undefined }) | undefined;
};
export type FunctionOutput = OwnOutput & { bridge?: (BridgeOutput & { functions: FunctionOutput[] }) | undefined };

const fn: v.GenericSchema<FunctionInput, FunctionOutput> = v.strictObject({
  ...ownEntries,
  bridge: v.optional(v.strictObject({ ...bridgeEntries, functions: v.optional(v.array(v.lazy(() => fn)), []) })),
});

const window = v.strictObject({ type: v.picklist(barTypes), base: address, size, cpuBase: v.optional(address) });

const hostBridge = v.strictObject({
  id: name,
  segment: v.optional(integer(0, 0xffff, 'a segment'), 0),
  buses: v.optional(v.strictTuple([bus, bus])),
  windows: v.optional(v.array(window)),
  functions: v.optional(v.array(fn), []),
});

const release = v.pipe(
  scalar,
  v.description('The QEMU release that the board is taken from, such as "10.0". Quote it: YAML reads 10.10 as 10.1.'),
  v.metadata({ type: 'string', pattern: '^\\s*[0-9]{1,3}\\.[0-9]{1,3}(\\.[0-9]{1,3})?\\s*$' }),
  v.rawTransform<string | number | bigint, QemuRelease>(({ dataset, addIssue, NEVER }) => {
    if (typeof dataset.value !== 'string') {
      addIssue({ message: `${String(dataset.value)} is a number, not a release: put it in quotes, such as "10.0"` });
      return NEVER;
    }
    try {
      return parseRelease(dataset.value);
    } catch (error) {
      addIssue({ message: error instanceof Problem ? `${error.message}: ${error.hint ?? ''}` : String(error) });
      return NEVER;
    }
  }),
);

const property = v.union([v.string(), v.boolean(), v.number(), v.bigint()]);

export const machineFileSchema = v.pipe(
  v.strictObject({
    pinbar: v.pipe(
      scalar,
      v.description('The version of this format.'),
      v.metadata({ type: 'integer', const: 1 }),
      v.check((value) => String(value) === '1', 'this pinbar reads format 1'),
    ),
    machine: v.strictObject({
      arch: v.picklist(arches),
      board: v.optional(name, 'none'),
      qemu: v.optional(release),
      ram: v.optional(v.union([size, v.array(range)])),
      physicalAddressBits: v.optional(integer(32, 64, 'a number of address bits')),
      properties: v.optional(v.record(v.string(), property), {}),
      allowNonPrefetchableInPrefetchable: v.optional(v.boolean(), false),
    }),
    reserved: v.optional(
      v.array(v.strictObject({ base: address, size, reason: v.optional(v.string(), 'reserved in the machine file') })),
      [],
    ),
    hostBridges: v.optional(v.array(hostBridge), []),
  }),
  v.title('pinbar machine file'),
  v.description('A machine whose PCI BARs are to be placed: RAM, host bridges, and the functions behind them.'),
);

/** Names for the parts that refer to themselves. */
export const machineFileDefinitions = { function: fn };

export type MachineFile = v.InferOutput<typeof machineFileSchema>;
