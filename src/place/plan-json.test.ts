import { expect, it } from 'vitest';
import { validMachine } from '../../test/check/layouts.js';
import { contractMachine } from '../../test/support/contract.js';
import { loadMachine } from '../machine/load.js';
import { place } from './place.js';
import { planFromJson, planToJson } from './plan-json.js';

it('writes a plan that was copied, as from a worker', async () => {
  const machines = [1, 2, 3].map((seed) =>
    validMachine({ seed, functions: 12, pins: 0.3, tight: false, busPins: false, hosts: 2 }),
  );
  for (const machine of [await loadMachine(contractMachine, 'machine.yaml'), ...machines]) {
    const plan = place(machine);
    expect(plan.status).toBe('placed');
    expect(planToJson(structuredClone(plan))).toEqual(planToJson(plan));
  }
});

it('says in a conflict that the search for remedies was ended', async () => {
  const machine = await loadMachine(impossible, 'machine.yaml');
  const whole = place(machine);
  expect(whole).toMatchObject({ status: 'infeasible' });
  expect(whole).not.toHaveProperty('stopped');
  expect(planToJson(whole)).not.toHaveProperty('stopped');
  // Asked for the first time once there is a conflict.
  const ended = place(machine, { stop: () => true });
  expect(ended).toMatchObject({ status: 'infeasible', remedies: [], stopped: true });
  expect(planFromJson(JSON.parse(JSON.stringify(planToJson(ended))))).toEqual(ended);
  expect(place(machine, { stop: () => true, remedies: false })).not.toHaveProperty('stopped');
});

const impossible = `
pinbar: 1
machine: { arch: aarch64, board: none, ram: [{ base: 0x40000000, size: 1GiB }] }
hostBridges:
  - id: pcie.0
    windows: [{ type: mem32, base: 0x10000000, size: 16MiB }]
    functions: [{ id: dev0, slot: "1.0", bars: [{ index: 0, type: mem32, size: 32MiB }] }]
`;
