import { readFileSync } from 'node:fs';
import { roughSize } from '../../address/format.js';
import type { Size } from '../../address/kinds.js';

/** The host's memory in bytes: all that there is, swap included, and what could be had now. */
export interface HostMemory {
  readonly all: Size;
  readonly available: Size;
}

/** By /proc/meminfo; undefined where there is none. */
export function hostMemory(read = () => readFileSync('/proc/meminfo', 'utf8')): HostMemory | undefined {
  let text: string;
  try {
    text = read();
  } catch {
    return undefined;
  }
  const kib = (name: string) => BigInt(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) << 10n;
  const all = kib('MemTotal') + kib('SwapTotal');
  return all === 0n ? undefined : { all, available: kib('MemAvailable') + kib('SwapFree') };
}

/** What to say before a guest with so much RAM starts; undefined where the host has it. */
export function shortage(wanted: Size, host = hostMemory()): string | undefined {
  if (!host || wanted <= host.available) return undefined;
  return `the guest has ${roughSize(wanted)} of RAM, and this host ${roughSize(host.available)} to give: once the guest uses more, the host ends QEMU`;
}
