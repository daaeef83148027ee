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
export { withPlacement } from './doctor/oracle/with-placement.js';
export type { Cause, Confidence, Diagnosis, Finding, Missing, Remedy } from './doctor/finding.js';

// Captures: of text as it comes, in memory that does not grow with it, or of a system's files.
export { GuestBytesReader } from './import/guest-bytes.js';
export { mergeCapture } from './import/capture/merge.js';
export { readSystem } from './import/system/read-system.js';
export type { SystemTree } from './import/system/tree.js';
export { loadCapture } from './import/capture/load.js';
export { captureText } from './import/capture/save.js';
export { withoutIdentity } from './import/capture/anonymous.js';
export type { Capture } from './import/capture/model.js';
export { parseDevices } from './import/machine/chosen.js';
export { guestMachine, type GuestMachine, type GuestMachineOptions } from './import/machine/guest-machine.js';
export { diff, type Difference } from './import/diff/diff.js';
export { differenceToJson } from './import/diff/json.js';
export { snapshotOfCapture, snapshotOfPlan, type Snapshot } from './import/diff/snapshot.js';

// What others make of a machine, or have to be told of it.
export { guestsFor, parseGuests, predict, type Guests } from './guests/predict.js';
export { predictionToJson } from './guests/prediction-json.js';
export type { PredictedGuest, Prediction, Unplaced } from './guests/prediction.js';
export { devicesOfBars, type BarNeed, type DeviceNeed } from './size/need.js';
export { sizesFor, type SizeOptions, type Sizes } from './size/sizes.js';
export { sizesToJson } from './size/schema.js';
export { formats as exportFormats, type ExportFormat } from './export/formats.js';
export type { Exported, ExportOptions, ExportSource } from './export/exported.js';
