import { hex, parseAddress } from '../../address/format.js';
import type { BusAddress } from '../../address/kinds.js';
import type { Pin, PinTarget } from '../../pin/pins.js';
import { Problem } from '../../problem/problem.js';

/** Where a request stands: the index of its word in the QEMU argv (undefined for pinbar's own options), and its text. */
export interface ArgumentPlace {
  readonly index?: number;
  readonly text: string;
}

export interface PinRequest {
  /** The function's id. */
  readonly id: string;
  readonly bar: PinTarget;
  readonly address: BusAddress;
  readonly where: ArgumentPlace;
}

/** The request as `pin` takes it. */
export const toPin = ({ id, bar, address, where }: PinRequest): Pin => ({
  id,
  target: bar,
  address,
  source: where.text,
});

const SYNTAX = 'write barN@ADDRESS, several with commas: bar2@0x6b8000000000,bar4@0x6c8000000000';

/** How a target is written in a pin and in messages: `bar2`, `rom`, `vf0`. */
const formatPinTarget = (target: PinTarget): string => (typeof target === 'number' ? `bar${target}` : target);

const clip = (text: string) => (text.length > 120 ? `${text.slice(0, 117)}...` : text);

function parseTarget(text: string, item: string, where: ArgumentPlace): PinTarget {
  const match = /^(?:(bar|vf)([0-9]{1,9})|rom)$/i.exec(text);
  if (!match) {
    throw new Problem(
      'pin-syntax',
      `${clip(where.text)}: "${clip(item)}" does not say which BAR, "${clip(text)}" is none`,
      {
        hint: `${SYNTAX}; or rom@ADDRESS, or vfN@ADDRESS for a VF BAR group`,
        facts: { item, ...where },
      },
    );
  }
  if (match[2] === undefined) return 'rom';
  const index = Number(match[2]);
  if (index > 5) {
    throw new Problem('pin-bar', `${clip(where.text)}: ${text} does not exist, a function's BARs are numbered 0 to 5`, {
      hint: 'the expansion ROM is pinned with rom@ADDRESS',
      facts: { item, bar: index, ...where },
    });
  }
  return match[1]?.toLowerCase() === 'vf' ? `vf${index}` : index;
}

/**
 * An address or number as QEMU's C reads it, hexadecimal or decimal, except that a leading 0 (octal in C) is refused.
 * @throws Problem with `code`
 */
export function parseQemuNumber(text: string, code: string, message: string, where: ArgumentPlace): bigint {
  const octal = /^0[0-9]/.test(text);
  try {
    if (!octal && text === text.trim()) return parseAddress(text);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
  throw new Problem(code, `${clip(where.text)}: ${message}, and "${clip(text)}" is none of at most 64 bits`, {
    hint: octal
      ? 'QEMU would read the leading 0 as octal: write hexadecimal with 0x, or decimal without it'
      : 'write it in hexadecimal, such as 0x6b8000000000',
    facts: { value: clip(text), ...where },
  });
}

/**
 * `barN@ADDR[,barM@ADDR]*`, with `rom@ADDR` and `vfN@ADDR` as well.
 * @throws Problem `pin-syntax`, `pin-bar`, `pin-address`
 */
export function parsePinList(
  list: string,
  where: ArgumentPlace,
): { readonly bar: PinTarget; readonly address: BusAddress }[] {
  const facts = { list: clip(list), ...where };
  if (list === '')
    throw new Problem('pin-syntax', `${clip(where.text)}: the list of BARs is empty`, { hint: SYNTAX, facts });
  return list.split(',').map((item, at, all) => {
    if (item === '') {
      const which =
        at === all.length - 1 ? 'ends in a comma' : at === 0 ? 'begins with a comma' : 'has two commas in a row';
      throw new Problem('pin-syntax', `${clip(where.text)}: the list of BARs ${which}`, { hint: SYNTAX, facts });
    }
    const sign = item.indexOf('@');
    if (sign < 0) {
      throw new Problem('pin-syntax', `${clip(where.text)}: "${clip(item)}" has no @ and so no address`, {
        hint: SYNTAX,
        facts,
      });
    }
    const bar = parseTarget(item.slice(0, sign), item, where);
    const address = parseQemuNumber(
      item.slice(sign + 1),
      'pin-address',
      `${formatPinTarget(bar)} needs an address after the @`,
      where,
    );
    return { bar, address };
  });
}

/**
 * The argument of `--pin`: `dev0=bar2@0x…,bar4@0x…`. The id is all before the first `=`.
 * @throws Problem `pin-syntax`, `pin-bar`, `pin-address`
 */
export function parsePinOption(argument: string): PinRequest[] {
  const where: ArgumentPlace = { text: `--pin ${argument}` };
  const sign = argument.indexOf('=');
  if (sign < 1) {
    throw new Problem(
      'pin-syntax',
      `${clip(where.text)}: ${sign === 0 ? 'the device id is missing' : 'there is no ='}`,
      {
        hint: 'write ID=barN@ADDRESS, such as --pin dev0=bar2@0x6b8000000000',
        facts: { ...where },
      },
    );
  }
  const id = argument.slice(0, sign);
  return parsePinList(argument.slice(sign + 1), where).map((pin) => ({ id, ...pin, where }));
}

/**
 * The pins without repetitions, in order.
 * @throws Problem `pin-conflict` where the same BAR has two addresses
 */
export function mergePins(pins: readonly PinRequest[]): PinRequest[] {
  const merged = new Map<string, PinRequest>();
  for (const pin of pins) {
    const key = `${formatPinTarget(pin.bar)} ${pin.id}`;
    const earlier = merged.get(key);
    if (earlier && earlier.address !== pin.address) {
      throw new Problem(
        'pin-conflict',
        `${formatPinTarget(pin.bar)} of ${pin.id} is pinned at ${hex(earlier.address)} by ${clip(earlier.where.text)} ` +
          `and at ${hex(pin.address)} by ${clip(pin.where.text)}`,
        {
          hint: 'a BAR has one address: take one of the two out',
          facts: { id: pin.id, bar: pin.bar, first: earlier, second: pin },
        },
      );
    }
    if (!earlier) merged.set(key, pin);
  }
  return [...merged.values()];
}
