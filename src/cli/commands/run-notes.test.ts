import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { loadMachine } from '../../machine/load.js';
import type { Machine } from '../../machine/model.js';
import { place } from '../../place/place.js';
import type { Plan } from '../../place/plan.js';
import { GuestNotes } from './run-notes.js';

describe('what pinbar run says of guests left alone', () => {
  let machine: Machine;
  let plan: Plan;
  const lines: string[] = [];
  const notes = (flags: { quiet?: boolean; verbose?: boolean }, uefi = false) =>
    new GuestNotes({ quiet: false, verbose: false, ...flags }, uefi, (text) => lines.push(text));

  beforeEach(async () => {
    lines.length = 0;
    machine = await loadMachine(readFileSync('examples/gpu-and-nic.pinbar.yaml', 'utf8'), 'test');
    const result = place(machine);
    if (result.status !== 'placed') throw new Error(result.status);
    plan = result;
  });

  it('is one line on what they leave unplaced, once the guest runs', async () => {
    const own = notes({});
    own.planned(machine, plan);
    await own.said;
    expect(lines).toEqual([]);
    own.running();
    own.running();
    await own.said;
    expect(lines).toEqual(['Left alone, linux-7.2 would leave nic0 VF BAR 0 without an address.']);
  });

  it('is on the pins as well with --verbose, and nothing with --quiet or of kernels behind UEFI firmware', async () => {
    const all = [notes({ quiet: true }), notes({}, true), notes({ verbose: true })];
    for (const own of all) {
      own.running();
      own.planned(machine, plan);
      await own.said;
    }
    expect(lines).toEqual([
      expect.stringMatching(/^Left alone, linux-6[.]12 would put gpu0 BAR 2 .* VF BAR 0 without/),
    ]);
  });
});
