import { isPowerOfTwo } from '../address/align.js';
import { parseSize } from '../address/format.js';
import type { BarType } from '../machine/model.js';
import { Problem } from '../problem/problem.js';

/** A BAR that is to find a place. */
export interface BarNeed {
  readonly type: BarType;
  readonly prefetchable: boolean;
  readonly size: bigint;
}

/** A device behind a root port of its own. */
export interface DeviceNeed {
  readonly id: string;
  readonly bars: readonly BarNeed[];
}

/** So many devices of one kind; root ports have 30 slots of 8 functions, and bus numbers end at 255. */
const MOST_DEVICES = 240;

const kinds: Readonly<Record<string, Omit<BarNeed, 'size'>>> = {
  '64': { type: 'mem64', prefetchable: true },
  '64n': { type: 'mem64', prefetchable: false },
  '32': { type: 'mem32', prefetchable: false },
  '32p': { type: 'mem32', prefetchable: true },
  io: { type: 'io', prefetchable: false },
};

/**
 * Devices of `--bar SIZE[*COUNT][:KIND]`: the first COUNT devices have such a BAR. KIND is `64` (prefetchable, where it is left
 * out), `64n` (not prefetchable), `32`, `32p` or `io`.
 * @throws Problem `bar-syntax`, `bar-size`
 */
export function devicesOfBars(texts: readonly string[]): DeviceNeed[] {
  const devices: BarNeed[][] = [];
  for (const text of texts) {
    const [, size = '', count = '1', kind = '64'] = /^([^*:]+)(?:\*([0-9]{1,3}))?(?::(\w+))?$/.exec(text.trim()) ?? [];
    const type = kinds[kind];
    const number = Number(count);
    if (size === '' || !type || number < 1 || number > MOST_DEVICES) {
      throw new Problem('bar-syntax', `--bar ${text.slice(0, 60)} is not SIZE*COUNT:KIND`, {
        hint: `write 512GiB*8 for a 64-bit prefetchable BAR in each of 8 devices, 64MiB*8:32 for a 32-bit one; kinds are ${Object.keys(kinds).join(', ')}; at most ${MOST_DEVICES} devices`,
      });
    }
    const bytes = barSize(text, parseSize(size), type.type);
    for (let i = 0; i < number; i++) (devices[i] ??= []).push({ ...type, size: bytes });
  }
  return devices.map((bars, i) => ({ id: `dev${i}`, bars }));
}

function barSize(text: string, size: bigint, type: BarType): bigint {
  const least = type === 'io' ? 4n : 16n;
  const most = type === 'mem64' ? 1n << 52n : type === 'mem32' ? 1n << 31n : 256n;
  if (isPowerOfTwo(size) && size >= least && size <= most) return size;
  throw new Problem(
    'bar-size',
    `--bar ${text.slice(0, 60)}: a ${type} BAR has a power of two, ${least} to ${most} bytes`,
    {
      hint: 'a device that shows an odd size shows a window or the sum of several BARs: lspci -vvv has each',
    },
  );
}

/** What the BARs of one device want of one window of the port above: in bytes; 0 where there is none. */
export interface WindowNeed {
  /** Of each BAR. */
  readonly sizes: readonly bigint[];
  /** Packed, largest first. */
  readonly size: bigint;
  /** Of the largest BAR. */
  readonly align: bigint;
}

export type WindowKind = 'io' | 'memory' | 'prefetchable';

/** The window of a bridge that a BAR lies in (PCI Express Base 6.0 §7.5.1.2.1). */
export const windowOf = ({ type, prefetchable }: BarNeed): WindowKind =>
  type === 'io' ? 'io' : type === 'mem64' && prefetchable ? 'prefetchable' : 'memory';

export function windowNeed({ bars }: DeviceNeed, kind: WindowKind): WindowNeed {
  const sizes = bars.filter((bar) => windowOf(bar) === kind).map(({ size }) => size);
  return {
    sizes,
    size: sizes.reduce((sum, size) => sum + size, 0n),
    align: sizes.reduce((most, size) => (size > most ? size : most), 0n),
  };
}
