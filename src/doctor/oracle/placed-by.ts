import type { AddressRange } from '../../address/range.js';
import type { Prediction } from '../../guests/prediction.js';
import type { LogLine } from '../../import/log/line.js';
import { formatBdf } from '../../pci/bdf.js';
import { said, type Evidence } from '../evidence.js';
import type { Difference, Missing, PlacedBy } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { sceneOf, type Scene } from '../scene/scene.js';
import { checkFirmware, type FirmwareCheck } from './firmware.js';
import { checkKernel, type KernelCheck } from './kernel.js';
import { loggedBoots, type LoggedBoot } from './logged-boot.js';
import { withTold } from './told.js';
import { openPorts } from './traits.js';

/** A kernel log's placement, with the prediction that it was held against. */
export interface Judged {
  readonly placedBy: readonly PlacedBy[];
  readonly boot?: LoggedBoot;
  readonly kernel?: KernelCheck;
}

/** Compares what kernel logs show with what the models of their guests do. Pure, and bounded whatever the input. */
export function judgePlacement(evidence: Evidence): Judged[] {
  const scene = sceneOf(evidence);
  return loggedBoots(scene).map((read): Judged => {
    if (!('boot' in read)) return { placedBy: read.worthSaying ? [openFor(read.guest, read.open, read.lines)] : [] };
    const boot = withTold(read.boot, evidence);
    const kernel = checkKernel(boot);
    const { release, line } = boot.kernel;
    if ('open' in kernel) return { placedBy: [openFor(`linux-${release}`, kernel.open, [line])] };
    const firmware = checkFirmware(boot, kernel);
    return {
      boot,
      kernel,
      placedBy: [...(firmware ? [byFirmware(boot, firmware)] : []), byKernel(scene, boot, kernel)],
    };
  });
}

const openFor = (guest: string, why: string, lines: readonly LogLine[]): PlacedBy => ({
  guest,
  verdict: 'open',
  summary: `Whether this is the kernel's own order of placement cannot be told: ${why}.`,
  evidence: cite(lines),
  differs: [],
  missing: [ask.wholeLog],
});

/** Versions of Linux whose order was measured; between them a model may be off. */
const measured: ReadonlySet<string> = new Set(['6.1', '6.12', '7.2']);
/** Words of `pci=` that change nothing in where things are placed. */
const harmless =
  /^(?:noaer|nomsi|noats|pcie_bus_\w+|nommconf|noacpi|biosirq|routeirq|nobfsort|nobios|big_root_window_off)$/;

function byKernel(scene: Scene, boot: LoggedBoot, check: KernelCheck): PlacedBy {
  const { differences, guessed, kept, prediction } = check;
  const { release, text, line } = boot.kernel;
  const guest = `linux-${release}`;
  const base = { guest, differs: differences } as const;
  if (differences.length === 0) {
    const ports = guessed.map(({ address }) => formatBdf(address));
    const guess =
      ports.length > 0
        ? ` The log does not say which ports are hot-plug capable; it fits if ${ports.length > 4 ? `${ports.length} of them are` : `${listed(ports)} ${ports.length > 1 ? 'are' : 'is'}`}.`
        : '';
    return {
      ...base,
      verdict: 'own',
      summary: `${ownWords(boot, check)}${leftOut(prediction)}${guess}`,
      evidence: cite(line, exampleLines(boot, kept)),
      missing: [],
    };
  }
  const shown = some(differences.map(differenceText), 3);
  const evidence = cite(
    line,
    said(scene.evidence, 'probe-only')
      .map((message) => message.line)
      .filter((one) => one.boot === boot.boot && one.source.file === boot.file)
      .slice(0, 1),
    differences.slice(0, 6).map((one) => one.line),
  );
  if (kept && isWhole(boot)) {
    return {
      ...base,
      verdict: 'other',
      summary: `Linux ${text} kept what it found in the registers, and ${differences.length} BARs and windows lie elsewhere than it would put them by itself: ${shown}. Somebody had placed them before it started, and it was told to keep them (linux,pci-probe-only in the device tree, or a _DSM of ACPI).`,
      evidence,
      missing: [],
    };
  }
  const doubt = doubtOf(boot, check);
  if (doubt) {
    return {
      ...base,
      verdict: 'open',
      summary: `This is not where the model of Linux ${release} puts everything (${shown}), and what interfered cannot be told: ${doubt.why}.`,
      evidence,
      missing: doubt.missing,
    };
  }
  return {
    ...base,
    verdict: 'other',
    summary: `${differences.length} BARs and windows lie elsewhere than Linux ${text} puts them by itself: ${shown}. Something else decided, such as addresses that are fixed in a device, or a hypervisor; or lines are missing in the midst of this log.`,
    evidence,
    missing: [],
  };
}

/** What stands against saying that something interfered. */
function doubtOf(
  boot: LoggedBoot,
  { prediction }: KernelCheck,
): { readonly why: string; readonly missing: readonly Missing[] } | undefined {
  const options = [...boot.options].filter((option) => !harmless.test(option));
  if (options.length > 0)
    return { why: `the kernel was started with pci=${options.join(',')}, which is not modelled`, missing: [] };
  if (!isWhole(boot))
    return { why: 'the log ends before the lines that come after the placement', missing: [ask.wholeLog] };
  if (!isQemu(boot)) return { why: 'hardware has quirks that are not modelled', missing: [] };
  const model = prediction.guests.at(-1)?.model ?? '';
  if (!measured.has(boot.kernel.release))
    return { why: `Linux ${boot.kernel.release} was not measured; ${model} was`, missing: [] };
  if (openPorts(boot).length > 0) {
    return { why: 'the log does not show which ports are hot-plug capable', missing: [ask.wholeLog, ask.bridges] };
  }
  return undefined;
}

/**
 * The kernel's lists of root buses' windows stand behind their placement, so that nothing of it is cut off. Before 6.11
 * there is none for a device tree.
 */
const isWhole = ({ roots, kernel }: LoggedBoot): boolean =>
  roots.every(({ settled, deviceTree }) => settled !== undefined || (deviceTree && isBefore611(kernel.release)));

const isBefore611 = (release: string) => {
  const [major = 0, minor = 0] = release.split('.').map(Number);
  return major * 1000 + minor < 6011;
};

/** Devices of QEMU's, or its name in the firmware's tables. */
export const isQemu = ({ dmi, functions }: LoggedBoot): boolean =>
  (dmi?.text.includes('QEMU') ?? false) || [...functions.values()].some(({ vendor }) => vendor === 0x1b36);

function byFirmware(boot: LoggedBoot, check: FirmwareCheck): PlacedBy {
  const { guest, name, differences, isExact } = check;
  const base = {
    guest,
    evidence: cite(
      boot.dmi,
      differences.slice(0, 6).map(({ line }) => line),
    ),
    differs: differences,
    missing: [],
  } as const;
  const first = listed(differences.slice(0, 1).map(differenceText));
  if (differences.length === 0) {
    return {
      ...base,
      verdict: 'own',
      summary: `When the kernel looked first, all was as ${name} leaves it by itself.`,
    };
  }
  if (guest === 'qboot') {
    return {
      ...base,
      verdict: 'other',
      summary: `${name} places nothing, and yet the kernel found ${counted(differences.length, 'BAR')} with an address such as ${differences[0]?.address ?? ''} ${subject(differences[0]?.what ?? 0)} at ${differences[0]?.shown?.toString() ?? ''}: somebody had programmed them before the kernel started.`,
    };
  }
  if (isExact && boot.told) {
    return {
      ...base,
      verdict: 'other',
      summary: `${differences.length} BARs and windows lay elsewhere than ${name} puts them by itself when the kernel looked first: ${first}. Something moved them after the firmware.`,
    };
  }
  return {
    ...base,
    verdict: 'open',
    summary: `What the kernel found is not what the model of ${name} leaves (${differences.length} BARs and windows differ: ${first}): ${boot.told ? '' : 'it was told to keep room behind a port (mem-reserve= and the like), '}it is another build, or something was moved after it.`,
    missing: boot.told ? [] : [ask.command],
  };
}

function ownWords(boot: LoggedBoot, { prediction, kept, machine }: KernelCheck): string {
  const { text } = boot.kernel;
  const bars = prediction.functions.reduce((sum, fn) => sum + fn.bars.length, 0);
  const open = prediction.bridges.reduce(
    (sum, { io, memory, prefetchable }) => sum + [io, memory, prefetchable].filter((window) => window !== null).length,
    0,
  );
  const what = `${counted(bars, 'BAR')}${open > 0 ? ` and ${counted(open, 'bridge window')}` : ''} of ${counted(prediction.functions.length, 'function')}`;
  if (kept)
    return `Linux ${text} kept what it found in the registers, and that is where it would put the ${what} by itself.`;
  if (machine.arch === 'x86_64')
    return `Linux ${text} did by itself what it does with what the firmware left: it kept what fitted together and placed the rest. ${what} lie where its model puts them.`;
  return `Linux ${text} placed ${what} exactly as it does by itself: nothing was pinned, and nothing of what stood in the registers was kept.`;
}

function leftOut({ unplaced }: Prediction): string {
  if (unplaced.length === 0) return '';
  const names = unplaced.map(({ id, bar }) => `${id} ${subject(bar)}`);
  return ` ${some(names, 4)} ${names.length > 1 ? 'have' : 'has'} no address by its rules, too.`;
}

export const subject = (bar: string | number): string =>
  typeof bar === 'number'
    ? `BAR ${bar}`
    : bar === 'rom'
      ? 'ROM'
      : bar === 'io'
        ? 'I/O window'
        : bar === 'memory' || bar === 'prefetchable'
          ? `${bar} window`
          : bar === 'numbers'
            ? 'bus numbers'
            : `VF BAR ${bar.slice(2)}`;

const place = (range: AddressRange | null, what: Difference['what']): string =>
  range === null
    ? what === 'io' || what === 'memory' || what === 'prefetchable'
      ? 'closed'
      : 'nowhere'
    : range.toString();

/** `0000:01:00.0 BAR 2 at 0x6b80000000-0x6bbfffffff, by itself at 0x8000000000-0x803fffffff` */
export function differenceText({ address, what, shown, predicted }: Difference): string {
  if (what === 'numbers') return `${address}, whose bus number is another`;
  const [at, by] = [place(shown, what), place(predicted, what)];
  const lies = (text: string) => (text === 'closed' || text === 'nowhere' ? text : `at ${text}`);
  return `${address} ${subject(what)} ${lies(at)}, by itself ${lies(by)}`;
}

/** The first lines that say where something went. */
function exampleLines({ functions }: LoggedBoot, kept: boolean): LogLine[] {
  const lines = [...functions.values()].flatMap(({ resources }) =>
    [...resources.values()].flatMap(({ later, line, first }) => {
      const assigned = later.find(({ verb }) => verb === 'assigned');
      return assigned ? [assigned.line] : kept && first && first.base > 0n ? [line] : [];
    }),
  );
  return lines.toSorted((a, b) => a.source.line - b.source.line).slice(0, 2);
}

const counted = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`;
/** The first of many: `a, b and 3 more`. */
export const some = (words: readonly string[], most: number): string =>
  words.length > most ? `${words.slice(0, most).join(', ')} and ${words.length - most} more` : listed(words);
const listed = (words: readonly string[]) =>
  words.length > 1 ? `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}` : (words[0] ?? '');
