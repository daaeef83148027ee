import { bdfKey } from '../../import/observation.js';
import type { Bdf } from '../../pci/bdf.js';
import type { LogLine } from '../../import/log/line.js';
import type { Evidence } from '../evidence.js';
import { hostWindowsOf, type HostWindow } from './host-windows.js';
import { stackOf, type Stack } from './stack.js';
import { knownBridges, storiesOf, type KnownBridges, type Story } from './stories.js';

/** A bridge whose bus numbers are known. */
export interface SceneBridge {
  readonly address: Bdf;
  readonly secondary: number;
  readonly subordinate: number;
  readonly file: string;
  readonly boot: number;
  readonly line: LogLine;
}

/** What the evidence says of the machine: the facts, put together. */
export interface Scene {
  readonly evidence: Evidence;
  readonly stories: readonly Story[];
  readonly windows: readonly HostWindow[];
  readonly bridges: readonly SceneBridge[];
  readonly isBridge: KnownBridges;
  readonly stack: Stack;
}

export function sceneOf(evidence: Evidence): Scene {
  return {
    evidence,
    stories: storiesOf(evidence),
    windows: hostWindowsOf(evidence),
    bridges: bridgesOf(evidence),
    isBridge: knownBridges(evidence),
    stack: stackOf(evidence),
  };
}

function bridgesOf(evidence: Evidence): SceneBridge[] {
  const found = new Map<string, SceneBridge>();
  for (const { address, secondary, subordinate, line } of evidence.bridges) {
    // `[bus 00]` is a bridge that has no number yet.
    if (secondary === 0) continue;
    const { file } = line.source;
    found.set(`${file}\n${line.boot}\n${bdfKey(address)}`, {
      address,
      secondary,
      subordinate,
      file,
      boot: line.boot,
      line,
    });
  }
  for (const { kind, file, boot, functions } of evidence.observations) {
    if (kind !== 'lspci') continue;
    for (const { address, buses } of functions) {
      const line = buses && evidence.lineAt(buses.source);
      if (!buses || !line || buses.secondary === 0) continue;
      const { secondary, subordinate = secondary } = buses;
      found.set(`lspci\n${file}\n${bdfKey(address)}`, { address, secondary, subordinate, file, boot, line });
    }
  }
  return [...found.values()];
}

/** Something with a place in a log. */
interface At {
  readonly address: Bdf;
  readonly file: string;
  readonly boot: number;
}

/** The bridge whose secondary bus a function is on. */
export function bridgeAbove(scene: Scene, at: At): SceneBridge | undefined {
  const { segment, bus } = at.address;
  const above = scene.bridges.filter(({ address, secondary }) => address.segment === segment && secondary === bus);
  return above.find(({ file, boot }) => file === at.file && boot === at.boot) ?? above[0];
}

/** Whether a bus is a host bridge's own: said so by the log, or bus 0. */
export function isRootBus(scene: Scene, segment: number, bus: number): boolean {
  return (
    bus === 0 ||
    scene.evidence.hosts.some(
      (fact) =>
        (fact.kind === 'root-bus' || fact.kind === 'root-window') && fact.segment === segment && fact.bus === bus,
    )
  );
}
