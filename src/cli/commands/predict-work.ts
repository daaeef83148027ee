import { leftAlone, toldToKeep } from '../../guests/against.js';
import { guestsOf } from '../../guests/fitting.js';
import { guestsFor, predict, type Guests } from '../../guests/predict.js';
import { predictionToJson } from '../../guests/prediction-json.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readMachine, readPlan } from '../documents.js';
import { styleFor } from '../io.js';
import { renderAgainst, renderPrediction, renderSideBySide } from '../render/prediction.js';
import type { PredictFlags } from './flags.js';

export async function predictGuests(this: Context, flags: PredictFlags, file: string): Promise<void> {
  await work(this, async (io) => {
    const { machine } = await readMachine(file, io);
    const asked = flags.all ? guestsFor(machine) : (flags.guest ?? []);
    if (asked.length === 0) {
      throw new Problem('guest-missing', 'which guest is to be predicted?', {
        hint: `give --guest, such as --guest ${guestsFor(machine)[0] ?? 'linux-6.12'}, or --all`,
      });
    }
    const guests = asked.map((text) => guestsOf(machine, text));
    const style = styleFor(io.stdout, io.env);
    const print = (json: unknown, text: () => string) =>
      io.stdout.write(flags.json ? `${JSON.stringify(json, null, 2)}\n` : text());
    if (flags.against !== undefined) {
      const plan = await readPlan(flags.against, io);
      const compared = guests.map((one) => ({
        alone: leftAlone(machine, plan, one),
        kept: toldToKeep(machine, plan, one),
      }));
      print(
        compared.map(({ alone, kept }) => ({
          alone: differences(alone),
          ...(kept ? { told: differences(kept) } : {}),
        })),
        () => compared.map(({ alone, kept }) => renderAgainst(alone, kept, style)).join('\n'),
      );
      return Exit.done;
    }
    const predictions = guests.map((one: Guests) => predict(machine, one));
    const [only] = predictions;
    if (only && predictions.length === 1) {
      print(predictionToJson(only), () => renderPrediction(only, style, machine.reserved));
    } else {
      print(predictions.map(predictionToJson), () => renderSideBySide(predictions, style));
    }
    return Exit.done;
  });
}

function differences({ prediction, moved, windows }: ReturnType<typeof leftAlone>) {
  const hex = (value: bigint | undefined) => (value === undefined ? null : `0x${value.toString(16)}`);
  return {
    guests: prediction.guests,
    moved: moved.map(({ id, bar, planned, pinned, predicted }) => ({
      id,
      bar,
      planned: hex(planned),
      pinned,
      predicted: hex(predicted),
    })),
    windows: windows.map(({ id, window, planned, predicted }) => ({
      id,
      window,
      planned: planned && { base: hex(planned.base), limit: hex(planned.limit) },
      predicted: predicted && { base: hex(predicted.base), limit: hex(predicted.limit) },
    })),
  };
}
