import * as v from 'valibot';
import { hex } from '../../address/format.js';
import { arches, barTypes } from '../model.js';
import type { Board, BoardMap, BoardOptions } from './board.js';
import { formatRelease, NEWEST_KNOWN } from './release.js';

/** What `pinbar boards --json` prints. The schema is the source of the types and of `schema/boards.schema.json`. */

const hexadecimal = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,17}$/));
const release = v.pipe(v.string(), v.regex(/^\d+\.\d+$/), v.description('A QEMU release.'));
const named = { id: v.string(), name: v.string(), arch: v.picklist(arches), title: v.string() };

const list = v.object({
  pinbar: v.literal(1),
  boards: v.array(
    v.object({
      ...named,
      properties: v.array(
        v.object({ name: v.string(), values: v.string(), what: v.string(), since: v.optional(release) }),
      ),
    }),
  ),
});

const one = v.object({
  pinbar: v.literal(1),
  board: v.object(named),
  qemu: release,
  physicalAddressBits: v.optional(v.pipe(v.number(), v.integer(), v.minValue(32), v.maxValue(64))),
  properties: v.record(v.string(), v.string()),
  ram: v.array(v.object({ base: hexadecimal, size: hexadecimal })),
  hostBridge: v.object({
    id: v.string(),
    segment: v.pipe(v.number(), v.integer()),
    buses: v.strictTuple([v.number(), v.number()]),
    windows: v.array(
      v.object({
        type: v.picklist(barTypes),
        base: v.pipe(hexadecimal, v.description('A bus address.')),
        size: hexadecimal,
        cpuBase: v.pipe(hexadecimal, v.description('Where the CPU sees it.')),
      }),
    ),
  }),
  regions: v.pipe(
    v.array(
      v.object({
        name: v.string(),
        use: v.picklist(['device', 'rom', 'ecam', 'kept']),
        base: hexadecimal,
        size: hexadecimal,
      }),
    ),
    v.description(
      'CPU addresses that the board uses for something else; "kept": nothing or only a part answers there.',
    ),
  ),
  notes: v.array(v.string()),
});

export const boardsSchema = v.pipe(
  v.union([list, one]),
  v.title('pinbar boards'),
  v.description(
    'The boards that pinbar knows, or the memory map of one. Addresses and sizes are lower-case 0x strings.',
  ),
);

export const boardsToJson = (boards: readonly Board[]): v.InferInput<typeof list> => ({
  pinbar: 1,
  boards: boards.map(({ id, name, arch, title, properties }) => ({
    id,
    name,
    arch,
    title,
    properties: properties.map(({ since, ...rest }) => ({
      ...rest,
      ...(since ? { since: formatRelease(since) } : {}),
    })),
  })),
});

export const boardMapToJson = (
  { id, name, arch, title }: Board,
  { qemu, physicalAddressBits, properties }: BoardOptions,
  map: BoardMap,
): v.InferInput<typeof one> => ({
  pinbar: 1,
  board: { id, name, arch, title },
  qemu: formatRelease(qemu ?? NEWEST_KNOWN),
  ...(physicalAddressBits === undefined ? {} : { physicalAddressBits }),
  properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, String(value)])),
  ram: map.ram.map(({ base, size }) => ({ base: hex(base), size: hex(size) })),
  hostBridge: {
    id: map.hostBridge.id,
    segment: map.hostBridge.segment,
    buses: [...map.hostBridge.buses],
    windows: map.hostBridge.windows.map(({ type, base, size, cpuBase }) => ({
      type,
      base: hex(base),
      size: hex(size),
      cpuBase: hex(cpuBase),
    })),
  },
  regions: map.regions.map(({ name: region, use, range }) => ({
    name: region,
    use,
    base: hex(range.base),
    size: hex(range.size),
  })),
  notes: [...map.notes],
});
