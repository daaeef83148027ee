import { Problem } from '../problem/problem.js';

/** A function's device and function number on its bus. `device` 0-31 and `fn` 0-7; with ARI device 0 and `fn` 0-255. */
export interface Slot {
  readonly device: number;
  readonly fn: number;
}

/** A function's address: segment (PCI domain) 0-0xffff, bus 0-255, device and function as in {@link Slot}. */
export interface Bdf extends Slot {
  readonly segment: number;
  readonly bus: number;
}

const pad = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

/** `1e.1`: device and function, hexadecimal. A function number above 7 (ARI) is written as its device and function bits. */
export function formatSlot(slot: Slot): string {
  const devfn = deviceFunction(slot);
  return `${pad(devfn >> 3, 2)}.${devfn & 7}`;
}

/** `0000:1e:00.0`, as lspci -D and the kernel write it. */
export function formatBdf(bdf: Bdf): string {
  return `${pad(bdf.segment, 4)}:${pad(bdf.bus, 2)}:${formatSlot(bdf)}`;
}

/** The eight bits that follow the bus number in a config address: device and function, or the ARI function number. */
export const deviceFunction = (slot: Slot): number => ((slot.device << 3) + slot.fn) & 0xff;

/** Config addresses in ascending order: segment, bus, device, function. */
export function compareBdf(a: Bdf, b: Bdf): number {
  return a.segment - b.segment || a.bus - b.bus || deviceFunction(a) - deviceFunction(b);
}

/**
 * `1.0`, `1e.1`, or `3` for function 0: device and function in hexadecimal.
 * @throws Problem `slot-syntax`
 */
export function parseSlot(text: string): Slot {
  const match = /^([0-9a-f]{1,2})(?:\.([0-7]))?$/i.exec(text.trim());
  const device = match?.[1] === undefined ? NaN : parseInt(match[1], 16);
  if (!(device < 32)) {
    throw new Problem('slot-syntax', `"${text.slice(0, 40)}" is not a slot`, {
      hint: 'write device and function in hexadecimal, 00.0 to 1f.7, such as "1e.1"',
      facts: { text: text.slice(0, 40) },
    });
  }
  return { device, fn: match?.[2] === undefined ? 0 : parseInt(match[2], 16) };
}

/**
 * `0000:01:00.0`, or `01:00.0` for segment 0.
 * @throws Problem `bdf-syntax`
 */
export function parseBdf(text: string): Bdf {
  const match = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i.exec(text.trim());
  const [segment, bus, device, fn] = (match?.slice(1) ?? []).map((part) => parseInt(part || '0', 16));
  if (segment === undefined || bus === undefined || device === undefined || fn === undefined || device > 31) {
    throw new Problem('bdf-syntax', `"${text.slice(0, 40)}" is not a PCI address`, {
      hint: 'write segment:bus:device.function in hexadecimal, such as 0000:01:00.0',
      facts: { text: text.slice(0, 40) },
    });
  }
  return { segment: Number.isNaN(segment) ? 0 : segment, bus, device, fn };
}
