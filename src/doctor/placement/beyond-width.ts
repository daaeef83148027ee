import { hex } from '../../address/format.js';
import type { ResourceEvent } from '../../import/log/resource-event.js';
import type { Withdrawn } from '../../import/log/window-line.js';
import type { Candidate } from '../finding.js';
import { factsOf } from '../scene/host-windows.js';
import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';
import { cite, failureLine } from './cite.js';
import { nameOfStory } from './demand.js';
import { rangeText } from './fit.js';

/** A window, or a part of one, that a boot's kernel leaves out because its CPU has no such addresses, around a range. */
export const unaddressable = (scene: Scene, { line, range }: ResourceEvent): Withdrawn | undefined =>
  factsOf(scene.evidence, 'withdrawn').find(
    (fact) =>
      fact.why === 'width' &&
      fact.line.boot === line.boot &&
      fact.line.source.file === line.source.file &&
      range !== undefined &&
      fact.range.covers(range),
  );

/** What had its place, or would have had it, where the CPU has no addresses. */
export function beyondWidth(scene: Scene, { range, line }: Withdrawn, stories: readonly Story[]): Candidate {
  const [first] = stories;
  const bits = range.limit.toString(2).length;
  const isGuest = scene.stack.isGuest === true;
  return {
    cause: 'phys-bits-too-small',
    confidence: 'certain',
    fault: true,
    weight: 94,
    summary: `The host bridge's window ${range.toString()} lies beyond the CPU's physical addresses${first ? `, and with it the place for ${nameOfStory(first)}` : ''}.`,
    evidence: cite(
      line,
      stories.flatMap(({ events }) => events.filter(({ verb }) => verb === 'not-covered').map((event) => event.line)),
      stories.filter(({ outcome }) => outcome === 'failed').map(failureLine),
    ),
    proof: `${rangeText(range)} takes ${bits} address bits; the kernel says that its CPU has not so many, and leaves the window out.`,
    remedies: isGuest
      ? [
          {
            change: `-cpu …,phys-bits=${bits} or more, or -cpu host,host-phys-bits=on (libvirt: <maxphysaddr mode="passthrough"/>)`,
            where: 'qemu',
            why: `the window ends at ${hex(range.limit)}; the host's CPU needs as many bits, and so does its IOMMU where devices are passed through`,
          },
          {
            change: 'less RAM, or smaller 64-bit BARs',
            where: 'qemu',
            why: 'firmware puts the window above RAM; it then ends lower',
          },
        ]
      : [
          {
            change: 'lower “MMIO High Base” (MMIOH) in the firmware setup, or update the firmware',
            where: 'bios',
            why: 'firmware put the window where this CPU has no addresses',
          },
        ],
  };
}
