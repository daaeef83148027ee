import { formatSize, hex } from '../../address/format.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Exported, ExportSource } from '../exported.js';
import { allPlaced, layoutOf, type PlacedFunction, type PlacedHost } from '../layout.js';

/** A plan's tree for `dot`: host bridges, bridges with their windows, devices with their BARs. */
export function exportDot({ plan, machine }: ExportSource): Exported {
  const hosts = layoutOf(plan, machine);
  const names = new Map<PlacedFunction | PlacedHost, string>();
  const nameOf = (one: PlacedFunction | PlacedHost) => {
    const name = names.get(one) ?? `n${names.size}`;
    names.set(one, name);
    return name;
  };
  const nodes = hosts.flatMap((host) => [
    `  ${nameOf(host)} [label=${hostLabel(host)}, style="rounded,filled", fillcolor="#dbe4f0"];`,
    ...allPlaced([host]).flatMap((fn) => {
      const above = fn.parent ?? host;
      const kind = fn.bridge
        ? ', style="filled", fillcolor="#eef1f5"'
        : fn.planned.bars.some(({ pinned }) => pinned)
          ? ', penwidth=2'
          : '';
      return [
        `  ${nameOf(fn)} [label=${fn.bridge ? bridgeLabel(fn) : deviceLabel(fn)}${kind}];`,
        `  ${nameOf(above)} -> ${nameOf(fn)};`,
      ];
    }),
  ]);
  const content = `digraph plan {
  rankdir=LR;
  node [shape=box, fontname="monospace", fontsize=10];
  edge [dir=none];
${nodes.join('\n')}
}
`;
  return { content, notes: [] };
}

/** Lines, each flushed left. */
const label = (...lines: readonly string[]): string =>
  `"${lines.map((line) => `${line.replaceAll(/[\\"]/g, (char) => `\\${char}`).replaceAll(/[\p{Cc}]/gu, ' ')}\\l`).join('')}"`;

const hostLabel = ({ planned: { id, segment, buses, windows } }: PlacedHost): string =>
  label(
    `${id}  segment ${segment}, buses ${hex(buses[0], 2)}-${hex(buses[1], 2)}`,
    ...windows.map(({ type, base, size }) => `${type} ${hex(base)}-${hex(base + size - 1n)}`),
  );

function bridgeLabel({ id, address, bridge, planned }: PlacedFunction): string {
  if (!bridge) return label(id);
  const { secondary, subordinate, io, memory, prefetchable } = bridge;
  const windows = [
    ['I/O', io],
    ['memory', memory],
    ['prefetchable', prefetchable],
  ] as const;
  return label(
    `${id}  ${formatBdf(address)}`,
    `secondary ${hex(secondary, 2)}, subordinate ${hex(subordinate, 2)}`,
    ...windows.flatMap(([name, range]) => (range ? [`${name} ${range.toString()}`] : [])),
    ...barLines(planned),
  );
}

const deviceLabel = ({ id, address, planned }: PlacedFunction): string =>
  label(`${id}  ${formatBdf(address)}`, ...barLines(planned));

const barLines = ({ bars, rom, sriov }: PlacedFunction['planned']): string[] => [
  ...bars.map(
    ({ index, address, size, pinned }) => `BAR ${index} ${hex(address)} ${formatSize(size)}${pinned ? ' pinned' : ''}`,
  ),
  ...(rom ? [`ROM ${hex(rom.address)} ${formatSize(rom.size)}${rom.pinned ? ' pinned' : ''}`] : []),
  ...(sriov?.bars ?? []).map(
    ({ index, address, size, count, pinned }) =>
      `VF BAR ${index} ${hex(address)} ${formatSize(size)} x ${count}${pinned ? ' pinned' : ''}`,
  ),
];
