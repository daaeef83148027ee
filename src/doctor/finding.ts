import type { LogLine } from '../import/log/line.js';
import type { AddressRange } from '../address/range.js';
import type { ResourceName } from '../import/observation.js';

/** What can be wrong, or look so: docs/doctor.md. */
export const causes = [
  'window-too-small-32bit',
  'aperture64-too-small',
  'alignment-no-slot',
  'no-64bit-window',
  'no-32bit-window',
  'bridge-window-too-small',
  'bridge-window-not-covering',
  'bridge-window-conflict',
  'window-reserved-by-firmware',
  'bus-numbers-exhausted',
  'firmware-did-not-assign',
  'bar-unassigned-driver-fails',
  'resizable-bar-no-room',
  'sriov-vf-bars-no-space',
  'decode-disabled-no-driver',
  'sysfs-mmap-missing',
  'bar-held-by-host',
  'bar-mmap-granularity',
  'bar-outside-host-window',
  'vmm-bar-move-refused',
  'msi-region-overlaps-ram',
  'iommu-reserved-region',
  'iommu-width-exceeded',
  'iommu-group-limit',
  'phys-bits-too-small',
  'memlock-limit',
  'ecam-conflict',
  'topology-not-mirrored',
  'p2p-blocked',
  'not-placement',
  'benign-noise',
  'unknown',
] as const;
export type Cause = (typeof causes)[number];

/** `certain`: proved from the input alone. */
export const confidences = ['certain', 'likely', 'possible'] as const;
export type Confidence = (typeof confidences)[number];

/** Whose words a remedy is in. */
export const places = [
  'qemu',
  'libvirt',
  'kubevirt',
  'kata',
  'cloud-hypervisor',
  'proxmox',
  'xen',
  'vmware',
  'kernel',
  'guest-kernel',
  'host-kernel',
  'firmware',
  'bios',
  'device-tree',
  'driver',
  'hardware',
  'command',
] as const;
export type Place = (typeof places)[number];

/** Something to change, and why it helps. */
export interface Remedy {
  readonly change: string;
  readonly where: Place;
  readonly why: string;
}

/** A command whose output would settle what the input leaves open. */
export interface Missing {
  readonly command: string;
  readonly why: string;
}

export interface Finding {
  readonly cause: Cause;
  readonly confidence: Confidence;
  /** False: nothing has to be repaired. */
  readonly fault: boolean;
  /** One or two sentences. */
  readonly summary: string;
  /** Never empty. */
  readonly evidence: readonly LogLine[];
  /** The arithmetic or the reasoning, with the numbers of the evidence. */
  readonly proof: string;
  readonly remedies: readonly Remedy[];
}

/** A finding before it is held against the others. */
export interface Candidate extends Finding {
  /** How directly the evidence says it: 100 for a message that names the cause, 0 for noise. */
  readonly weight: number;
  readonly missing?: readonly Missing[];
}

/** `own`: as the guest places by itself. `other`: something else decided. `open`: the input does not tell. */
export const verdicts = ['own', 'other', 'open'] as const;
export type Verdict = (typeof verdicts)[number];

/** A BAR, ROM, VF BAR group or bridge window that a log shows elsewhere than a model puts it. Bus addresses. */
export interface Difference {
  readonly address: string;
  /** `numbers`: the bus number itself differs. */
  readonly what: ResourceName | 'numbers';
  readonly shown: AddressRange | null;
  readonly predicted: AddressRange | null;
  readonly line: LogLine;
}

/** Whether what a kernel log shows is the order in which firmware or kernel place by themselves. */
export interface PlacedBy {
  /** Whose order, as `pinbar predict --guest` has it: `linux-6.12`. */
  readonly guest: string;
  readonly verdict: Verdict;
  /** One or two sentences. */
  readonly summary: string;
  readonly evidence: readonly LogLine[];
  /** What lies elsewhere than the guest would put it. */
  readonly differs: readonly Difference[];
  /** What would tell what is open. */
  readonly missing: readonly Missing[];
}

/**
 * How much of placement the input shows. `bars`: memory BARs, with an address or without. `other`: something of PCI or of the
 * machine, and no BAR. `nothing`: no line that is known here.
 */
export const scopes = ['bars', 'other', 'nothing'] as const;
export type Scope = (typeof scopes)[number];

export interface Diagnosis {
  /** How much of placement the input shows: without `bars`, no findings do not mean that placement is right. */
  readonly shown: Scope;
  /** The main cause first. */
  readonly findings: readonly Finding[];
  readonly missing: readonly Missing[];
  /** Whether what kernel logs show is the order in which their guests place by themselves. */
  readonly placedBy?: readonly PlacedBy[];
}
