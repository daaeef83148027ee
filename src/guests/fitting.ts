import type { Machine } from '../machine/model.js';
import { Problem } from '../problem/problem.js';
import { guestNames, parseGuests, type Guests } from './predict.js';

const fits: Readonly<Record<Machine['arch'], (name: string) => boolean>> = {
  // Linux by itself would start from bridges without bus numbers; no such boot was held against the model.
  x86_64: (name) => /^(?:seabios|ovmf)/.test(name),
  aarch64: (name) => /^(?:linux|uboot|edk2)/.test(name),
  // EDK2 has had a platform for the board since 2023.
  riscv64: (name) => /^(?:linux|uboot|edk2)/.test(name) && name !== 'edk2-2022.11',
};

const whose = ({ arch, board }: Machine) => `${board === 'none' ? 'a machine' : board} of ${arch}`;

/**
 * Reads guests as `parseGuests` does, for this machine: on x86 `edk2` is the OVMF of that version.
 * @throws Problem `guest-unknown`, `guest-order`; `guest-misfit`: such a machine cannot have that guest
 */
export function guestsOf(machine: Machine, text: string): Guests {
  const guests = parseGuests(text);
  const { firmware, kernel } = guests;
  if (machine.arch === 'x86_64' && firmware && /^edk2/.test(firmware.name)) {
    const ovmf = parseGuests(firmware.name.replace('edk2', 'ovmf')).firmware;
    return { ...guests, ...(ovmf ? { firmware: { ...ovmf, name: firmware.name } } : {}) };
  }
  const first = firmware ?? kernel;
  if (!first || fits[machine.arch](first.model)) return guests;
  const names = guestNames.filter(fits[machine.arch]);
  if (!firmware) {
    throw new Problem('guest-misfit', `--guest ${text}: on ${whose(machine)} a firmware goes before the kernel`, {
      hint: `write it as seabios,${first.name}; firmware is ${names.join(', ')}`,
      facts: { name: text },
    });
  }
  throw new Problem('guest-misfit', `--guest ${text}: ${whose(machine)} cannot have ${firmware.name}`, {
    hint: `guests that fit are ${names.join(', ')}`,
    facts: { name: text },
  });
}
