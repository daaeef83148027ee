import { hex } from '../address/format.js';
import { planToJson } from '../place/plan-json.js';
import type { PredictionJson } from './prediction-schema.js';
import type { Prediction } from './prediction.js';

/** The prediction as the contract's JSON: the same bytes for the same prediction. */
export function predictionToJson({ status, guests, unplaced, stopped, ...layout }: Prediction): PredictionJson {
  const plan = planToJson({ status: 'placed', ...layout });
  if (plan.status !== 'placed') throw new RangeError('a placed plan is written as one');
  const { ram, hostBridges, bridges, functions } = plan;
  return {
    pinbar: 1,
    status,
    guests: guests.map(({ name, model }) => ({ name, model })),
    ram,
    hostBridges,
    bridges,
    functions,
    unplaced: unplaced.map(({ id, bar, size, reason }) => ({ id, bar: bar, size: hex(size), reason })),
    ...(stopped === undefined ? {} : { stopped }),
  };
}
