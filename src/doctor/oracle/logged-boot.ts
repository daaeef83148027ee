import type { AddressRange } from '../../address/range.js';
import type { LogLine } from '../../import/log/line.js';
import type { KernelFunction } from '../../import/log/kernel-facts.js';
import type { ResourceEvent } from '../../import/log/resource-event.js';
import { subjectOf } from '../../import/log/messages/messages.js';
import { bdfKey, type ResourceName } from '../../import/observation.js';
import type { Arch, Bridge } from '../../machine/model.js';
import type { Bdf } from '../../pci/bdf.js';
import { said } from '../evidence.js';
import type { Scene } from '../scene/scene.js';
import { memoryOf, rootOf, rootsOf, type Here, type LoggedRoot } from './logged-roots.js';

/** A BAR, ROM, VF BAR group or window of a function in one boot's log. Ranges are the kernel's numbers. */
export interface LoggedResource {
  readonly name: ResourceName;
  readonly space: 'io' | 'memory';
  readonly wide: boolean;
  readonly prefetchable: boolean;
  /** Bytes; of a VF BAR group all VFs together. */
  readonly size: bigint;
  /** With a VF BAR group: the number of VFs. */
  readonly vfs?: number;
  /** What the register held at the kernel's first look, as far as that is shown; one that starts at 0 may be none. */
  readonly first?: AddressRange;
  /** What was said of it after the first look, while the kernel placed: in order. */
  readonly later: readonly ResourceEvent[];
  readonly line: LogLine;
}

export interface LoggedFunction extends Pick<KernelFunction, 'address' | 'vendor' | 'device' | 'class' | 'isBridge'> {
  readonly line: LogLine;
  readonly resources: ReadonlyMap<ResourceName, LoggedResource>;
  /** Bus numbers of a bridge, where a line has them. */
  readonly buses?: { readonly secondary: number; readonly subordinate: number };
}

/** What QEMU's arguments say of a machine. */
export interface ToldMachine {
  /** By {@link bdfKey} of the address that the log has. */
  readonly bridges: ReadonlyMap<number, Bridge>;
  /** Undefined: the host's. */
  readonly addressBits: number | undefined;
}

/** What one boot's log says of the machine, and of what became of it. */
export interface LoggedBoot {
  readonly file: string;
  readonly boot: number;
  readonly arch: Arch;
  /** `6.12`, and the line that says so. */
  readonly kernel: { readonly release: string; readonly text: string; readonly line: LogLine };
  readonly roots: readonly LoggedRoot[];
  /** By address. */
  readonly functions: ReadonlyMap<number, LoggedFunction>;
  /** QEMU's, by `DMI:`; `virt` where there is none. */
  readonly board: 'q35' | 'pc' | 'virt';
  /** Of the firmware's memory map; empty where the log does not have it. */
  readonly ram: readonly AddressRange[];
  /** Its other ranges above 4 GiB. */
  readonly reserved: readonly AddressRange[];
  /** `DMI:` of the machine, where it has one. */
  readonly dmi?: LogLine;
  /** The words of `pci=` on the kernel's command line. */
  readonly options: ReadonlySet<string>;
  /** Slots whose capability the kernel's hot-plug driver has shown. */
  readonly slots: readonly Bdf[];
  /** What `lspci -vvv` says of ports' slots, by address. */
  readonly listed: ReadonlyMap<number, 'none' | 'pcie' | 'shpc'>;
  /** What QEMU's arguments say of the same machine, where they are there. */
  readonly told?: ToldMachine;
  /** The hot-plug driver is at work: a slot that it did not show has no hot-plug capability. */
  readonly portsAreKnown: boolean;
}

/** Why nothing can be said of a boot, and what would help; or the boot. */
export type Read =
  | { readonly boot: LoggedBoot }
  | {
      readonly open: string;
      /** `linux`, with the version where it is known. */
      readonly guest: string;
      /** The log shows an enumeration, not some of its lines. */
      readonly worthSaying: boolean;
      readonly lines: readonly LogLine[];
    };

/** So many of the lines are kept. */
const MOST_SLOTS = 150;
/** A guest has fewer; of more nothing is said. */
const MOST_FUNCTIONS = 600;
const arches: ReadonlySet<string> = new Set<Arch>(['aarch64', 'riscv64', 'x86_64']);

/** The boots that a scene's kernel logs show from their enumeration on, in the order of the input. */
export function loggedBoots(scene: Scene): Read[] {
  const keys = new Map<string, { file: string; boot: number; count: number }>();
  for (const { line } of scene.evidence.functions) {
    const key = `${line.boot}\n${line.source.file}`;
    const known = keys.get(key);
    if (known) known.count++;
    else keys.set(key, { file: line.source.file, boot: line.boot, count: 1 });
  }
  return [...keys.values()].slice(0, MOST_BOOTS).map((one) => readBoot(scene, one.file, one.boot, one.count));
}

/** Boots of one input that are looked at. */
const MOST_BOOTS = 4;

function readBoot(scene: Scene, file: string, boot: number, count: number): Read {
  const { evidence } = scene;
  const here = ({ line }: { readonly line: LogLine }) => line.boot === boot && line.source.file === file;
  const [first] = evidence.functions.filter(here);
  const version = said(evidence, 'linux-version').find(here);
  const release = /^\d+\.\d+/.exec(version?.values['version'] ?? '')?.[0];
  const roots = rootsOf(scene, here);
  const { arch } = scene.stack;
  const open = (text: string): Read => ({
    open: text,
    guest: release === undefined ? 'linux' : `linux-${release}`,
    worthSaying: arch !== undefined && (version !== undefined || roots.length > 0),
    lines: first ? [version?.line ?? first.line] : [],
  });
  if (!version || release === undefined) return open('the line with the kernel’s version is missing');
  if (arch === undefined || !arches.has(arch))
    return open(`there is no model of Linux on ${arch ?? 'this architecture'}`);
  if (Number.parseFloat(release) < 6) return open(`there is no model of a kernel as old as Linux ${release}`);
  if (count > MOST_FUNCTIONS) return open(`${count} functions are more than are compared`);
  if (roots.length === 0 || roots.some(({ windows }) => windows.length === 0))
    return open('the lines with the host bridges’ windows (root bus resource) are missing');
  const functions = functionsOf(scene, file, boot, endOfPlacement(scene, here, roots));
  if (typeof functions === 'string') return open(functions);
  const dmi = said(evidence, 'dmi').find(here)?.line;
  const ports = said(evidence, 'hotplug-slot').filter(here);
  const options = said(evidence, 'kernel-option')
    .filter((message) => here(message) && /ommand line:/.test(message.line.text))
    .flatMap(({ line }) =>
      [...line.text.matchAll(/\bpci=([\w,=:@.-]{3,200})/g)].flatMap(([, words = '']) => words.split(',')),
    );
  return {
    boot: {
      file,
      boot,
      arch: arch as Arch,
      kernel: { release, text: version.values['version'] ?? release, line: version.line },
      roots,
      functions,
      board: arch !== 'x86_64' ? 'virt' : dmi?.text.includes('i440FX') ? 'pc' : 'q35',
      ...memoryOf(scene, here),
      ...(dmi ? { dmi } : {}),
      options: new Set(options),
      slots: ports.flatMap((message) => subjectOf(message) ?? []),
      listed: listedSlots(scene),
      portsAreKnown: ports.length > 0 && ports.length < MOST_SLOTS,
    },
  };
}

/** Of one machine's listing: addresses that several listings have are not told apart. */
function listedSlots({ evidence }: Scene): LoggedBoot['listed'] {
  const slots = new Map<number, 'none' | 'pcie' | 'shpc'>();
  for (const { kind, functions } of evidence.observations) {
    if (kind !== 'lspci') continue;
    for (const { address, capabilities } of functions) {
      if (capabilities?.portType !== undefined) slots.set(bdfKey(address), capabilities.hotplug ?? 'none');
    }
  }
  return slots;
}

/** Whether a line about a function is about the placement at boot, not about what was plugged in or resized later. */
type IsAtBoot = (one: { readonly address: Bdf; readonly line: LogLine }) => boolean;

function endOfPlacement(scene: Scene, here: Here, roots: readonly LoggedRoot[]): IsAtBoot {
  const later = said(scene.evidence, 'hotplug').filter(here);
  const end = later.reduce((least, { line }) => Math.min(least, line.source.line), Infinity);
  return ({ address, line }) => {
    const { settled } = rootOf(roots, address) ?? {};
    return here({ line }) && line.source.line < Math.min(end, settled?.source.line ?? Infinity);
  };
}

/** What is printed of a function before its driver is bound has `pci` in front. */
const isCore = ({ driver }: ResourceEvent) => driver === undefined || driver === 'pci';

function functionsOf(
  scene: Scene,
  file: string,
  boot: number,
  isAtBoot: IsAtBoot,
): ReadonlyMap<number, LoggedFunction> | string {
  const functions = new Map<number, LoggedFunction & { resources: Map<ResourceName, LoggedResource> }>();
  for (const found of scene.evidence.functions.filter(isAtBoot)) {
    functions.set(bdfKey(found.address), { ...found, resources: new Map() });
  }
  for (const { address, secondary, subordinate } of scene.evidence.bridges.filter(isAtBoot)) {
    const fn = functions.get(bdfKey(address));
    if (fn && secondary !== 0) functions.set(bdfKey(address), { ...fn, buses: { secondary, subordinate } });
  }
  for (const story of scene.stories) {
    if (story.file !== file || story.boot !== boot) continue;
    const events = story.events.filter((event) => isCore(event) && isAtBoot(event));
    const [head] = events;
    if (!head) continue;
    const fn = functions.get(bdfKey(story.address));
    if (!fn) return 'lines about functions are there whose first line is not';
    if (story.name === null) return 'lines about resources are there that are not named';
    const resource = resourceOf(story.name, events);
    if (resource === undefined) return 'lines are there about BARs whose size is not shown';
    if (resource) fn.resources.set(story.name, resource);
  }
  return functions;
}

/** IDE controllers have ranges of their own where no BAR says so (PCI IDE Controller Specification 1.0). */
const isLegacy = ({ line }: ResourceEvent) => line.text.includes('legacy IDE quirk');

/** Null: no resource of a register. Undefined: its size is not known. */
function resourceOf(name: ResourceName, events: readonly ResourceEvent[]): LoggedResource | null | undefined {
  const own = events.filter((event) => !isLegacy(event));
  const [head] = own;
  if (!head) return null;
  const isWindow = name === 'io' || name === 'memory' || name === 'prefetchable';
  const group = own.find(({ line }) => vfCount(line) !== undefined);
  const vfs = group && vfCount(group.line);
  const isVf = typeof name === 'string' && name.startsWith('vf');
  if (isVf && (!group || vfs === undefined)) return undefined;
  const shown = group ?? own.find(({ verb, range }) => verb === 'found' && range !== undefined);
  const scanned = shown ? own.indexOf(shown) : -1;
  // Everything but a window is shown when its function is found, before anything is done with it.
  const size = shown?.size ?? (isWindow ? 0n : undefined);
  if (size === undefined) return undefined;
  const isFirst = shown !== undefined && (!isWindow || scanned === 0);
  return {
    name,
    space: head.space,
    wide: own.some(({ wide }) => wide),
    prefetchable: own.some(({ prefetchable }) => prefetchable),
    size,
    ...(vfs === undefined ? {} : { vfs }),
    ...(isFirst && shown.range ? { first: shown.range } : {}),
    later: own.slice(isFirst ? scanned + 1 : 0),
    line: shown?.line ?? head.line,
  };
}

/** `contains BAR 0 for 2 VFs`, with the range of all of them. */
function vfCount({ text }: LogLine): number | undefined {
  const count = / for (\d{1,5}) VFs/.exec(text)?.[1];
  return count === undefined || Number(count) === 0 ? undefined : Number(count);
}
