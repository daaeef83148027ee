import { describe, expect, it } from 'vitest';
import { BOOTS, bootsOf, flavours } from '../groundtruth/boots.js';
import { judge } from '../groundtruth/judge.js';

/** Which guests a folder of recorded boots is of. */
const guestsOf = (flavour: string): { readonly firmware?: string; readonly kernel: string } => {
  const kernel = `linux-${/linux.*-(\d+\.\d+)/.exec(flavour)?.[1] ?? ''}`;
  if (flavour.startsWith('linux-dt')) return { kernel };
  if (flavour.startsWith('seabios')) return { firmware: 'seabios', kernel };
  if (flavour.startsWith('ovmf')) return { firmware: 'ovmf-2022.11', kernel };
  return { firmware: flavour.includes('7.2-qemu11') ? 'edk2-2026.08' : 'edk2-2022.11', kernel };
};

describe.skipIf(flavours().length === 0)(`recorded boots in ${BOOTS}`, () => {
  for (const flavour of flavours()) {
    const { firmware, kernel } = guestsOf(flavour);
    const all = firmware ? `${firmware},${kernel}` : kernel;
    const exact = (guests: string) => {
      const wrong = bootsOf(flavour).flatMap((boot) => {
        const found = judge(boot, guests);
        return found.length > 0 ? [`${boot.name}: ${found.slice(0, 3).join('; ')}`] : [];
      });
      const boots = bootsOf(flavour).length;
      process.stdout.write(`${flavour}, ${guests}: ${boots - wrong.length} of ${boots} boots exact\n`);
      expect(wrong).toEqual([]);
    };
    if (firmware) it(`${flavour}: what ${firmware} leaves`, () => exact(firmware));
    it(`${flavour}: what ${all} makes of it`, () => exact(all));
  }
});
