import * as v from 'valibot';
import { Exit, Problem } from '../problem/problem.js';
import type { Qmp } from './qmp.js';

const number = v.union([v.number(), v.bigint()]);
const range = v.object({ base: number, limit: number });

const regionSchema = v.object({ bar: v.number(), type: v.string(), address: number, size: number });

export interface PciRegion {
  readonly bar: number;
  /** `io` or `memory`. */
  readonly type: string;
  /** Bus address; null while it is not decoded. */
  readonly address: bigint | null;
  readonly size: bigint;
}

interface RawDevice {
  bus: number;
  slot: number;
  function: number;
  qdev_id: string;
  regions: v.InferOutput<typeof regionSchema>[];
  pci_bridge?: RawBridge | undefined;
}

interface RawBridge {
  bus: {
    secondary: number;
    subordinate: number;
    io_range: v.InferOutput<typeof range>;
    memory_range: v.InferOutput<typeof range>;
    prefetchable_range: v.InferOutput<typeof range>;
  };
  devices?: RawDevice[] | undefined;
}

const deviceSchema: v.GenericSchema<unknown, RawDevice> = v.object({
  bus: v.number(),
  slot: v.number(),
  function: v.number(),
  qdev_id: v.string(),
  regions: v.array(regionSchema),
  pci_bridge: v.optional(
    v.object({
      bus: v.object({
        secondary: v.number(),
        subordinate: v.number(),
        io_range: range,
        memory_range: range,
        prefetchable_range: range,
      }),
      devices: v.optional(v.array(v.lazy(() => deviceSchema))),
    }),
  ),
});

const answerSchema = v.array(v.object({ bus: v.number(), devices: v.array(deviceSchema) }));

/** A PCI function as QEMU sees it (QMP `query-pci`, qapi/pci.json). */
export interface QemuFunction {
  readonly bus: number;
  readonly device: number;
  readonly fn: number;
  /** The `id` it has on the command line; empty where it has none. */
  readonly id: string;
  readonly regions: readonly PciRegion[];
  readonly bridge: QemuBridge | undefined;
}

export interface QemuBridge {
  readonly secondary: number;
  readonly subordinate: number;
  /** Ranges as the registers have them, base above limit where closed. */
  readonly io: QemuRange;
  readonly memory: QemuRange;
  readonly prefetchable: QemuRange;
}

export interface QemuRange {
  readonly base: bigint;
  readonly limit: bigint;
}

/**
 * Every PCI function that bus numbers reach, root buses first, then depth first.
 * @throws Problem `query-pci`, exit 3
 */
export async function queryPci(qmp: Qmp): Promise<QemuFunction[]> {
  return parseQueryPci(await qmp.execute('query-pci'));
}

/** Functions of root buses other than these host bridges' (pxb-pcie), and what lies behind them. */
export const outside = (
  seen: readonly QemuFunction[],
  hosts: readonly { readonly buses: readonly [number, number] }[],
): QemuFunction[] => seen.filter(({ bus }) => !hosts.some(({ buses: [first, last] }) => first <= bus && bus <= last));

/** Reads the answer of `query-pci`. Throws Problem `query-pci`. */
export function parseQueryPci(answer: unknown): QemuFunction[] {
  const parsed = v.safeParse(answerSchema, answer);
  if (!parsed.success) {
    throw new Problem('query-pci', `QEMU's answer to query-pci is not understood: ${parsed.issues[0].message}`, {
      exit: Exit.outside,
    });
  }
  return parsed.output.flatMap((bus) => bus.devices.flatMap(flatten));
}

function flatten(device: RawDevice): QemuFunction[] {
  const bridge = device.pci_bridge;
  return [
    {
      bus: device.bus,
      device: device.slot,
      fn: device.function,
      id: device.qdev_id,
      regions: device.regions.map((region) => ({
        bar: region.bar,
        type: region.type,
        // PCI_BAR_UNMAPPED is all ones, which QAPI prints as -1.
        address: BigInt(region.address) === -1n ? null : BigInt.asUintN(64, BigInt(region.address)),
        size: BigInt(region.size),
      })),
      bridge: bridge && {
        secondary: bridge.bus.secondary,
        subordinate: bridge.bus.subordinate,
        io: exact(bridge.bus.io_range),
        memory: exact(bridge.bus.memory_range),
        prefetchable: exact(bridge.bus.prefetchable_range),
      },
    },
    ...(bridge?.devices ?? []).flatMap(flatten),
  ];
}

const exact = ({ base, limit }: v.InferOutput<typeof range>): QemuRange => ({
  base: BigInt.asUintN(64, BigInt(base)),
  limit: BigInt.asUintN(64, BigInt(limit)),
});
