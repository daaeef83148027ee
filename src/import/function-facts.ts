import type { portTypes } from '../pci/capabilities/express.js';

/** What a function's capabilities say, as far as pinbar uses it; from registers or from a listing's words. */
export interface CapabilityFacts {
  /** Device/Port Type of the PCI Express capability. */
  readonly portType?: PortType;
  /** The slot's hot-plug capability. */
  readonly hotplug?: 'none' | 'pcie' | 'shpc';
  /** ARI forwarding is on: the device behind this port has function numbers up to 255. */
  readonly ariForwarding?: boolean;
  readonly sriov?: SriovFacts;
  readonly resizable?: readonly ResizableFacts[];
  /** The same for VF BARs. */
  readonly vfResizable?: readonly ResizableFacts[];
  readonly acs?: AcsFacts;
  /** Ranges that are fixed in the device (Enhanced Allocation). */
  readonly fixed?: readonly FixedRange[];
  /** Device Serial Number, 64 bits. */
  readonly serial?: bigint;
}

export type PortType = (typeof portTypes)[keyof typeof portTypes];

/** Address decoding as the Command register has it. */
export interface DecodeBits {
  readonly io: boolean;
  readonly memory: boolean;
}

export interface SriovFacts {
  readonly enabled?: boolean;
  readonly initialVfs?: number;
  readonly totalVfs: number;
  readonly numVfs?: number;
  /** As they stand with `numVfs`. */
  readonly firstVfOffset?: number;
  readonly vfStride?: number;
  /** The VFs' device id. */
  readonly vfDevice?: number;
}

export interface ResizableFacts {
  readonly index: number;
  /** Bytes, ascending. */
  readonly sizes: readonly bigint[];
  /** Bytes, as chosen now. */
  readonly size?: bigint;
}

/** Controls of Access Control Services that the function has, and those that are on. */
export interface AcsFacts {
  readonly capable: readonly AcsControl[];
  readonly enabled: readonly AcsControl[];
}

export const acsControls = [
  'sourceValidation',
  'translationBlocking',
  'requestRedirect',
  'completionRedirect',
  'upstreamForwarding',
  'egressControl',
  'directTranslated',
] as const;
export type AcsControl = (typeof acsControls)[number];

export interface FixedRange {
  /** `bar0` to `bar5`, `rom`, `vf0` to `vf5`, `behind-bridge`, `none`, or the raw number of another. */
  readonly what: string;
  readonly properties: string;
  readonly base: bigint;
  /** Bytes; not always a power of two. */
  readonly size: bigint;
  readonly enabled: boolean;
}
