import type { AddressRange } from '../../address/range.js';
import { guestNames, parseGuests, predict } from '../../guests/predict.js';
import { formatBdf } from '../../pci/bdf.js';
import { bdfKey } from '../../import/observation.js';
import { atFirst, devicesFirst, differencesOf } from './compare.js';
import type { Difference } from '../finding.js';
import type { KernelCheck } from './kernel.js';
import type { LoggedBoot, LoggedFunction, LoggedResource } from './logged-boot.js';
import { rootOf } from './logged-roots.js';
import { machineOf } from './logged-machine.js';
import { closest } from './search.js';
import { openPorts, shownHotplug } from './traits.js';

/** What firmware a log is of, and what its model has other than the log. */
export interface FirmwareCheck {
  /** As `pinbar predict --guest` has it. */
  readonly guest: string;
  /** `SeaBIOS 1.16.3`, as far as the log says so. */
  readonly name: string;
  readonly differences: readonly Difference[];
  /** The very version was measured, and nothing but what it was told is left open. */
  readonly isExact: boolean;
}

/** CPUs' address bits that firmware goes by: QEMU's models, and hosts'. */
const addressBits = [36, 39, 40, 42, 43, 44, 45, 46, 48, 52];
/** So many of them are tried, from the least that everything fits in. */
const MOST_WIDTHS = 3;
/** For each model and width. */
const MOST_WORK = 1000;

/**
 * Holds what the registers held at the kernel's first look against what the firmware does by itself. Undefined where the log
 * does not say which firmware it is, where there is no model of it, or where the firmware's memory map is not in the log.
 */
export function checkFirmware(boot: LoggedBoot, { guessed }: KernelCheck): FirmwareCheck | undefined {
  const firmware = firmwareOf(boot);
  if (!firmware || (boot.arch === 'x86_64' && boot.ram.length === 0)) return undefined;
  if (firmware.guests.length === 0) return placesNothing(boot, firmware);
  const told = boot.told?.addressBits;
  const widths = !firmware.byWidth ? [40] : told === undefined ? widthsFor(boot) : [told];
  const open = openPorts(boot);
  let best: FirmwareCheck | undefined;
  for (const guest of firmware.guests) {
    for (const bits of widths) {
      const attempt = (hotplug: ReadonlySet<number>) => {
        const built = machineOf(boot, {
          hotplug: (fn) => shownHotplug(boot, fn) ?? (hotplug.has(bdfKey(fn.address)) ? 'pcie' : 'none'),
          addressBits: bits,
        });
        if ('open' in built) return undefined;
        const prediction = predict(built.machine, parseGuests(guest));
        if (prediction.stopped !== undefined) return undefined;
        return { hotplug, differences: differencesOf(boot, placedAtAll(prediction), registers, isRom) };
      };
      const differences = closest(boot, open, [guessed, open, []], MOST_WORK, attempt)?.differences;
      if (!differences) continue;
      if (!best || differences.length < best.differences.length)
        best = { guest, name: firmware.name, differences, isExact: firmware.isExact };
      if (differences.length === 0) return best;
    }
  }
  return best;
}

/** The address spaces that hold all that was found, the smallest first. */
function widthsFor({ functions }: LoggedBoot): number[] {
  const ends = [...functions.values()].flatMap(({ resources }) =>
    [...resources.values()].flatMap(({ name, first }) => (first && name !== 'rom' ? [first.limit] : [])),
  );
  const top = ends.reduce((most, limit) => (limit > most ? limit : most), 0n);
  return addressBits.filter((bits) => 1n << BigInt(bits) > top).slice(0, MOST_WIDTHS);
}

/** Every address that the kernel found is somebody else's. */
function placesNothing(boot: LoggedBoot, { name, isExact }: Firmware): FirmwareCheck {
  const differences = [...boot.functions.values()].flatMap((fn) => {
    const root = rootOf(boot.roots, fn.address);
    return [...fn.resources.values()].flatMap((resource): Difference[] => {
      const at = root && typeof resource.name === 'number' && !isFixed(fn) ? registers(root, fn, resource) : null;
      return at
        ? [{ address: formatBdf(fn.address), what: resource.name, shown: at, predicted: null, line: resource.line }]
        : [];
    });
  });
  return { guest: 'qboot', name, differences: devicesFirst(boot, differences), isExact };
}

/** The SMBus controller of ICH9, whose ports every firmware sets (hw/isa/lpc_ich9.c, hw/i2c/smbus_ich9.c). */
const isFixed = ({ vendor, device }: LoggedFunction) => vendor === 0x8086 && device === 0x2930;

interface Firmware {
  readonly name: string;
  /** Models of it; none: it places nothing. */
  readonly guests: readonly string[];
  readonly isExact: boolean;
  /** It places by the CPU's address bits, which no line of a log gives. */
  readonly byWidth: boolean;
}

function firmwareOf({ dmi, arch, roots }: LoggedBoot): Firmware | undefined {
  const text = dmi?.text ?? '';
  if (!text.includes('QEMU') || roots.some(({ deviceTree }) => deviceTree)) return undefined;
  // QEMU's qboot.rom has this date in its own SMBIOS table, and no code that sets BARs.
  if (arch === 'x86_64' && text.includes('BIOS 0.1 11/11/2019'))
    return { name: 'qboot', guests: [], isExact: true, byWidth: false };
  const seabios = /BIOS (?:rel-)?(1\.\d{1,2}\.\d{1,2})\b/.exec(text)?.[1];
  if (seabios !== undefined && arch === 'x86_64') {
    const { model } = parseGuests(`seabios-${seabios}`).firmware ?? { model: 'seabios' };
    const isExact = model === (seabios === '1.16.2' ? 'seabios' : `seabios-${seabios}`);
    return { name: `SeaBIOS ${seabios}`, guests: [model], byWidth: model !== 'seabios', isExact };
  }
  // Debian's builds of 2022.11 give no version: 0.0.0, 02/06/2015.
  const edk2 = /BIOS (?:edk2-stable)?(20\d\d)\.?(\d\d)\b|BIOS (?:0\.0\.0|unknown)\b/.exec(text);
  if (!edk2) return undefined;
  const family = arch === 'x86_64' ? 'ovmf' : 'edk2';
  const byWidth = arch === 'x86_64';
  if (edk2[1] === undefined) {
    const all = guestNames.filter((guest) => guest.startsWith(family));
    return { name: 'EDK2', guests: all, byWidth, isExact: false };
  }
  const version = `${edk2[1]}.${edk2[2] ?? ''}`;
  const model = parseGuests(`${family}-${version}`).firmware?.model ?? '';
  return { name: `EDK2 ${version}`, guests: [model], byWidth, isExact: model === `${family}-${version}` };
}

/** A register that holds no address reads as nothing, or as the ones that firmware wrote when it gave the function up. */
const registers = (
  root: Parameters<typeof atFirst>[0],
  fn: LoggedFunction,
  resource: LoggedResource,
): AddressRange | null => {
  const at = atFirst(root, fn, resource);
  const nothing = [BigInt.asUintN(32, -resource.size), BigInt.asUintN(64, -resource.size)];
  return at && typeof resource.name === 'number' && nothing.includes(at.base) ? null : at;
};

type Predicted = ReturnType<typeof predict>;

/** An address of 0 reads as none. */
const placedAtAll = (prediction: Predicted): Predicted => ({
  ...prediction,
  functions: prediction.functions.map((fn) => ({ ...fn, bars: fn.bars.filter(({ address }) => address !== 0n) })),
});

/** ROM registers are left with what sizing wrote. */
const isRom = (_: LoggedFunction, { name }: { readonly name: unknown }) => name === 'rom';
