import { nearest } from '../problem/nearest.js';
import { Problem } from '../problem/problem.js';
import type { Machine, MachineFunction } from '../machine/model.js';
import { assemblePrediction, stoppedPrediction } from './assemble.js';
import { describedBoard, laterOvmfBoard, ovmfBoard, ovmfStops, seabiosBoard, ubootRegions } from './boards.js';
import { edk2, type Edk2Board } from './edk2/edk2.js';
import { linux } from './linux/linux.js';
import { linuxModels, modelOf } from './linux/rules.js';
import type { PredictedGuest, Prediction } from './prediction.js';
import { seabios } from './seabios/seabios.js';
import type { Handover, Registers } from './state.js';
import { uboot } from './uboot/uboot.js';

function ovmf(machine: Machine, board: Edk2Board): Handover {
  const reason = ovmfStops(machine, board);
  return reason === undefined ? edk2(machine, board) : { status: 'stopped', reason };
}

/** Firmware by name: what it leaves in the registers. */
const firmwares: Readonly<Record<string, (machine: Machine) => Handover>> = {
  // Up to 1.16.2.
  seabios: (machine) => seabios(machine, seabiosBoard(machine, '1.16.2')),
  'seabios-1.16.3': (machine) => seabios(machine, seabiosBoard(machine, '1.16.3')),
  'seabios-1.17.0': (machine) => seabios(machine, seabiosBoard(machine, '1.17.0')),
  'edk2-2022.11': (machine) => edk2(machine, describedBoard(machine, true)),
  // On these boards the same.
  'edk2-2025.02': (machine) => edk2(machine, describedBoard(machine, false)),
  'edk2-2026.08': (machine) => edk2(machine, describedBoard(machine, false)),
  uboot: (machine) => uboot(machine, ubootRegions),
  'ovmf-2022.11': (machine) => ovmf(machine, ovmfBoard(machine, true)),
  'ovmf-2025.02': (machine) => ovmf(machine, laterOvmfBoard(machine)),
};

/** Every guest that there is a model of. */
export const guestNames: readonly string[] = [
  ...linuxModels.map(({ version }) => `linux-${version}`),
  ...Object.keys(firmwares),
];

/** The guests that a machine of this architecture is likely to have, as `parseGuests` takes them. */
export function guestsFor({ arch }: Machine): string[] {
  const kernels = linuxModels.map(({ version }) => `linux-${version}`);
  const behind = (firmware: string) => kernels.map((kernel) => `${firmware},${kernel}`);
  if (arch === 'x86_64')
    return [
      'seabios',
      ...behind('seabios'),
      'seabios-1.16.3',
      ...behind('seabios-1.16.3'),
      'ovmf-2022.11',
      ...behind('ovmf-2022.11'),
      'ovmf-2025.02',
      ...behind('ovmf-2025.02'),
    ];
  const described = [...kernels, 'uboot'];
  return arch === 'aarch64'
    ? [...described, 'edk2-2022.11', ...behind('edk2-2022.11'), 'edk2-2026.08']
    : [...described, 'edk2-2025.02'];
}

/** Who places: firmware, a kernel, or both. */
export interface Guests {
  readonly firmware?: PredictedGuest;
  readonly kernel?: PredictedGuest & { readonly version: string };
}

/**
 * Reads `linux-6.12`, `seabios` or `seabios,linux-6.1`.
 * @throws Problem `guest-unknown`, `guest-order`
 */
export function parseGuests(text: string): Guests {
  const parts = text.split(',').map((part) => part.trim());
  const [first = '', second] = parts;
  for (const part of parts) if (!part.startsWith('linux') && firmwareModel(part) === undefined) throw unknown(part);
  if (parts.length > 2 || (second !== undefined && (first.startsWith('linux') || !second.startsWith('linux')))) {
    throw new Problem(
      'guest-order',
      `--guest ${text}: a firmware and a kernel in a row are written as seabios,linux-6.1`,
      {
        hint: `guests are ${guestNames.join(', ')}`,
      },
    );
  }
  if (first.startsWith('linux')) return { kernel: kernelOf(first) };
  const model = firmwareModel(first);
  if (model === undefined) throw unknown(first);
  const firmware = { name: first, model };
  return second === undefined ? { firmware } : { firmware, kernel: kernelOf(second) };
}

/** The model of a firmware: the newest that is not newer than the version; without a version its plain name, or the newest. */
function firmwareModel(name: string): string | undefined {
  const [, family, version] = /^([a-z0-9]+?)(?:-(\d{1,4}(?:\.\d{1,3}){1,2}))?$/.exec(name) ?? [];
  if (family === undefined) return undefined;
  if (Object.hasOwn(firmwares, name)) return name;
  const models = Object.keys(firmwares).filter((model) => model === family || model.startsWith(`${family}-`));
  const older = models.filter((model) => version === undefined || !isNewer(model.slice(family.length + 1), version));
  return older.at(-1) ?? models[0];
}

/** Whether `1.16.3` is newer than `1.16`. What has no version is the oldest. */
export function isNewer(version: string, other: string): boolean {
  const [own, others] = [version, other].map((text) => text.split('.').map(Number)) as [number[], number[]];
  const differs = [0, 1, 2].find((i) => (own[i] ?? 0) !== (others[i] ?? 0)) ?? 0;
  return (own[differs] ?? 0) > (others[differs] ?? 0);
}

function kernelOf(name: string): PredictedGuest & { readonly version: string } {
  const version = /^linux-(\d{1,2}\.\d{1,3})(?:\.\d+)?$/.exec(name)?.[1];
  if (version === undefined) throw unknown(name);
  return { name, model: `linux-${modelOf(version).version}`, version };
}

function unknown(name: string): Problem {
  const [like] = nearest(name, guestNames);
  return new Problem('guest-unknown', `there is no model of ${JSON.stringify(name)}`, {
    hint: `${like ? `did you mean ${like}? ` : ''}Guests are ${guestNames.join(', ')}; a Linux in between uses the older model`,
    facts: { name },
  });
}

/** What the guests will do with a machine by themselves. Pins are not looked at. Pure: the same input gives the same result. */
export function predict(machine: Machine, { firmware, kernel }: Guests): Prediction {
  const guests = [...(firmware ? [firmware] : []), ...(kernel ? [kernel] : [])].map(({ name, model }) => ({
    name,
    model,
  }));
  const left = firmware && firmwares[firmware.model]?.(machine);
  if (left?.status === 'stopped') return stoppedPrediction(machine, guests, left.reason);
  // Behind U-Boot the kernel has a device tree, with which it places everything anew.
  if (kernel) return linux(machine, kernel.version, guests, firmware?.model === 'uboot' ? undefined : left?.registers);
  return assemblePrediction(machine, guests, (fn) => registersOutcome(fn, left?.registers));
}

function registersOutcome(fn: MachineFunction, registers: ReadonlyMap<MachineFunction, Registers> | undefined) {
  const own = registers?.get(fn);
  if (!own) return undefined;
  const { bus, bars, bridge, givenUp = false } = own;
  return {
    bus,
    address: (subject: number | string) => (givenUp ? undefined : bars.get(subject)),
    reason: (subject: number | string) => own.reasons?.(subject) ?? 'the firmware does not place it',
    ...(bridge ? { bridge } : {}),
  };
}
