import { isPowerOfTwo } from '../address/align.js';
import { hex } from '../address/format.js';
import type { BusAddress } from '../address/kinds.js';
import { defined, type Complain, type Path } from './complain.js';
import type { Bar } from './model.js';

interface BarInput {
  readonly index: number;
  readonly type: Bar['type'];
  readonly prefetchable: boolean;
  readonly size: bigint;
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
    barSize(what(bar.index), bar, here, complain);
    if (vf && bar.type === 'io')
      complain([...here, 'type'], `${what(bar.index)} is io: VFs have no I/O space (PCI Express Base 6.0 §9.3.3.14)`);
  });
  return bars
    .map((bar) => ({
      index: bar.index,
      type: bar.type,
      prefetchable: bar.prefetchable,
      size: bar.size,
      ...defined({ pin: bar.pin }),
    }))
    .sort((a, b) => a.index - b.index);
}

/** PCI Local Bus 3.0 §6.2.5.1: a BAR decodes a power of two; at least 4 ports or 16 bytes; one of 32 bits at most 2 GiB. */
function barSize(what: string, bar: BarInput, path: Path, complain: Complain) {
  const { size, type } = bar;
  const least = type === 'io' ? 4n : 16n;
  const here = [...path, 'size'];
  if (!isPowerOfTwo(size)) complain(here, `${what} has size ${hex(size)}, which is not a power of two`);
  else if (size < least) complain(here, `${what} has size ${hex(size)}: the smallest ${type} BAR has ${least} bytes`);
  else if (type !== 'mem64' && size > 1n << 31n)
    complain(here, `${what} has size ${hex(size)}: a ${type} BAR has at most 0x80000000 bytes`, 'make it mem64');
  if (type === 'io' && bar.prefetchable)
    complain([...path, 'prefetchable'], `${what} is io: only memory can be prefetchable`);
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
