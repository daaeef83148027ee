import { formatSize, hex, roughSize } from '../../address/format.js';
import { AddressRange } from '../../address/range.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Exported, ExportSource } from '../exported.js';
import { allPlaced, hostWindows, layoutOf, type PlacedFunction } from '../layout.js';

/** A plan as a report: tables of windows, bridges and BARs, for a ticket or a review. */
export function exportMarkdown({ plan, machine }: ExportSource): Exported {
  const hosts = layoutOf(plan, machine);
  const functions = allPlaced(hosts);
  const bridges = functions.filter(({ bridge }) => bridge);
  const pinned = functions.flatMap(resourcesOf).filter((one) => one.pinned).length;
  const windows = hosts.map((host) => ({ host, ...hostWindows(host) }));
  const content = [
    '# PCI address plan',
    '',
    `${count(functions.length, 'function')}, ${count(bridges.length, 'bridge')} among them; ${count(pinned, 'pinned address', 'pinned addresses')}.` +
      (machine ? ` Board ${code(machine.board)} of ${machine.arch}.` : ''),
    '',
    '## Host bridges',
    '',
    table(
      ['host bridge', 'buses', 'window', 'bus addresses', 'size', 'CPU address'],
      windows.flatMap(({ host: { planned }, windows: list }) =>
        list.map(({ type, base, size, cpuBase }) => [
          code(planned.id),
          `${hex(planned.buses[0], 2)}-${hex(planned.buses[1], 2)}`,
          type,
          code(AddressRange.sized(base, size).toString()),
          roughSize(size),
          cpuBase - base === 0n ? 'the same' : code(hex(cpuBase)),
        ]),
      ),
    ),
    ...(bridges.length > 0
      ? [
          '## Bridges',
          '',
          table(
            ['bridge', 'address', 'secondary', 'subordinate', 'I/O', 'memory', 'prefetchable'],
            bridges.flatMap(({ id, address, bridge }) =>
              bridge
                ? [
                    [
                      code(id),
                      code(formatBdf(address)),
                      hex(bridge.secondary, 2),
                      hex(bridge.subordinate, 2),
                      ...[bridge.io, bridge.memory, bridge.prefetchable].map((range) =>
                        range ? code(range.toString()) : 'closed',
                      ),
                    ],
                  ]
                : [],
            ),
          ),
        ]
      : []),
    '## BARs',
    '',
    table(
      ['function', 'address', 'resource', 'type', 'size', 'bus addresses', ''],
      functions.flatMap((fn) =>
        resourcesOf(fn).map((one) => [
          code(fn.id),
          code(formatBdf(fn.address)),
          one.name,
          one.type,
          one.count > 1 ? `${formatSize(one.size)} x ${one.count}` : formatSize(one.size),
          code(AddressRange.sized(one.address, one.size * BigInt(one.count)).toString()),
          one.pinned ? 'pinned' : '',
        ]),
      ),
    ),
    '## Kept free',
    '',
    table(
      ['CPU addresses', 'size', 'what'],
      [
        ...plan.ram.map((range) => [code(range.toString()), roughSize(range.size), 'RAM']),
        ...(machine?.reserved ?? []).map(({ range, reason }) => [
          code(range.toString()),
          roughSize(range.size),
          plain(reason),
        ]),
      ],
    ),
  ].join('\n');
  return { content: `${content.trimEnd()}\n`, notes: [...new Set(windows.flatMap(({ notes }) => notes))] };
}

interface Resource {
  readonly name: string;
  readonly type: string;
  readonly size: bigint;
  readonly count: number;
  readonly address: bigint;
  readonly pinned: boolean;
}

function resourcesOf({ planned: { bars, rom, sriov } }: PlacedFunction): Resource[] {
  const type = (one: { type: string; prefetchable: boolean }) =>
    `${one.type}${one.prefetchable ? ' prefetchable' : ''}`;
  return [
    ...bars.map((bar) => ({ ...bar, name: `BAR ${bar.index}`, type: type(bar), count: 1 })),
    ...(rom ? [{ ...rom, name: 'ROM', type: 'mem32', count: 1 }] : []),
    ...(sriov?.bars ?? []).map((bar) => ({ ...bar, name: `VF BAR ${bar.index}`, type: type(bar) })),
  ];
}

const count = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** Text in a cell: nothing in it is markup. */
const plain = (text: string) =>
  text.replaceAll(/\s+/g, ' ').replaceAll(/[\\`*_{}[\]()#+!|<>~&]/g, (char) => `\\${char}`);

/** Code in a cell: a bar would end the cell, a backtick the code. */
function code(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|');
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest > 0 ? `${fence} ${line} ${fence}` : `\`${line}\``;
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `${[head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
