import { hex } from '../../address/format.js';
import type { Plan } from '../../place/plan.js';
import type { Evidence } from '../evidence.js';
import type { Cause, Diagnosis, Finding, Remedy } from '../finding.js';
import type { KernelCheck } from './kernel.js';
import type { LoggedBoot } from './logged-boot.js';
import { isQemu, judgePlacement, some, subject, type Judged } from './placed-by.js';
import { missed, roomFor } from './room.js';

/**
 * Adds to a diagnosis who placed what its kernel logs show, and to findings about missing room whether there is room in
 * another order. Pure, and bounded whatever the input.
 */
export function withPlacement(diagnosis: Diagnosis, evidence: Evidence): Diagnosis {
  const judged = judgePlacement(evidence);
  const placedBy = judged.flatMap((one) => one.placedBy);
  if (placedBy.length === 0) return diagnosis;
  const notes = judged.flatMap((one) => noteOf(one, diagnosis.findings) ?? []);
  return {
    ...diagnosis,
    findings: diagnosis.findings.map(
      (finding) => notes.find((note) => note.isAbout(finding))?.change(finding) ?? finding,
    ),
    placedBy,
  };
}

/** Findings that say that something does not fit. */
const aboutRoom: ReadonlySet<Cause> = new Set<Cause>([
  'window-too-small-32bit',
  'aperture64-too-small',
  'alignment-no-slot',
  'no-64bit-window',
  'no-32bit-window',
  'bridge-window-too-small',
  'sriov-vf-bars-no-space',
]);

interface Note {
  readonly isAbout: (finding: Finding) => boolean;
  readonly change: (finding: Finding) => Finding;
}

/** What a search over all orders says of a guest whose kernel does as its model does, and leaves something out. */
function noteOf({ boot, kernel }: Judged, findings: readonly Finding[]): Note | undefined {
  if (!boot || !kernel || kernel.differences.length > 0 || !isQemu(boot)) return undefined;
  const left = missed(kernel.machine, kernel.prediction.unplaced);
  const isAbout = ({ cause, fault, evidence }: Finding) =>
    fault &&
    aboutRoom.has(cause) &&
    evidence.some(({ source, boot: number }) => source.file === boot.file && number === boot.boot);
  if (left.length === 0 || !findings.some(isAbout)) return undefined;
  const room = roomFor(kernel.machine);
  if (room === undefined) return undefined;
  if (room === 'none') {
    return {
      isAbout,
      change: (finding) => ({
        ...finding,
        proof: `${finding.proof} No order of placement has room for everything: pinning addresses does not help.`,
      }),
    };
  }
  return { isAbout, change: (finding) => withRoom(finding, boot, kernel, room) };
}

const pinning: Remedy = {
  change: 'pinbar run -- QEMU …, with the same arguments',
  where: 'qemu',
  why: 'it places everything before the guest starts, in an order that has room for all, and tells the guest to keep it',
};

function withRoom(finding: Finding, { kernel }: LoggedBoot, { machine, prediction }: KernelCheck, plan: Plan): Finding {
  const left = missed(machine, prediction.unplaced);
  const names = left.map(({ id, bar }) => `${id} ${subject(bar)}`);
  const places = left.slice(0, 3).flatMap(({ id, bar }) => {
    const address = addressIn(plan, id, bar);
    return address === undefined ? [] : [`${id} ${subject(bar)} at ${hex(address)}`];
  });
  return {
    ...finding,
    summary: `Linux ${kernel.text} leaves ${some(names, 3)} without an address, although there is room for everything: its order of placement does not find it.`,
    proof: `The model of Linux ${kernel.release} puts all BARs and windows where this log shows them, and leaves out exactly what this log leaves out. A search over all orders places every memory BAR in the same host bridge windows, ${some(places, 3)} among them, where no room is kept for hotplug.`,
    remedies: [pinning, ...finding.remedies.filter(({ where }) => where !== 'hardware')],
  };
}

function addressIn(plan: Plan, id: string, bar: number | string): bigint | undefined {
  const fn = plan.functions.find((one) => one.id === id);
  return typeof bar === 'number'
    ? fn?.bars.find(({ index }) => index === bar)?.address
    : fn?.sriov?.bars.find(({ index }) => `vf${index}` === bar)?.address;
}
