import { describe, expect, it } from 'vitest';
import { BOOTS, bootsOf, flavours, RECORDED } from '../groundtruth/boots.js';
import { recordable } from '../groundtruth/flavours.js';
import { judge } from '../groundtruth/judge.js';

/** Which guests a folder of recorded boots is of. */
const guestsOf = (flavour: string): { readonly firmware?: string; readonly kernel: string } => {
  const kernel = `linux-${/linux.*-(\d+\.\d+)/.exec(flavour)?.[1] ?? ''}`;
  if (flavour.startsWith('linux-dt')) return { kernel };
  if (flavour.startsWith('seabios')) return { firmware: 'seabios', kernel };
  if (flavour.startsWith('ovmf')) return { firmware: 'ovmf-2022.11', kernel };
  return { firmware: flavour.includes('7.2-qemu11') ? 'edk2-2026.08' : 'edk2-2022.11', kernel };
};

/** Judges every boot of a flavour, and says how many are exact. */
function exact(folder: string, flavour: string, guests: string): void {
  const boots = bootsOf(folder, flavour);
  const wrong = boots.flatMap((boot) => {
    const found = judge(boot, guests);
    return found.length > 0 ? [`${boot.name}: ${found.slice(0, 3).join('; ')}`] : [];
  });
  process.stdout.write(`${flavour}, ${guests}: ${boots.length - wrong.length} of ${boots.length} boots exact\n`);
  expect(boots).not.toEqual([]);
  expect(wrong).toEqual([]);
}

describe.skipIf(flavours(BOOTS).length === 0)(`recorded boots in ${BOOTS}`, () => {
  for (const flavour of flavours(BOOTS)) {
    const { firmware, kernel } = guestsOf(flavour);
    const all = firmware ? `${firmware},${kernel}` : kernel;
    if (firmware) it(`${flavour}: what ${firmware} leaves`, () => exact(BOOTS, flavour, firmware));
    it(`${flavour}: what ${all} makes of it`, () => exact(BOOTS, flavour, all));
  }
});

describe('boots recorded with npm run record', () => {
  it.each(recordable)('$name as $guest', ({ name, guest }) => exact(RECORDED, name, guest));
});
