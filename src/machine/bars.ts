import { ascending, isPowerOfTwo } from '../address/align.js';
import { formatSize, hex } from '../address/format.js';
import { MiB, type BusAddress } from '../address/kinds.js';
import { defined, type Complain, type Path } from './complain.js';
import type { Bar, Resizable } from './model.js';

interface BarInput {
  readonly index: number;
  readonly type: Bar['type'];
  readonly prefetchable: boolean;
  readonly size: bigint;
  readonly sizes?: readonly bigint[] | undefined;
  readonly resize: 'keep' | 'largest' | bigint;
  readonly pin?: BusAddress | undefined;
}

/** The BARs of a function, or its VF BARs, in ascending order; each register belongs to one. */
export function barsOf(
  id: string,
  bars: readonly BarInput[],
  registers: number,
  path: Path,
  complain: Complain,
  vf = false,
): Bar[] {
  const owner: (number | undefined)[] = [];
  const what = (index: number) => `${id} ${vf ? 'VF BAR' : 'BAR'} ${index}`;
  bars.forEach((bar, i) => {
    const here = [...path, i];
    const last = bar.type === 'mem64' ? bar.index + 1 : bar.index;
    if (last >= registers) {
      complain(
        [...here, 'index'],
        `${what(bar.index)} ${bar.type === 'mem64' ? `takes registers ${bar.index} and ${last}` : 'does not exist'}`,
        registers === 2 ? 'a bridge has BARs 0 and 1' : 'a function has BARs 0 to 5',
      );
    }
    for (let register = bar.index; register <= last; register++) {
      const other = owner[register];
      if (other !== undefined)
        complain([...here, 'index'], `${what(bar.index)} takes register ${register}, which is BAR ${other}'s already`);
      owner[register] = bar.index;
    }
    barSize(what(bar.index), bar, bar.size, [...here, 'size'], complain);
    checkSizes(what(bar.index), bar, here, complain);
    if (bar.type === 'io' && bar.prefetchable)
      complain([...here, 'prefetchable'], `${what(bar.index)} is io: only memory can be prefetchable`);
    if (vf && bar.type === 'io')
      complain([...here, 'type'], `${what(bar.index)} is io: VFs have no I/O space (PCI Express Base 6.0 §9.3.3.14)`);
  });
  return bars
    .map((bar) => ({
      index: bar.index,
      type: bar.type,
      prefetchable: bar.prefetchable,
      size: bar.size,
      ...defined({ pin: bar.pin, resizable: resizableOf(bar) }),
    }))
    .sort((a, b) => a.index - b.index);
}

/** PCI Local Bus 3.0 §6.2.5.1: a BAR decodes a power of two; at least 4 ports or 16 bytes; one of 32 bits at most 2 GiB. */
function barSize(what: string, { type }: BarInput, size: bigint, here: Path, complain: Complain) {
  const least = type === 'io' ? 4n : 16n;
  if (!isPowerOfTwo(size)) complain(here, `${what} has size ${hex(size)}, which is not a power of two`);
  else if (size < least) complain(here, `${what} has size ${hex(size)}: the smallest ${type} BAR has ${least} bytes`);
  else if (type !== 'mem64' && size > 1n << 31n)
    complain(here, `${what} has size ${hex(size)}: a ${type} BAR has at most 0x80000000 bytes`, 'make it mem64');
}

/** What the BAR may be resized to, and to what it is to be; undefined where it has one size. */
function resizableOf({ sizes, resize }: BarInput): Resizable | undefined {
  return sizes && { sizes: [...new Set(sizes)].sort(ascending), to: resize };
}

/** PCI Express Base 6.0 §7.8.6.2: 1 MiB and more. */
function checkSizes(what: string, bar: BarInput, path: Path, complain: Complain) {
  const { sizes, resize, size, type } = bar;
  if (!sizes) {
    if (resize !== 'keep')
      complain([...path, 'resize'], `${what} lists no sizes`, 'add sizes: what its Resizable BAR capability offers');
    return;
  }
  if (type === 'io') complain([...path, 'sizes'], `${what} is io: only a memory BAR can be resizable`);
  sizes.forEach((one, i) => {
    const here = [...path, 'sizes', i];
    if (one < MiB) complain(here, `${what} offers ${hex(one)}: a resizable BAR has at least 0x100000 bytes`);
    else barSize(what, bar, one, here, complain);
  });
  const offered = (one: bigint, key: string) => {
    if (!sizes.includes(one))
      complain(
        [...path, key],
        `${what} has no size ${formatSize(one)}: it offers ${sizes.map((each) => formatSize(each)).join(', ')}`,
      );
  };
  offered(size, 'size');
  if (typeof resize === 'bigint') offered(resize, 'resize');
}

/**
 * PCI Local Bus 3.0 §6.2.5.2: the register holds address bits 31 to 11. That a ROM has at most 16 MiB, which it also says,
 * is not checked: nothing depends on it.
 */
export function romSize(id: string, size: bigint, path: Path, complain: Complain) {
  const here = [...path, 'size'];
  if (!isPowerOfTwo(size)) complain(here, `the ROM of ${id} has size ${hex(size)}, which is not a power of two`);
  else if (size < 0x800n || size > 1n << 31n)
    complain(here, `the ROM of ${id} has size ${hex(size)}: a ROM register can hold 2 KiB to 2 GiB`);
}
