import { isPowerOfTwo } from '../../address/align.js';
import type { AddressRange } from '../../address/range.js';
import { FOUR_GIB } from '../../address/kinds.js';
import type { HostWindow as MachineWindow, Machine, MachineFunction } from '../../machine/model.js';
import { place } from '../../place/place.js';
import type { Story } from '../scene/stories.js';

/** More BARs than this are not packed: the answer is wanted at once. */
const MOST_BARS = 48;
const STEPS = 200_000;

/**
 * Whether BARs can lie together in windows, all of which are empty: true with a plan, false where there is none, undefined
 * where it is not decided. Only BARs are packed, each at a multiple of its size, so no order of placement does better.
 */
export function canPack(windows: readonly AddressRange[], bars: readonly Story[]): boolean | undefined {
  if (bars.length === 0 || bars.length > MOST_BARS || windows.length === 0) return undefined;
  if (
    !bars.every(
      ({ size, isWindow, isVf }) => size !== undefined && isPowerOfTwo(size) && size >= 16n && !isWindow && !isVf,
    )
  )
    return undefined;
  const result = place(machineOf(windows, bars), { steps: STEPS, remedies: false });
  return result.status === 'undecided' ? undefined : result.status === 'placed';
}

/** Every BAR a function of its own on one root bus: bridges could only make it harder. */
function machineOf(windows: readonly AddressRange[], bars: readonly Story[]): Machine {
  return {
    arch: 'x86_64',
    board: 'none',
    ram: [],
    physicalAddressBits: undefined,
    properties: {},
    allowNonPrefetchableInPrefetchable: true,
    reserved: [],
    hostBridges: [
      { id: 'root', segment: 0, buses: [0, 255], windows: windows.map(windowOf), functions: bars.map(functionOf) },
    ],
  };
}

const windowOf = ({ base, size, limit }: AddressRange): MachineWindow => ({
  type: limit < FOUR_GIB ? 'mem32' : 'mem64',
  base,
  size,
  cpuBase: base,
});

function functionOf({ size = 16n, wide }: Story, index: number): MachineFunction {
  return {
    id: `bar${index}`,
    slot: { device: index >> 3, fn: index & 7 },
    bars: [{ index: 0, type: wide ? 'mem64' : 'mem32', prefetchable: wide, size }],
  };
}
