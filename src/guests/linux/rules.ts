import type { CpuAddress, Size } from '../../address/kinds.js';
import { IO, type Resource } from './resource.js';

/** How a version of Linux on an architecture differs from another. */
export interface LinuxRules {
  /**
   * How windows are sized and filled: `required-first` up to 6.15 (what is missed is reset at once), `optional` later (room
   * for VFs, ROMs and hotplug is asked for together with the rest, and given up first).
   */
  readonly rounds: 'required-first' | 'optional';
  /** From 6.9: a window that no assigned window above could hold gets a laxer alignment. */
  readonly checksUpstream: boolean;
  /** Linux 7: see `Search.oddPartBelow`. */
  readonly oddPartBelow: boolean;
  /** Lowest port and memory address that are handed out in a window that starts at 0. */
  readonly firstPort: CpuAddress;
  readonly firstMemory: CpuAddress;
  /** What is kept free in memory, whatever the windows say. */
  readonly avoid?: (start: CpuAddress, end: CpuAddress) => readonly [CpuAddress, CpuAddress];
  /** Further up than alignment asks for. */
  readonly adjust?: (at: CpuAddress, size: Size, io: boolean) => CpuAddress;
  /** The last resort for what found no room: where firmware had it. */
  readonly revert?: (res: Resource) => boolean;
  /** Bytes that a window is a multiple of. */
  readonly windowStep: (kinds: number) => Size;
}

/** What a hotplug bridge gets beyond its devices: Linux's defaults of hpiosize, hpmmiosize, hpmmioprefsize. */
export const hotplugExtra = { io: 256n, memory: 0x200000n, prefetchable: 0x200000n };

export const windowStep = (kinds: number): Size => ((kinds & IO) !== 0 ? 0x1000n : 0x100000n);

/** A kernel that was measured, and how it differs. */
export interface LinuxModel {
  readonly version: string;
  readonly rules: LinuxRules;
  /** Its log names BARs by their place among a function's resources. */
  readonly numbersBars: boolean;
}

const common = { firstPort: 0x1000n, firstMemory: 0n, windowStep };
const classic: LinuxRules = { ...common, rounds: 'required-first', checksUpstream: false, oddPartBelow: false };

export const linuxModels: readonly LinuxModel[] = [
  { version: '6.1', rules: classic, numbersBars: true },
  // From 6.10: a window that finds no room in the assigned window above it is aligned less.
  { version: '6.12', rules: { ...classic, checksUpstream: true }, numbersBars: false },
  // From 6.17: what is optional is asked for together with the rest.
  {
    version: '7.2',
    rules: { ...common, rounds: 'optional', checksUpstream: false, oddPartBelow: true },
    numbersBars: false,
  },
];

/** The newest model that is not newer than `version`, `6.9` say; for an older one the oldest. */
export function modelOf(version: string): LinuxModel {
  const [oldest, ...newer] = linuxModels;
  if (!oldest) throw new RangeError('no model of Linux');
  const asked = ordered(version);
  return newer.reduce((best, model) => (ordered(model.version) <= asked ? model : best), oldest);
}

/** For comparing `6.12` with `6.9`. */
const ordered = (version: string): number => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major * 1000 + minor;
};
