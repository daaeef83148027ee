import { describe, expect, it } from 'vitest';
import { machineFrom } from '../../machine/load.js';
import { guestsOf } from '../../guests/fitting.js';
import { predict } from '../../guests/predict.js';
import { styleFor } from '../io.js';
import { renderPrediction } from './prediction.js';

const style = styleFor({ write: () => true, isTTY: false, columns: 100 }, { NO_COLOR: '1' });

function shown(arch: string, guest: string, bars: unknown[]): string[] {
  const machine = machineFrom(
    {
      pinbar: 1,
      machine: { arch, board: arch === 'x86_64' ? 'q35' : 'virt', ram: '1GiB' },
      hostBridges: [
        { id: 'pcie.0', functions: [{ id: 'd', slot: '9.0', class: 0x120000, rom: { size: '64KiB' }, bars }] },
      ],
    },
    'test',
  );
  return renderPrediction(predict(machine, guestsOf(machine, guest)), style, []).split('\n');
}
const small = { index: 0, type: 'mem32', size: '4KiB' };
const large = { index: 1, type: 'mem32', size: '512MiB' };

describe('a prediction in words', () => {
  it.each([
    ['aarch64', 'linux-5.10', 'linux-6.1, the oldest model there is'],
    ['aarch64', 'linux-6.9', 'linux-6.1, the newest model that is not newer'],
    ['aarch64', 'linux-9.1', 'linux-7.2, the newest model that is not newer'],
    ['aarch64', 'edk2', 'edk2-2026.08, the newest model'],
    ['aarch64', 'edk2-2020.11', 'edk2-2022.11, the oldest model there is'],
    ['aarch64', 'uboot-2025.01', 'uboot, the only model there is'],
    ['x86_64', 'seabios-1.16.1', 'seabios, the model of 1.16.2 and older'],
    ['x86_64', 'edk2', 'ovmf-2025.02, the newest model: on a PC EDK2 is OVMF'],
    ['x86_64', 'edk2-2022.11', 'ovmf-2022.11, the model of that version: on a PC EDK2 is OVMF'],
  ])('on %s %s is %s', (arch, name, words) => {
    expect(shown(arch, name, [small])[0]).toBe(`${name} is predicted as ${words}.`);
  });

  it('does not count ROMs that EDK2 never places', () => {
    const [first, second] = shown('aarch64', 'edk2-2026.08', [small]);
    expect(first).toBe('edk2-2026.08 places everything but ROMs.');
    expect(second).toBe('By design it copies ROMs to RAM and leaves their registers: d.');
    const lines = shown('aarch64', 'edk2-2026.08', [large]);
    expect(lines[0]).toBe('edk2-2026.08 leaves 1 without an address:');
    expect(lines[1]).toMatch(/^  d BAR 1, 512 MiB: /);
    expect(lines[2]).toMatch(/^By design/);
    expect(shown('aarch64', 'linux-6.12', [small])[0]).toBe('linux-6.12 places everything.');
  });
});
