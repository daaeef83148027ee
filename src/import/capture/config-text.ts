import { ConfigBytes } from '../../pci/config-bytes.js';

/** Bytes on a line, as `lspci -xxx` has them. */
const WIDTH = 16;

const offset = (value: number) => value.toString(16).padStart(3, '0');
const byte = (value: number) => value.toString(16).padStart(2, '0');
const bytesText = Array.from({ length: 256 }, (_, value) => byte(value));

/**
 * Config space as lines: `010: 0c 00 …`, 16 bytes from an offset on, and `040-0ff: 00` for a stretch of equal bytes. What
 * was not read is on no line.
 */
export function configToLines(config: ConfigBytes): string[] {
  const lines: string[] = [];
  for (const { start, bytes } of config.runs()) {
    for (let at = 0; at < bytes.length;) {
      const same = equalFrom(bytes, at);
      // Lines begin at multiples of 16, so that offsets are easy to find.
      const whole = Math.floor((start + at + same) / WIDTH) * WIDTH - (start + at);
      if (whole >= 2 * WIDTH) {
        lines.push(`${offset(start + at)}-${offset(start + at + whole - 1)}: ${byte(bytes[at] ?? 0)}`);
        at += whole;
        continue;
      }
      const end = Math.min(bytes.length, at + WIDTH - ((start + at) % WIDTH));
      const text = Array.from(bytes.subarray(at, end), (value) => bytesText[value]);
      lines.push(`${offset(start + at)}: ${text.join(' ')}`);
      at = end;
    }
  }
  return lines;
}

/** How many bytes from `at` on are the same. */
function equalFrom(bytes: Uint8Array, at: number): number {
  const value = bytes[at];
  let end = at + 1;
  while (end < bytes.length && bytes[end] === value) end++;
  return end - at;
}

const line = /^([0-9a-f]{1,3})(?:-([0-9a-f]{1,3}))?:((?: [0-9a-f]{2}){1,16})$/i;

/**
 * Reads such lines again; dwords of which not every byte is there are left out.
 * @returns null where a line has another form, or lies outside config space
 */
export function configFromLines(lines: readonly string[]): ConfigBytes | null {
  const bytes = new Uint8Array(0x1000);
  const known = new Uint8Array(0x1000);
  for (const text of lines) {
    const match = line.exec(text);
    if (!match?.[1] || !match[3]) return null;
    const start = parseInt(match[1], 16);
    const values = match[3]
      .trim()
      .split(' ')
      .map((digits) => parseInt(digits, 16));
    if (match[2] === undefined) {
      if (start + values.length > bytes.length) return null;
      bytes.set(values, start);
      known.fill(1, start, start + values.length);
    } else {
      const last = parseInt(match[2], 16);
      const [value, ...others] = values;
      if (last < start || value === undefined || others.length > 0) return null;
      bytes.fill(value, start, last + 1);
      known.fill(1, start, last + 1);
    }
  }
  return configFromBytes(bytes, known);
}

/** Config space of which only some bytes are known: whole dwords count. */
export function configFromBytes(bytes: Uint8Array, known: Uint8Array): ConfigBytes {
  const config = new ConfigBytes();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    if (known[at] && known[at + 1] && known[at + 2] && known[at + 3]) config.set(at, view.getUint32(at, true));
  }
  return config;
}
