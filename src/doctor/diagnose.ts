import type { Evidence } from './evidence.js';
import { busNumbers } from './causes/bus-numbers.js';
import { dmaMappings } from './causes/dma.js';
import { allOnes, driver } from './causes/driver.js';
import { ecam } from './causes/ecam.js';
import { elsewhere } from './causes/elsewhere.js';
import { firmware } from './causes/firmware.js';
import { held } from './causes/held.js';
import { iommu } from './causes/iommu.js';
import { listings } from './causes/listing.js';
import { qemuErrors } from './causes/qemu-error.js';
import { regions } from './causes/regions.js';
import { noise } from './causes/noise.js';
import { noSpace } from './causes/no-space.js';
import { peers } from './causes/peer.js';
import { sysfs } from './causes/sysfs.js';
import { undecided } from './causes/undecided.js';
import { vmm } from './causes/vmm.js';
import { claims } from './causes/windows.js';
import type { Candidate, Confidence, Diagnosis, Finding, Missing } from './finding.js';
import { cite } from './placement/cite.js';
import { sceneOf, type Scene } from './scene/scene.js';
import { shownIn, toShow } from './shown.js';

type Rule = (scene: Scene) => readonly Candidate[];

const rules: readonly Rule[] = [
  noSpace,
  claims,
  busNumbers,
  iommu,
  dmaMappings,
  vmm,
  held,
  ecam,
  firmware,
  driver,
  allOnes,
  listings,
  regions,
  sysfs,
  peers,
  elsewhere,
  noise,
  undecided,
];

/** A report with more findings than this is not read. */
const MOST_FINDINGS = 6;
const MOST_MISSING = 5;

/**
 * Says what is wrong in what was read, the main cause first; no findings: nothing wrong was found. Pure: the same evidence
 * gives the same diagnosis.
 */
export function diagnose(evidence: Evidence): Diagnosis {
  const scene = sceneOf(evidence);
  const known = rules.flatMap((rule) => rule(scene)).filter((one) => one.evidence.length > 0);
  const candidates = [...known, ...qemuErrors(scene, known)];
  const ranked = merged(candidates).toSorted((a, b) => rank(b) - rank(a));
  const [main] = ranked;
  // A BAR without a place is placement, whatever else a driver then says.
  const misplaced = main?.fault === true && main.cause !== 'not-placement' && main.confidence === 'certain';
  // Beside a fault that is shown, weak guesses and harmless lines are left out.
  const kept = ranked.filter(
    (one, i) =>
      i === 0 ||
      (!(misplaced && one.cause === 'not-placement') &&
        one.weight >= 40 &&
        (!main?.fault || one.fault || one.weight >= 60)),
  );
  const shown = shownIn(evidence);
  const missing = missingOf(kept);
  return {
    shown,
    findings: kept.slice(0, MOST_FINDINGS).map(strip),
    missing: missing.length > 0 || kept.some(({ fault }) => fault) ? missing : toShow(shown),
  };
}

const bonus: Readonly<Record<Confidence, number>> = { certain: 6, likely: 3, possible: 0 };
const rank = ({ weight, confidence }: Candidate): number => weight + bonus[confidence];

/** One finding a cause: the strongest, with the lines of the others. */
function merged(candidates: readonly Candidate[]): Candidate[] {
  const byCause = new Map<string, Candidate>();
  for (const one of candidates.toSorted((a, b) => rank(b) - rank(a))) {
    const known = byCause.get(one.cause);
    if (!known) byCause.set(one.cause, one);
    else byCause.set(one.cause, { ...known, evidence: cite(known.evidence, one.evidence) });
  }
  return [...byCause.values()];
}

function strip({ cause, confidence, fault, summary, evidence, proof, remedies }: Candidate): Finding {
  return { cause, confidence, fault, summary: sentence(summary), evidence, proof: sentence(proof), remedies };
}

/** Sentences may begin with the name of a resource: `the memory window of bridge …`, `0000:01:00.0 BAR 1`. */
const sentence = (text: string) => text.replaceAll(/(^|\. )the (?=\S+ window of bridge )|^the /g, '$1The ');

function missingOf(candidates: readonly Candidate[]): Missing[] {
  const seen = new Set<string>();
  const all = candidates.slice(0, 3).flatMap(({ missing }) => missing ?? []);
  return all.filter(({ command }) => !seen.has(command) && seen.add(command)).slice(0, MOST_MISSING);
}
