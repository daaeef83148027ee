import * as v from 'valibot';
import { barTypes } from '../../machine/model.js';
import { acsControls } from '../function-facts.js';
import { listingKinds } from '../observation.js';
import { resourceStates, resourceTypes } from './model.js';

/**
 * A capture as JSON. The schema is the one source of the types, of the checks and of `schema/capture.schema.json`. Keys
 * that it does not know are passed over: a later version may add some.
 */

const hexadecimal = (digits: number, description: string) =>
  v.pipe(
    v.string(),
    v.regex(
      new RegExp(`^0x[0-9a-f]{1,${digits}}$`),
      `is not lower-case hexadecimal of at most ${digits} digits, such as "0x1f"`,
    ),
    v.description(description),
  );
const big = (description: string) =>
  v.pipe(
    hexadecimal(16, description),
    v.transform((text) => BigInt(text)),
  );
const id = (digits: number, description: string) =>
  v.pipe(
    hexadecimal(digits, description),
    v.transform((text) => Number(text)),
  );

const address = big('What the operating system calls the address: of memory, the CPU address.');
const busAddress = big('What the register holds.');
const size = big('Bytes.');
const integer = (low: number, high: number) => v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
const bus = integer(0, 0xff);
const text = v.pipe(v.string(), v.maxLength(4096));
const bdf = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/, 'is not an address such as "0000:01:00.0"'),
  v.description('Segment, bus, device and function in hexadecimal.'),
);
const ids = v.object({ vendor: id(4, 'Vendor id.'), device: id(4, 'Device id.') });
const index = integer(0, 5);

const placed = {
  state: v.optional(v.picklist(resourceStates), 'assigned'),
  address: v.optional(address),
  busAddress: v.optional(busAddress),
  size: v.optional(size),
};
const kind = { type: v.picklist(resourceTypes), prefetchable: v.optional(v.boolean()) };

const limits = { base: address, limit: address };
const window = v.pipe(
  v.object({
    base: v.optional(address),
    limit: v.optional(address),
    busBase: v.optional(busAddress),
    busLimit: v.optional(busAddress),
  }),
  v.description('Both ends included; by the operating system’s numbers, and as the registers hold them.'),
);

const resizable = v.array(v.object({ index, sizes: v.array(size), size: v.optional(size) }));

const fn = v.object({
  address: bdf,
  parent: v.pipe(v.optional(v.nullable(bdf)), v.description('The bridge above; null: on a root bus.')),
  vendor: v.optional(id(4, 'Vendor id.')),
  device: v.optional(id(4, 'Device id.')),
  subsystem: v.optional(ids),
  class: v.optional(id(6, 'Class code, subclass and programming interface.')),
  revision: v.optional(id(2, 'Revision id.')),
  title: v.optional(text),
  headerType: v.optional(integer(0, 0x7f)),
  driver: v.optional(v.nullable(text)),
  numaNode: v.optional(v.nullable(integer(0, 0xffff))),
  iommuGroup: v.optional(integer(0, 0xff_ffff)),
  physicalFunction: v.optional(bdf),
  decodes: v.pipe(
    v.optional(v.array(v.picklist(['io', 'memory']))),
    v.description('Address spaces that the Command register switches on.'),
  ),
  portType: v.optional(text),
  hotplug: v.optional(v.picklist(['none', 'pcie', 'shpc'])),
  ariForwarding: v.optional(v.boolean()),
  bars: v.optional(v.pipe(v.array(v.object({ index: v.optional(index), ...kind, ...placed })), v.maxLength(64)), []),
  rom: v.optional(v.object(placed)),
  buses: v.optional(v.object({ secondary: bus, subordinate: v.optional(bus) })),
  windows: v.pipe(
    v.optional(
      v.object({
        io: v.optional(v.nullable(window)),
        memory: v.optional(v.nullable(window)),
        prefetchable: v.optional(v.nullable(window)),
      }),
    ),
    v.description('A bridge’s windows; null is closed.'),
  ),
  sriov: v.optional(
    v.object({
      enabled: v.optional(v.boolean()),
      initialVfs: v.optional(integer(0, 0xffff)),
      totalVfs: integer(0, 0xffff),
      numVfs: v.optional(integer(0, 0xffff)),
      firstVfOffset: v.optional(integer(0, 0xffff)),
      vfStride: v.optional(integer(0, 0xffff)),
      vfDevice: v.optional(id(4, 'Device id.')),
    }),
  ),
  vfBars: v.optional(
    v.pipe(v.array(v.object({ index, ...kind, ...placed, groupSize: v.optional(size) })), v.maxLength(6)),
    [],
  ),
  resizable: v.optional(resizable),
  vfResizable: v.optional(resizable),
  acs: v.optional(v.object({ capable: v.array(v.picklist(acsControls)), enabled: v.array(v.picklist(acsControls)) })),
  fixed: v.optional(v.array(v.object({ what: text, properties: text, base: busAddress, size, enabled: v.boolean() }))),
  serial: v.pipe(v.optional(big('Device Serial Number.'))),
  config: v.pipe(
    v.optional(v.pipe(v.array(text), v.maxLength(512))),
    v.description('Config space: `010: 0c 00 …` from an offset on, `040-0ff: 00` where bytes are equal.'),
  ),
});

const hostBridge = v.object({
  segment: integer(0, 0xffff_ffff),
  bus: v.pipe(bus, v.description('The root bus.')),
  lastBus: v.optional(bus),
  numaNode: v.optional(integer(0, 0xffff)),
  windows: v.optional(
    v.array(
      v.object({
        type: v.picklist(barTypes),
        address,
        size,
        base: v.optional(busAddress),
        cpuBase: v.optional(big('Of an I/O window: where the CPU finds its ports.')),
      }),
    ),
  ),
});

const group = v.object({
  group: integer(0, 0xff_ffff),
  reserved: v.optional(v.array(v.object({ ...limits, type: text })), []),
});

const mapLine = v.pipe(
  text,
  v.regex(/^ *[0-9a-f]{1,16}-[0-9a-f]{1,16} : /, 'is not a line such as "a0000000-dfffffff : PCI Bus 0000:00"'),
);

export const captureSchema = v.pipe(
  v.object({
    'pinbar-capture': v.pipe(
      v.literal(1, 'this pinbar reads capture format 1'),
      v.description('The version of this format.'),
    ),
    sources: v.optional(v.array(v.object({ name: text, kind: v.picklist(listingKinds) })), []),
    host: v.optional(
      v.object({
        kernel: v.optional(text),
        arch: v.optional(text),
        commandLine: v.optional(text),
        physicalAddressBits: v.optional(integer(1, 64)),
        iommus: v.optional(v.array(v.object({ name: text, addressBits: v.optional(integer(1, 64)) }))),
      }),
      {},
    ),
    hostBridges: v.optional(v.array(hostBridge), []),
    iommuGroups: v.optional(v.array(group), []),
    functions: v.pipe(v.array(fn), v.maxLength(0x1_0000)),
    iomem: v.optional(v.array(mapLine), []),
    ioports: v.optional(v.array(mapLine), []),
    missing: v.optional(
      v.array(
        v.object({
          what: text,
          why: v.picklist(['root', 'copy', 'machine']),
          adds: text,
          functions: v.optional(integer(0, 0x1_0000)),
        }),
      ),
      [],
    ),
    conflicts: v.optional(
      v.array(
        v.object({
          address: v.optional(bdf),
          what: text,
          values: v.array(v.object({ value: text, from: text })),
        }),
      ),
      [],
    ),
  }),
  v.title('pinbar capture'),
  v.description('What was seen of a machine’s PCI. What is absent was not shown.'),
);

export type CaptureJson = v.InferInput<typeof captureSchema>;
export type CaptureParsed = v.InferOutput<typeof captureSchema>;
export type FunctionJson = CaptureJson['functions'][number];
export type FunctionParsed = CaptureParsed['functions'][number];
