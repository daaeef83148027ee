/** The library: plain data in, plain data out, usable in a browser. */
export { place, type PlaceOptions } from './place/place.js';
export {
  headroomOf,
  type BusHeadroom,
  type Fits,
  type Headroom,
  type PortHeadroom,
  type WindowHeadroom,
} from './place/headroom.js';
export { loadPlan } from './place/load-plan.js';
export { movesOf, type Move, type Moves } from './place/moves.js';
export { planFromJson, planToJson } from './place/plan-json.js';
export type * from './place/plan.js';
export type * from './machine/model.js';
export { loadMachine, machineFrom } from './machine/load.js';
export { AddressRange } from './address/range.js';
export { Problem, Problems } from './problem/problem.js';
export { diagnose } from './doctor/diagnose.js';
export { EvidenceReader, gather } from './doctor/read.js';
export { diagnosisToJson } from './doctor/json.js';
export type { Cause, Confidence, Diagnosis, Finding, Missing, Remedy } from './doctor/finding.js';
