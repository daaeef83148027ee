import { formatSize, hex, parseSize } from '../../address/format.js';
import { isAligned, isPowerOfTwo } from '../../address/align.js';
import { ADDRESS_SPACE, type BusAddress, type Size } from '../../address/kinds.js';
import { Problem } from '../../problem/problem.js';
import { showArgument, withValue, type QemuArgument, type QemuCommandLine } from './command-line.js';
import { parseGlobal, parseSet } from './devices.js';
import { DeviceEdits } from './device-edits.js';
import { requireDeviceIds } from './known-ids.js';
import { joinKeyValues, parseKeyValues, parseSwitch } from './key-values.js';
import { mergePins, parsePinList, parseQemuNumber, type ArgumentPlace, type PinRequest } from './pins.js';

export interface MmioWindow {
  readonly base: BusAddress;
  readonly size: Size;
  readonly where: ArgumentPlace;
}

/** What the proposed options asked for, and the command without them. */
export interface RfcOptions {
  /** For a QEMU that does not know the proposals. Devices that were pinned without an id have one now: `pinbar-0`, … */
  readonly command: QemuCommandLine;
  /** `fixed-bars` and `pci-bars`, in order, each BAR once. */
  readonly pins: readonly PinRequest[];
  /** `pci-pre-enum` of the machine; undefined where it is not given. */
  readonly preEnumerate: boolean | undefined;
  /** `pcie-mmio-window` of the machine. */
  readonly mmioWindow: MmioWindow | undefined;
  /** Root ports with `fixed-bar=on`: every memory BAR behind them is to be pinned. */
  readonly fixedRootPorts: readonly { readonly id: string; readonly where: ArgumentPlace }[];
}

/**
 * Takes the options of the proposed QEMU series out of a command: `fixed-bars` of 2026-05 and its successor's `pci-bars`
 * and `fixed-bar` on devices (in -device in both forms, -set and -global), `pci-pre-enum` and `pcie-mmio-window` on the
 * machine. Everything else stays byte for byte.
 * @throws Problem `pin-syntax`, `pin-bar`, `pin-address`, `pin-conflict`, `pin-unknown-device`, `pin-global`, `fixed-bar`,
 * `pci-pre-enum`, `pcie-mmio-window`, `qemu-json`
 */
export function takeRfc(command: QemuCommandLine): RfcOptions {
  const devices = new DeviceEdits(command);
  const pins: PinRequest[] = [];
  const fixedRootPorts: { id: string; where: ArgumentPlace }[] = [];
  let preEnumerate: boolean | undefined;
  let mmioWindow: MmioWindow | undefined;

  const take = (id: string, key: DeviceKey, value: string, where: ArgumentPlace) => {
    if (key !== 'fixed-bar') pins.push(...parsePinList(value, where).map((pin) => ({ id, ...pin, where })));
    else if (switchOf(value, 'fixed-bar', where)) fixedRootPorts.push({ id, where });
  };
  const kept: QemuArgument[] = [];
  for (const argument of command.arguments) {
    const { option, value } = argument;
    const where = placeOf(argument);
    if (value === undefined) {
      kept.push(argument);
    } else if (option === 'device') {
      for (const { key, value: given } of devices.take(argument, deviceKeys))
        take(devices.idOf(argument), key, given, where);
      kept.push(argument);
    } else if (option === 'set') {
      const set = pinningSet(value);
      if (set) take(set.id, set.key, set.value, where);
      else kept.push(argument);
    } else if (option === 'global') {
      const global = parseGlobal(value);
      const key = deviceKeys.find((name) => name === global?.property);
      if (global && key) take(devices.idOf(onlyDevice(devices, global.driver, where)), key, global.value, where);
      else kept.push(argument);
    } else if (option === 'machine') {
      const parts = parseKeyValues(value, 'type');
      const rest = parts.filter(({ key, value: given, bare }) => {
        if (key === 'pci-pre-enum') preEnumerate = switchOf(bare ? '' : given, key, where);
        else if (key === 'pcie-mmio-window') mmioWindow = parseWindow(bare ? '' : given, where);
        else return true;
        return false;
      });
      if (rest.length === parts.length) kept.push(argument);
      else if (rest.length > 0) kept.push(withValue(argument, joinKeyValues(rest)));
    } else {
      kept.push(argument);
    }
  }

  const edited = { ...command, arguments: kept.map((argument) => devices.edited(argument)) };
  requireDeviceIds(edited, [...pins, ...fixedRootPorts]);
  return { command: edited, pins: mergePins(pins), preEnumerate, mmioWindow, fixedRootPorts };
}

const deviceKeys = ['fixed-bars', 'pci-bars', 'fixed-bar'] as const;
type DeviceKey = (typeof deviceKeys)[number];

const placeOf = (argument: QemuArgument): ArgumentPlace => ({ index: argument.index, text: showArgument(argument) });

/** A -set of one of the keys. QEMU ends the id at its first dot; here an id may have dots, as it may in -device. */
function pinningSet(
  text: string,
): { readonly id: string; readonly key: DeviceKey; readonly value: string } | undefined {
  const set = parseSet(text);
  if (set?.group !== 'device') return undefined;
  const path = `${set.id}.${set.key}`;
  const key = deviceKeys.find((name) => path.endsWith(`.${name}`));
  return key && { id: path.slice(0, -key.length - 1), key, value: set.value };
}

/** -global means every device of a driver; a BAR's address can only be one device's. */
function onlyDevice(devices: DeviceEdits, driver: string, where: ArgumentPlace): QemuArgument {
  const found = devices.ofDriver(driver);
  const [only] = found;
  if (only && found.length === 1) return only;
  throw new Problem(
    'pin-global',
    `${where.text}: ${found.length === 0 ? 'no -device has' : `${found.length} devices have`} the driver ${driver.slice(0, 80)}, and -global would pin the BARs of all of them at the same addresses`,
    {
      hint: `name the device instead: -set device.ID.fixed-bars=…`,
      facts: { driver, devices: found.length, ...where },
    },
  );
}

function switchOf(value: string, key: string, where: ArgumentPlace): boolean {
  const found = parseSwitch(value);
  if (found !== undefined) return found;
  throw new Problem(
    key,
    `${where.text}: ${key} is on or off, and ${value === '' ? 'it has no value' : `"${value.slice(0, 60)}" is neither`}`,
    {
      hint: `write ${key}=on or ${key}=off`,
      facts: { key, value: value.slice(0, 60), ...where },
    },
  );
}

/**
 * `BASE:SIZE`. The series takes hexadecimal and decimal, a base above 0, a size that is a power of two, and a base that
 * is a multiple of it; a size with a unit (`64T`) is accepted as well.
 */
function parseWindow(text: string, where: ArgumentPlace): MmioWindow {
  const code = 'pcie-mmio-window';
  const fail = (what: string, hint: string) =>
    new Problem(code, `${where.text}: ${what}`, { hint, facts: { value: text.slice(0, 120), ...where } });
  const example = 'write BASE:SIZE, such as pcie-mmio-window=0x400000000000:0x400000000000';
  const colon = text.indexOf(':');
  if (colon < 0)
    throw fail(
      text === '' ? 'the window is empty' : `"${text.slice(0, 60)}" has no colon between base and size`,
      example,
    );
  const base = parseQemuNumber(text.slice(0, colon), code, 'the window needs a base before the colon', where);
  const sizeText = text.slice(colon + 1);
  const size =
    /[a-z]$/i.test(sizeText) && !/^0x/i.test(sizeText)
      ? sizeWithUnit(sizeText, () =>
          fail(`the window needs a size after the colon, and "${sizeText.slice(0, 60)}" is none`, example),
        )
      : parseQemuNumber(sizeText, code, 'the window needs a size after the colon', where);
  if (size === 0n) throw fail('the window has no bytes', example);
  if (base === 0n) throw fail('the window begins at 0', 'choose a base above the guest RAM');
  if (!isPowerOfTwo(size)) {
    const larger = 1n << BigInt(size.toString(2).length);
    throw fail(`the size ${hex(size)} is no power of two`, `the next are ${hex(larger >> 1n)} and ${hex(larger)}`);
  }
  if (!isAligned(base, size)) {
    const below = base & -size;
    throw fail(
      `the base ${hex(base)} is no multiple of the size ${hex(size)} (${formatSize(size)})`,
      `the multiples next to it are ${hex(below)} and ${hex(below + size)}`,
    );
  }
  if (base + size > ADDRESS_SPACE) throw fail('the window ends past 64 bits', example);
  return { base, size, where };
}

function sizeWithUnit(text: string, fail: () => Problem): bigint {
  try {
    return parseSize(text);
  } catch (error) {
    throw error instanceof Problem ? fail() : error;
  }
}
