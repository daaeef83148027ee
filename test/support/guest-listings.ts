import type { PlannedBar, PlannedBridge, PlannedFunction } from '../../src/place/plan.js';
import type { AddressRange } from '../../src/address/range.js';
import type { Bdf } from '../../src/pci/bdf.js';
import { formatBdf } from '../../src/pci/bdf.js';

/** A guest to print: a plan's functions and bridges, which a test has moved or renumbered as it likes. */
export interface Guest {
  readonly functions: readonly PlannedFunction[];
  readonly bridges: readonly PlannedBridge[];
}

const x = (value: bigint | number, digits = 1) => value.toString(16).padStart(digits, '0');
const bridgeAt = (guest: Guest, at: Bdf) => guest.bridges.find((bridge) => formatBdf(bridge.address) === formatBdf(at));

function human(size: bigint): string {
  const shift = [40n, 30n, 20n, 10n].findIndex((bits) => size % (1n << bits) === 0n);
  return shift < 0 ? `${size}` : `${size >> [40n, 30n, 20n, 10n][shift]!}${'TGMK'[shift]}`;
}

/** `lspci -vvv` as pciutils 3.8 and later print it (`terse`: one `-v`). */
export function lspci(guest: Guest, { terse = false } = {}): string {
  return guest.functions.map((fn) => lspciFunction(guest, fn, terse).join('\n')).join('\n\n') + '\n';
}

function lspciFunction(guest: Guest, fn: PlannedFunction, terse: boolean): string[] {
  const bridge = bridgeAt(guest, fn.address);
  const kind = bridge
    ? 'PCI bridge: Red Hat, Inc. QEMU PCIe Root port'
    : 'Unclassified device [00ff]: Red Hat, Inc. Test';
  const lines = [`${formatBdf(fn.address)} ${kind} (rev 01)`, '\tFlags: bus master, fast devsel, latency 0'];
  for (const bar of fn.bars) lines.push(`\t${terse ? '' : `Region ${bar.index}: `}${lspciBar(bar)}`);
  if (bridge) {
    const { primary, secondary, subordinate } = bridge;
    lines.push(
      `\tBus: primary=${x(primary, 2)}, secondary=${x(secondary, 2)}, subordinate=${x(subordinate, 2)}, sec-latency=0`,
    );
    lines.push(`\tI/O behind bridge: ${lspciRange(bridge.io, 8)} [32-bit]`);
    lines.push(`\tMemory behind bridge: ${lspciRange(bridge.memory, 8)} [32-bit]`);
    lines.push(`\tPrefetchable memory behind bridge: ${lspciRange(bridge.prefetchable, 16)} [64-bit]`);
  }
  if (fn.rom) lines.push(`\tExpansion ROM at ${x(fn.rom.address)} [disabled] [size=${human(fn.rom.size)}]`);
  lines.push('\tCapabilities: [40] MSI-X: Enable+ Count=33 Masked-', '\t\tVector table: BAR=0 offset=00000000');
  if (fn.sriov && !terse) {
    lines.push('\tCapabilities: [120 v1] Single Root I/O Virtualization (SR-IOV)', '\t\tIOVSta:\tMigration-');
    for (const bar of fn.sriov.bars) {
      lines.push(
        `\t\tRegion ${bar.index}: Memory at ${x(bar.address, 16)} (64-bit, ${bar.prefetchable ? '' : 'non-'}prefetchable)`,
      );
    }
  }
  return [...lines, '\tKernel driver in use: test'];
}

const lspciBar = (bar: PlannedBar) =>
  bar.type === 'io'
    ? `I/O ports at ${x(bar.address, 4)} [size=${human(bar.size)}]`
    : `Memory at ${x(bar.address)} (${bar.type === 'mem64' ? 64 : 32}-bit, ${bar.prefetchable ? '' : 'non-'}prefetchable) [size=${human(bar.size)}]`;

const lspciRange = (range: AddressRange | null, digits: number) =>
  range ? `${x(range.base, digits)}-${x(range.limit, digits)} [size=${human(range.size)}]` : '[disabled]';

const memoryFlags = (bar: { type: string; prefetchable: boolean }) =>
  0x40200 + (bar.prefetchable ? 0x2000 : 0) + (bar.type === 'mem64' ? 0x100000 : 0);

/** sysfs `resource` of every function: after a heading, or as `grep .` prints it; with and without CONFIG_PCI_IOV. */
export function sysfs(guest: Guest, { grep = false, iov = true } = {}): string {
  return guest.functions
    .map((fn) => {
      const rows = resourceRows(fn, bridgeAt(guest, fn.address), iov);
      const name = formatBdf(fn.address);
      const path = `/sys/bus/pci/devices/${name}/resource:`;
      return grep ? rows.map((row) => path + row).join('\n') : [`== ${name}`, ...rows].join('\n');
    })
    .join('\n');
}

export function resourceRows(fn: PlannedFunction, bridge: PlannedBridge | undefined, iov: boolean): string[] {
  const none = row(0n, 0n, 0);
  const rows: string[] = Array.from({ length: (iov ? 13 : 7) + (bridge ? 4 : 0) }, () => none);
  for (const bar of fn.bars)
    rows[bar.index] = row(bar.address, bar.size, bar.type === 'io' ? 0x40101 : memoryFlags(bar));
  if (fn.rom) rows[6] = row(fn.rom.address, fn.rom.size, 0x46200);
  if (iov)
    for (const bar of fn.sriov?.bars ?? [])
      rows[7 + bar.index] = row(bar.address, bar.size * BigInt(bar.count), memoryFlags(bar));
  const windows = bridge ? [bridge.io, bridge.memory, bridge.prefetchable] : [];
  windows.forEach((range, i) => {
    if (range) rows[(iov ? 13 : 7) + i] = row(range.base, range.size, [0x101, 0x200, 0x102201][i]!);
  });
  return rows;
}

const row = (base: bigint, size: bigint, flags: number) =>
  `0x${x(base, 16)} 0x${x(size === 0n ? 0n : base + size - 1n, 16)} 0x${x(flags, 16)}`;

/** /proc/iomem or /proc/ioports: every range with its name, nested ones indented. */
export function proc(guest: Guest, space: 'io' | 'memory'): string {
  const ranges: { base: bigint; limit: bigint; name: string; depth: number }[] = [];
  for (const fn of guest.functions) {
    const name = formatBdf(fn.address);
    const depth = fn.address.bus === 0 ? 1 : 2;
    const put = (base: bigint, size: bigint) => ranges.push({ base, limit: base + size - 1n, name, depth });
    for (const bar of fn.bars) if ((bar.type === 'io') === (space === 'io')) put(bar.address, bar.size);
    if (space === 'memory') {
      if (fn.rom) put(fn.rom.address, fn.rom.size);
      for (const bar of fn.sriov?.bars ?? []) put(bar.address, bar.size * BigInt(bar.count));
    }
  }
  for (const { address, secondary, io, memory, prefetchable } of guest.bridges) {
    for (const range of space === 'io' ? [io] : [memory, prefetchable]) {
      const name = `PCI Bus ${x(address.segment, 4)}:${x(secondary, 2)}`;
      if (range) ranges.push({ base: range.base, limit: range.limit, name, depth: 1 });
    }
  }
  ranges.sort((a, b) => (a.base < b.base ? -1 : a.base > b.base ? 1 : a.depth - b.depth));
  const digits = space === 'io' ? 4 : 8;
  const lines = ranges.map(
    ({ base, limit, name, depth }) => `${'  '.repeat(depth)}${x(base, digits)}-${x(limit, digits)} : ${name}`,
  );
  const above = (base: bigint) => lines.filter((_, i) => ranges[i]!.base >= base);
  const below = (base: bigint) => lines.filter((_, i) => ranges[i]!.base < base);
  if (space === 'io') return ['0000-ffff : pcie@10000000', ...lines].join('\n');
  const high = 0x80_0000_0000n;
  const low = ['10000000-3efeffff : pcie@10000000', ...below(high), '40000000-7fffffff : System RAM'];
  return [...low, '8000000000-ffffffffff : pcie@10000000', ...above(high)].join('\n');
}

/** The kernel's log of one boot: `6.12` words or those of `5.10`. */
export function dmesg(guest: Guest, version: '5.10' | '6.12', boot = true): string {
  const recent = version === '6.12';
  const lines = boot ? [`Linux version ${version}.0-test`] : [];
  for (const fn of guest.functions) {
    const bridge = bridgeAt(guest, fn.address);
    lines.push(
      `pci ${formatBdf(fn.address)}: [1b36:000c] type 0${bridge ? 1 : 0} class 0x0${bridge ? 60400 : '0ff00'}`,
    );
    for (const bar of fn.bars) {
      const at = span(bar.type === 'io' ? 'io' : 'mem', 0n, bar.size, flagWords(bar));
      lines.push(
        `pci ${formatBdf(fn.address)}: ${recent ? `BAR ${bar.index}` : `reg 0x${x(0x10 + 4 * bar.index)}:`} ${at}`,
      );
    }
  }
  for (const fn of guest.functions) {
    const say = (name: string, index: number, at: string) =>
      lines.push(
        `pci ${formatBdf(fn.address)}: ${recent ? `${name} ${at}: assigned` : `BAR ${index}: assigned ${at}`}`,
      );
    for (const bar of fn.bars) {
      say(`BAR ${bar.index}`, bar.index, span(bar.type === 'io' ? 'io' : 'mem', bar.address, bar.size, flagWords(bar)));
    }
    if (fn.rom) say('ROM', 6, span('mem', fn.rom.address, fn.rom.size, ' pref'));
    for (const bar of fn.sriov?.bars ?? []) {
      say(`VF BAR ${bar.index}`, 7 + bar.index, span('mem', bar.address, bar.size * BigInt(bar.count), flagWords(bar)));
    }
    const bridge = bridgeAt(guest, fn.address);
    if (!bridge) continue;
    const { secondary, subordinate } = bridge;
    const to = `pci ${formatBdf(fn.address)}:`;
    lines.push(
      `${to} PCI bridge to [bus ${x(secondary, 2)}${secondary === subordinate ? '' : `-${x(subordinate, 2)}`}]`,
    );
    [bridge.io, bridge.memory, bridge.prefetchable].forEach((range, i) => {
      if (range)
        lines.push(
          `${to}   bridge window ${span(i === 0 ? 'io' : 'mem', range.base, range.size, i === 2 ? ' 64bit pref' : '')}`,
        );
    });
  }
  return lines.join('\n');
}

const flagWords = (bar: { type: string; prefetchable: boolean }) =>
  (bar.type === 'mem64' ? ' 64bit' : '') + (bar.prefetchable ? ' pref' : '');

const span = (space: 'io' | 'mem', base: bigint, size: bigint, flags: string) =>
  `[${space === 'io' ? 'io ' : 'mem'} 0x${x(base, space === 'io' ? 4 : 8)}-0x${x(base + size - 1n, space === 'io' ? 4 : 8)}${space === 'io' ? '' : flags}]`;

/** What consoles and loggers make of a text. */
export const dressings = {
  plain: (text: string) => text,
  crlf: (text: string) => text.replaceAll('\n', '\r\n'),
  console: (text: string) =>
    text
      .split('\n')
      .map((line) => `\x1b[0m${line}\x1b[K\r\r`)
      .join('\n'),
  stamped: (text: string) =>
    text
      .split('\n')
      .map((line, i) => `[${(i / 1000).toFixed(6).padStart(12)}] ${line}`)
      .join('\n'),
  journal: (text: string) =>
    text
      .split('\n')
      .map((line) => `Aug  1 10:00:00 guest kernel: ${line}`)
      .join('\n'),
  iso: (text: string) =>
    text
      .split('\n')
      .map((line) => `2025-08-01T10:00:00.123456+02:00 guest kernel: ${line}`)
      .join('\n'),
} as const;
export type Dressing = keyof typeof dressings;
