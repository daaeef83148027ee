import { ascending } from '../../address/align.js';
import { formatSize, hex, roughSize } from '../../address/format.js';
import { AddressRange } from '../../address/range.js';
import { RangeSet } from '../../address/range-set.js';
import type { BarType } from '../../machine/model.js';
import type { Plan, PlannedHostBridge } from '../../place/plan.js';
import type { Style } from '../io.js';
import { printable } from './printable.js';

interface Block {
  readonly range: AddressRange;
  readonly label: string;
  readonly pinned: boolean;
  readonly io: boolean;
  readonly segment: number;
  readonly bridge: boolean;
}

/** Width of the drawn strip in characters. */
const STRIP = 60;

/** The windows of every host bridge, drawn to scale, and under each what lies in it from low to high, holes included. */
export function renderMap(plan: Plan, style: Style): string {
  const blocks = blocksOf(plan);
  return plan.hostBridges
    .flatMap((host) => host.windows.map((window) => renderWindow(host, window, blocks, style)))
    .join('\n');
}

function renderWindow(
  host: PlannedHostBridge,
  window: { readonly type: BarType; readonly base: bigint; readonly size: bigint },
  all: readonly Block[],
  style: Style,
): string {
  const range = AddressRange.sized(window.base, window.size);
  const inside = all.filter(
    (block) => block.segment === host.segment && block.io === (window.type === 'io') && range.covers(block.range),
  );
  const head = `${style.bold(`${printable(host.id)} ${window.type}`)}  ${range.toString()}  ${roughSize(window.size)}`;
  if (inside.length === 0) return `${head}  ${style.dim('empty')}\n`;
  return `${head}\n${strip(range, inside, style)}\n${listing(range, inside, style).join('')}`;
}

/** `[....####..]`: where in the window something lies; pinned BARs stand out. */
function strip(window: AddressRange, blocks: readonly Block[], style: Style): string {
  const marks = style.unicode
    ? { free: '·', bridge: '░', bar: '▒', pinned: '█' }
    : { free: '.', bridge: '-', bar: '=', pinned: '#' };
  const cells = new Array<string>(STRIP).fill(marks.free);
  const cell = (address: bigint) => Number(((address - window.base) * BigInt(STRIP)) / window.size);
  const rank = (block: Block) => (block.bridge ? 0 : block.pinned ? 2 : 1);
  for (const block of [...blocks].sort((a, b) => rank(a) - rank(b))) {
    const mark = block.bridge ? marks.bridge : block.pinned ? marks.pinned : marks.bar;
    for (let i = cell(block.range.base); i <= cell(block.range.limit); i++) cells[i] = mark;
  }
  return `  [${cells.map((mark) => (mark === marks.pinned ? style.green(mark) : mark)).join('')}]`;
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
      Number(b.bridge) - Number(a.bridge),
  );
  const write = (within: AddressRange, from: readonly Block[], depth: number): string[] => {
    const top: { block: Block; children: Block[] }[] = [];
    for (const block of from) {
      const last = top.at(-1);
      if (last?.block.bridge && last.block.range.covers(block.range)) last.children.push(block);
      else top.push({ block, children: [] });
    }
    const lines = top.map(({ block, children }): readonly [bigint, string] => {
      const size = style.dim(block.bridge ? roughSize(block.range.size) : formatSize(block.range.size));
      const text = `${block.bridge ? style.cyan(block.label) : block.label}  ${size}${block.pinned ? `  ${style.green('pinned')}` : ''}`;
      return [
        block.range.base,
        line(block.range, depth, text) + (block.bridge ? write(block.range, children, depth + 1).join('') : ''),
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
  const segments = new Map(plan.functions.map((fn) => [fn.id, fn.address.segment]));
  const bridges = plan.bridges.flatMap((bridge) =>
    (['io', 'memory', 'prefetchable'] as const).flatMap((type): Block[] => {
      const range = bridge[type];
      if (!range) return [];
      const label = `${printable(bridge.id)} ${type === 'io' ? 'I/O' : type} window`;
      return [{ range, label, pinned: false, io: type === 'io', segment: segments.get(bridge.id) ?? 0, bridge: true }];
    }),
  );
  const own = plan.functions.flatMap((fn): Block[] => {
    const block = (address: bigint, size: bigint, what: string, pinned: boolean, io = false): Block => ({
      range: AddressRange.sized(address, size),
      label: `${printable(fn.id)} ${what}`,
      pinned,
      io,
      segment: fn.address.segment,
      bridge: false,
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
