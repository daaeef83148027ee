import { describe, expect, it } from 'vitest';
import type { Machine } from '../machine/model.js';
import { guestsOf } from './fitting.js';
import { guestsFor } from './predict.js';

const machine = (arch: Machine['arch'], board: string): Machine => ({
  arch,
  board,
  ram: [],
  physicalAddressBits: undefined,
  properties: {},
  allowNonPrefetchableInPrefetchable: false,
  reserved: [],
  hostBridges: [],
});
const arm = machine('aarch64', 'virt');
const riscv = machine('riscv64', 'virt');
const q35 = machine('x86_64', 'q35');

describe('a guest for a machine', () => {
  it.each([
    ['seabios', arm],
    ['seabios,linux-6.1', riscv],
    ['ovmf-2022.11', arm],
    ['edk2-2022.11', riscv],
    ['uboot', q35],
    ['uboot,linux-6.12', q35],
  ])('%s is refused where there is none', (name, of) => {
    let caught: unknown;
    try {
      guestsOf(of, name);
    } catch (error) {
      caught = error;
    }
    const known = of === q35 ? /guests that fit are seabios, / : /guests that fit are linux-6[.]1, /;
    expect(caught).toMatchObject({ code: 'guest-misfit', exit: 1, hint: expect.stringMatching(known) as string });
    expect(caught).toMatchObject({
      message: `--guest ${name}: ${of.board} of ${of.arch} cannot have ${name.split(',')[0]}`,
    });
  });

  it('is on x86 a kernel behind firmware', () => {
    expect(() => guestsOf(q35, 'linux-6.1')).toThrow(/q35 of x86_64 a firmware goes before the kernel/);
    expect(guestsOf(arm, 'linux-6.1').kernel?.model).toBe('linux-6.1');
  });

  it('called edk2 is OVMF on x86, of the version that is asked for', () => {
    expect(['edk2', 'edk2-2022.11', 'edk2-2023.08,linux-7.2'].map((name) => guestsOf(q35, name))).toMatchObject([
      { firmware: { name: 'edk2', model: 'ovmf-2025.02' } },
      { firmware: { name: 'edk2-2022.11', model: 'ovmf-2022.11' } },
      { firmware: { name: 'edk2-2023.08', model: 'ovmf-2022.11' }, kernel: { model: 'linux-7.2' } },
    ]);
    expect(guestsOf(arm, 'edk2-2022.11').firmware?.model).toBe('edk2-2022.11');
  });

  it.each([arm, riscv, q35, machine('x86_64', 'pc'), machine('x86_64', 'none')])(
    'fits where --all takes it: $arch $board',
    (of) => {
      for (const name of guestsFor(of)) expect(() => guestsOf(of, name), name).not.toThrow();
    },
  );
});
