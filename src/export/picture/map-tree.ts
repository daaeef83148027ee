import { ascending } from '../../address/align.js';
import { AddressRange } from '../../address/range.js';
import type { HostWindow, Reserved } from '../../machine/model.js';
import type { PlacedFunction, PlacedHost } from '../layout.js';

/** A piece of a host bridge's window, with what lies in it. */
export interface Piece {
  readonly range: AddressRange;
  readonly kind: 'bridge' | 'bar' | 'blocked' | 'free';
  readonly label: string;
  readonly pinned: boolean;
  readonly children: readonly Piece[];
}

/** All of a window in order of address, free ranges included, as bus addresses. */
export function piecesOf(
  host: PlacedHost,
  { type, base, size, cpuBase }: HostWindow,
  blocked: readonly Reserved[],
): Piece[] {
  const window = AddressRange.sized(base, size);
  const io = type === 'io';
  const taken = io
    ? []
    : blocked.flatMap(({ range, reason }): Piece[] => {
        const shift = cpuBase - base;
        const [low, high] = [range.base - shift, range.limit - shift];
        const inside = high < 0n || low > window.limit ? null : AddressRange.of(low < 0n ? 0n : low, high).meet(window);
        return inside ? [{ range: inside, kind: 'blocked', label: reason, pinned: false, children: [] }] : [];
      });
  return withFree(window, [...taken, ...contents(host.functions, window, io)]);
}

function contents(functions: readonly PlacedFunction[], window: AddressRange, io: boolean): Piece[] {
  return functions.flatMap((fn) => [
    ...resources(fn, io).filter(({ range }) => window.covers(range)),
    ...windowsOf(fn, io).flatMap(([range, name]): Piece[] =>
      range && window.covers(range)
        ? [
            {
              range,
              kind: 'bridge',
              label: `${fn.id} ${name}`,
              pinned: false,
              children: withFree(range, contents(fn.children, range, io)),
            },
          ]
        : [],
    ),
  ]);
}

const windowsOf = ({ bridge }: PlacedFunction, io: boolean): (readonly [AddressRange | null, string])[] =>
  !bridge
    ? []
    : io
      ? [[bridge.io, 'I/O window']]
      : [
          [bridge.memory, 'memory window'],
          [bridge.prefetchable, 'prefetchable window'],
        ];

function resources({ id, planned: { bars, rom, sriov } }: PlacedFunction, io: boolean): Piece[] {
  const piece = (address: bigint, size: bigint, what: string, pinned: boolean): Piece => ({
    range: AddressRange.sized(address, size),
    kind: 'bar',
    label: `${id} ${what}`,
    pinned,
    children: [],
  });
  return [
    ...bars
      .filter(({ type }) => (type === 'io') === io)
      .map(({ address, size, index, pinned }) => piece(address, size, `BAR ${index}`, pinned)),
    ...(rom && !io ? [piece(rom.address, rom.size, 'ROM', rom.pinned)] : []),
    ...(io ? [] : (sriov?.bars ?? [])).map(({ address, size, count, index, pinned }) =>
      piece(address, size * BigInt(count), `VF BAR ${index} x ${count}`, pinned),
    ),
  ];
}

/** In ascending order, with pieces for what nothing takes. */
function withFree(within: AddressRange, pieces: readonly Piece[]): Piece[] {
  const sorted = pieces.toSorted((a, b) => ascending(a.range.base, b.range.base));
  const all: Piece[] = [];
  let next = within.base;
  const free = (limit: bigint) => {
    if (next > limit) return;
    all.push({ range: AddressRange.of(next, limit), kind: 'free', label: 'free', pinned: false, children: [] });
  };
  for (const piece of sorted) {
    free(piece.range.base - 1n);
    all.push(piece);
    if (piece.range.limit >= next) next = piece.range.limit + 1n;
  }
  free(within.limit);
  return all;
}
