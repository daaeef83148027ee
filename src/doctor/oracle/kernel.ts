import { linux } from '../../guests/linux/linux.js';
import { modelOf } from '../../guests/linux/rules.js';
import type { Prediction } from '../../guests/prediction.js';
import { bdfKey } from '../../import/observation.js';
import type { Bridge, Machine } from '../../machine/model.js';
import { afterwards, differencesOf } from './compare.js';
import type { Difference } from '../finding.js';
import type { LoggedBoot, LoggedFunction } from './logged-boot.js';
import { machineOf, type NotBuilt } from './logged-machine.js';
import { closest } from './search.js';
import { hotplugSigns, openPorts, shownHotplug } from './traits.js';

/** What the model of a boot's kernel makes of the machine that its log shows, beside what the log shows. */
export interface KernelCheck {
  readonly machine: Machine;
  readonly prediction: Prediction;
  readonly differences: readonly Difference[];
  /** Ports of which the log does not show whether they are hot-plug capable, and that are taken to be. */
  readonly guessed: readonly LoggedFunction[];
  /** Of each bridge, as shown or guessed. */
  readonly hotplug: (bridge: LoggedFunction) => Bridge['hotplug'];
  /** BARs stay where they were found, where a kernel by itself would have placed them anew. */
  readonly kept: boolean;
}

const MOST_WORK = 4000;

/**
 * Holds a boot against the model of its kernel. Which ports are hot-plug capable is taken from the log; where that does
 * not show it, it is found by trying what comes closest.
 */
export function checkKernel(boot: LoggedBoot): KernelCheck | NotBuilt {
  const open = openPorts(boot);
  const deviceTree = boot.roots.some((root) => root.deviceTree);
  const keeps = boot.arch === 'x86_64';
  const found = keeps ? { stays: false, moves: false } : asFound(boot);
  const kept = found.stays && !found.moves;
  const { release } = boot.kernel;
  const guests = [{ name: `linux-${release}`, model: `linux-${modelOf(release).version}` }];
  const hotplugOf =
    (guess: ReadonlySet<number>) =>
    (fn: LoggedFunction): Bridge['hotplug'] =>
      shownHotplug(boot, fn) ?? (guess.has(bdfKey(fn.address)) ? 'pcie' : 'none');
  let obstacle: NotBuilt = { open: 'the log does not show enough' };
  const attempt = (guess: ReadonlySet<number>) => {
    const built = machineOf(boot, { addressBits: undefined, hotplug: hotplugOf(guess) });
    if ('open' in built) {
      obstacle = built;
      return undefined;
    }
    const { machine, left } = built;
    const prediction = linux(machine, release, guests, deviceTree ? undefined : left, keeps);
    const differences = differencesOf(boot, prediction, afterwards(keeps || found.stays), isBeside(boot, keeps));
    return { machine, prediction, differences, hotplug: guess };
  };
  const best = closest(boot, kept ? [] : open, [...hotplugSigns(open), open, []], MOST_WORK, attempt);
  if (!best) return obstacle;
  const { hotplug: guess, ...rest } = best;
  return {
    ...rest,
    guessed: open.filter(({ address }) => guess.has(bdfKey(address))),
    hotplug: hotplugOf(guess),
    kept,
  };
}

const isLeftAlone = ({ class: code }: LoggedFunction) => code >> 8 === 0x0600 || code >> 8 === 0;

/**
 * A kernel that is not told to keep what it finds speaks of every BAR again: it assigns it, or says that it cannot. Whether
 * BARs stay without a word, and whether others do not.
 */
function asFound(boot: LoggedBoot): { readonly stays: boolean; readonly moves: boolean } {
  const bars = [...boot.functions.values()]
    .filter((fn) => !isLeftAlone(fn))
    .flatMap(({ resources }) => [...resources.values()])
    .filter(({ name, first }) => typeof name === 'number' && first !== undefined && first.base > 0n);
  const assigned = (one: (typeof bars)[number]) => one.later.some(({ verb }) => verb === 'assigned');
  return { stays: bars.some(({ later }) => later.length === 0), moves: bars.some(assigned) };
}

/** ROMs of displays on x86 are read from a copy below 1 MiB; what the kernel leaves alone stays as it is. */
const isBeside =
  (boot: LoggedBoot, keeps: boolean) =>
  (fn: LoggedFunction, { name }: { readonly name: unknown }) =>
    (name === 'rom' && boot.arch === 'x86_64' && fn.class >> 8 === 0x0300) || (!keeps && isLeftAlone(fn));
