import type { QemuCommand } from '../import/log/command-line.js';
import type { DmaMapFailure } from '../import/log/dma-map.js';
import type { KernelBridge, KernelFunction } from '../import/log/kernel-facts.js';
import type { LogLine } from '../import/log/line.js';
import type { LspciFunction } from '../import/log/lspci-state.js';
import type { TreeFunction } from '../import/log/lspci-tree.js';
import type { Tag } from '../import/log/markup.js';
import type { Message, MessageCode } from '../import/log/messages/messages.js';
import type { RegionLine } from '../import/log/region-line.js';
import type { ResourceEvent } from '../import/log/resource-event.js';
import type { MapEntry } from '../import/log/resource-map.js';
import type { HostFact } from '../import/log/window-line.js';
import type { Observation, Source } from '../import/observation.js';

/** Facts of all kinds but messages, in the order in which they were read, each with its line. */
export interface Facts {
  readonly resources: readonly ResourceEvent[];
  readonly hosts: readonly HostFact[];
  readonly functions: readonly KernelFunction[];
  readonly bridges: readonly KernelBridge[];
  readonly dma: readonly DmaMapFailure[];
  readonly lspci: readonly LspciFunction[];
  /** BARs of listings, with those whose function is not named. */
  readonly regions: readonly RegionLine[];
  readonly trees: readonly TreeFunction[];
  readonly observations: readonly Observation[];
  readonly commands: readonly QemuCommand[];
  readonly tags: readonly Tag[];
  readonly map: readonly MapEntry[];
}

/** Everything that was read from one or more files, in the order of the files: facts, each with its line. */
export interface Evidence extends Facts {
  readonly files: readonly ReadFile[];
  readonly messages: ReadonlyMap<MessageCode, readonly Message[]>;
  /** The kept lines, in order. */
  readonly lines: readonly LogLine[];
  /** The line at this place, where it was kept. */
  readonly lineAt: (source: Source) => LogLine | undefined;
}

export interface ReadFile {
  readonly name: string;
  readonly lines: number;
  /** Lines without a time stamp beyond what is kept of one file: searched for messages, not read as listings. */
  readonly passedOver: number;
  /** A capture of pinbar: no log and no listing. */
  readonly isCapture: boolean;
}

/** The messages of these kinds, in the order of the input. */
export function said(evidence: Pick<Evidence, 'messages'>, ...codes: readonly MessageCode[]): Message[] {
  return codes.flatMap((code) => evidence.messages.get(code) ?? []);
}
