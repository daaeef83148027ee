import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadMachine, machineFrom } from '../machine/load.js';
import { place } from '../place/place.js';
import { missingNotes, pinningNotes } from './notes.js';

const windows = [{ type: 'mem32', base: '0x10000000', size: '0x2eff0000' }];

function planned(arch: string, board: string, sizes: readonly string[], more: object = {}) {
  const bars = sizes.map((size, index) => ({ index, type: 'mem32', size, ...more }));
  const functions = [{ id: 'd', slot: '9.0', class: 0x120000, rom: { size: '64KiB' }, bars }];
  const host = board === 'none' ? { id: 'pcie.0', segment: 0, buses: [0, 255], windows } : { id: 'pcie.0' };
  const machine = machineFrom(
    { pinbar: 1, machine: { arch, board, ram: board === 'none' ? [] : '1GiB' }, hostBridges: [{ ...host, functions }] },
    'test',
  );
  const plan = place(machine);
  if (plan.status !== 'placed') throw new Error(plan.status);
  return { machine, plan };
}

describe('what usual guests would do', () => {
  it('is said without pins where they leave a BAR unplaced', async () => {
    const text = readFileSync('examples/gpu-and-nic.pinbar.yaml', 'utf8').replaceAll(/, pin: 0x[0-9a-f]+/g, '');
    const machine = await loadMachine(text, 'test');
    const plan = place(machine);
    if (plan.status !== 'placed') throw new Error(plan.status);
    const expected = ['Left alone, linux-7.2 would leave nic0 VF BAR 0 without an address.'];
    expect(pinningNotes(machine, plan)).toEqual(expected);
    expect(missingNotes(machine, plan, false)).toEqual(expected);
    expect(missingNotes(machine, plan, true)).toEqual([]);
    const [first] = plan.functions;
    if (!first) throw new Error('no functions');
    const large = { ...plan, functions: Array.from({ length: 5000 }, () => first) };
    expect([...pinningNotes(machine, large), ...missingNotes(machine, large, false)]).toEqual([]);
  });

  it('is nothing where all is placed, and of pins that they are where they are wanted', () => {
    const roomy = planned('aarch64', 'virt', ['4KiB']);
    expect(pinningNotes(roomy.machine, roomy.plan)).toEqual([]);
    const pinned = planned('aarch64', 'virt', ['4KiB'], { pin: '0x10010000' });
    expect(missingNotes(pinned.machine, pinned.plan, false)).toEqual([]);
    expect(pinningNotes(pinned.machine, pinned.plan)).toEqual([
      'Left alone, linux-6.12 and linux-7.2 would have every pin where it is wanted.',
    ]);
  });

  it('is said of firmware that stops, and only of QEMU’s boards', () => {
    const { machine, plan } = planned('x86_64', 'q35', ['4KiB', '512MiB', '512MiB']);
    const halts = /^Left alone, seabios,linux-6[.]12 and seabios,linux-7[.]2 would stop: .*halts/;
    expect(pinningNotes(machine, plan)).toEqual([expect.stringMatching(halts)]);
    expect(missingNotes(machine, plan, false)).toEqual([expect.stringMatching(halts)]);
    expect(missingNotes(machine, plan, true)).toEqual([]);
    const none = planned('x86_64', 'none', ['4KiB'], { pin: '0x10000000' });
    expect(pinningNotes(none.machine, none.plan)).toEqual([]);
  });
});
