import { parseGuests, predict } from '../../src/guests/predict.js';
import { machineOf, type Boot } from './boots.js';
import { differences } from './differences.js';

/** What a prediction has wrong of a recorded boot: of what the firmware left, or where a kernel came up, of what that made of it. */
export function judge(boot: Boot, guests: string): string[] {
  const machine = machineOf(boot);
  const predicted = predict(machine, parseGuests(guests));
  const seen = guests.includes('linux') ? boot.final : boot.first;
  if (!boot.booted || !seen) return predicted.stopped === undefined ? ['it stopped'] : [];
  if (predicted.stopped !== undefined) return [`predicted to stop: ${predicted.stopped}`];
  return differences(machine, predicted, seen, !guests.includes('linux'));
}
