import { ascending } from '../../address/align.js';
import { formatSize, hex, roughSize } from '../../address/format.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import type { HostWindow, Reserved } from '../../machine/model.js';
import type { Bdf } from '../../pci/bdf.js';
import type { Plan, PlannedHostBridge } from '../../place/plan.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';
import { drawStrip } from './strip.js';

interface Block {
  readonly range: AddressRange;
  readonly label: string;
  readonly pinned: boolean;
  readonly io: boolean;
  readonly host: PlannedHostBridge | undefined;
  /** `blocked`: what nothing may lie on. */
  readonly kind: 'bridge' | 'bar' | 'blocked';
}

/**
 * The windows of every host bridge, drawn to scale, and under each what lies in it from low to high, holes included.
 * `reserved`: the reserved ranges of the machine, which are no holes.
 */
export function renderMap(plan: Plan, style: Style, reserved: readonly Reserved[] = []): string {
  const blocks = blocksOf(plan);
  const blocked = [...plan.ram.map((range) => ({ range, reason: 'RAM' })), ...reserved];
  return plan.hostBridges
    .flatMap((host) => host.windows.map((window) => renderWindow(host, window, blocks, blocked, style)))
    .join('\n');
}

function renderWindow(
  host: PlannedHostBridge,
  window: HostWindow,
  all: readonly Block[],
  blocked: readonly Reserved[],
  style: Style,
): string {
  const range = AddressRange.sized(window.base, window.size);
  const inside = all.filter(
    (block) => block.host === host && block.io === (window.type === 'io') && range.covers(block.range),
  );
  const head = `${style.bold(`${printable(host.id)} ${window.type}`)}  ${range.toString()}  ${roughSize(window.size)}${seenAt(window)}`;
  if (inside.length === 0) return `${head}  ${style.dim('empty')}\n`;
  const shown = [...inside, ...(window.type === 'io' ? [] : blockedIn(window, range, host, blocked))];
  return `${head}\n${strip(range, shown, style)}\n${listing(range, shown, style).join('')}`;
}

/** All addresses of the map are bus addresses; where the CPU sees a window elsewhere, this says so. */
const seenAt = ({ type, base, cpuBase }: HostWindow) =>
  type === 'io' || cpuBase - base === 0n ? '' : `  CPU ${hex(cpuBase)}`;

/** RAM and reserved ranges inside a window, where they lie as bus addresses and where as CPU addresses. */
function blockedIn(
  { base, cpuBase }: HostWindow,
  window: AddressRange,
  host: PlannedHostBridge,
  blocked: readonly Reserved[],
): Block[] {
  return blocked.flatMap(({ range, reason }) =>
    [...new Set([0n, cpuBase - base])].flatMap((shift): Block[] => {
      const [low, high] = [range.base - shift, range.limit - shift];
      const found = high < window.base || low > window.limit ? null : clip(low, high, window);
      if (!found) return [];
      const label = reason === 'RAM' ? reason : `reserved: ${printable(reason)}`;
      return [{ range: found, label, pinned: false, io: false, host, kind: 'blocked' }];
    }),
  );
}

const clip = (low: bigint, high: bigint, { base, limit }: AddressRange): AddressRange =>
  AddressRange.of(low > base ? low : base, high < limit ? high : limit);

/** `[....####..]`: where in the window something lies; pinned BARs stand out. */
function strip(window: AddressRange, blocks: readonly Block[], style: Style): string {
  const marks = style.unicode
    ? { free: '·', bridge: '░', bar: '▒', pinned: '█', blocked: '×' }
    : { free: '.', bridge: '-', bar: '=', pinned: '#', blocked: 'x' };
  const rank = (block: Block) => ['blocked', 'bridge', 'bar'].indexOf(block.kind) + Number(block.pinned);
  const pieces = [...blocks]
    .sort((a, b) => rank(a) - rank(b))
    .map((block) => ({ range: block.range, mark: block.pinned ? marks.pinned : marks[block.kind] }));
  return drawStrip(window, pieces, marks.free, (mark) => (mark === marks.pinned ? style.green(mark) : mark));
}

function listing(window: AddressRange, blocks: readonly Block[], style: Style): string[] {
  const digits = hex(window.limit).length;
  const line = (range: AddressRange, depth: number, text: string) =>
    `  ${hex(range.base).padStart(digits)}-${hex(range.limit).padEnd(digits)}  ${'  '.repeat(depth)}${text}\n`;
  // A larger range first where two begin alike: the bridge window before what lies in it.
  const sorted = [...blocks].sort(
    (a, b) =>
      ascending(a.range.base, b.range.base) ||
      ascending(b.range.size, a.range.size) ||
      Number(b.kind === 'bridge') - Number(a.kind === 'bridge'),
  );
  const write = (within: AddressRange, from: readonly Block[], depth: number): string[] => {
    const top: { block: Block; children: Block[] }[] = [];
    for (const block of from) {
      const last = top.at(-1);
      if (last?.block.kind === 'bridge' && last.block.range.covers(block.range)) last.children.push(block);
      else top.push({ block, children: [] });
    }
    const lines = top.map(({ block, children }): readonly [bigint, string] => {
      const size = style.dim(block.kind === 'bar' ? formatSize(block.range.size) : roughSize(block.range.size));
      const text = `${block.kind === 'bridge' ? style.cyan(block.label) : block.label}  ${size}${block.pinned ? `  ${style.green('pinned')}` : ''}`;
      return [
        block.range.base,
        line(block.range, depth, text) +
          (block.kind === 'bridge' ? write(block.range, children, depth + 1).join('') : ''),
      ];
    });
    const holes = RangeSet.of([within]).subtract(top.map(({ block }) => block.range));
    const free = [...holes].map((hole): readonly [bigint, string] => [
      hole.base,
      line(hole, depth, style.dim(`free  ${roughSize(hole.size)}`)),
    ]);
    return [...lines, ...free].sort(([a], [b]) => ascending(a, b)).map(([, text]) => text);
  };
  return write(window, sorted, 0);
}

function blocksOf(plan: Plan): Block[] {
  // Bus addresses of two host bridges may be the same: a bus number belongs to one of them.
  const hostOf = ({ segment, bus }: Bdf) =>
    plan.hostBridges.find((host) => host.segment === segment && host.buses[0] <= bus && bus <= host.buses[1]);
  const bridges = plan.bridges.flatMap((bridge) =>
    (['io', 'memory', 'prefetchable'] as const).flatMap((type): Block[] => {
      const range = bridge[type];
      if (!range) return [];
      const label = `${printable(bridge.id)} ${type === 'io' ? 'I/O' : type} window`;
      const host = hostOf(bridge.address);
      return [{ range, label, pinned: false, io: type === 'io', host, kind: 'bridge' }];
    }),
  );
  const own = plan.functions.flatMap((fn): Block[] => {
    const host = hostOf(fn.address);
    const block = (address: bigint, size: bigint, what: string, pinned: boolean, io = false): Block => ({
      range: AddressRange.sized(address, size),
      label: `${printable(fn.id)} ${what}`,
      pinned,
      io,
      host,
      kind: 'bar',
    });
    return [
      ...fn.bars.map((bar) => block(bar.address, bar.size, `BAR ${bar.index}`, bar.pinned, bar.type === 'io')),
      ...(fn.rom ? [block(fn.rom.address, fn.rom.size, 'ROM', fn.rom.pinned)] : []),
      ...(fn.sriov?.bars ?? []).map((bar) =>
        block(bar.address, bar.size * BigInt(bar.count), `VF BAR ${bar.index} x ${bar.count}`, bar.pinned),
      ),
    ];
  });
  return [...bridges, ...own];
}
