import { hex, roughSize } from '../../address/format.js';
import type { AddressRange } from '../../address/range.js';
import type { HostWindow } from '../../machine/model.js';
import { escapeXml } from '../libvirt/xml.js';
import type { Exported, ExportSource } from '../exported.js';
import { hostWindows, layoutOf, type PlacedHost } from '../layout.js';
import { piecesOf, type Piece } from './map-tree.js';

/** All lengths in CSS pixels. */
const ROW = 24;
const FREE_ROW = 20;
const HEAD = 24;
const GAP = 4;
const INDENT = 10;
const MARGIN = 24;
const ADDRESSES = 132;
const STRIP = 14;
const LEFT = MARGIN + ADDRESSES + STRIP + 12;
const RIGHT = 880 - MARGIN;
const WIDTH = RIGHT - LEFT;

/** Colours for light and dark pages; what a reader prints is light. */
const STYLE = `
  .page { fill: #ffffff; } .text { fill: #1c2733; } .dim { fill: #66727f; }
  .bridge { fill: #eef2f7; stroke: #b4c0ce; } .bar { fill: #cfe0f5; stroke: #7fa3cf; }
  .pinned { fill: #cdebd3; stroke: #4f9a63; } .blocked { fill: #f0dfd6; stroke: #bf8f77; }
  .free { fill: none; stroke: #c9d1da; stroke-dasharray: 3 3; } .scale { fill: #e6eaef; }
  .mark { fill: #5b87bd; } .mark-pinned { fill: #3d8a53; } .mark-blocked { fill: #bf8f77; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #12171d; } .text { fill: #e4e9ee; } .dim { fill: #95a1ad; }
    .bridge { fill: #1d252e; stroke: #445160; } .bar { fill: #1f3a5a; stroke: #5580b3; }
    .pinned { fill: #1d4529; stroke: #58a86d; } .blocked { fill: #4a3226; stroke: #a87b62; }
    .free { stroke: #3c4752; } .scale { fill: #27303a; }
    .mark { fill: #6f9fd8; } .mark-pinned { fill: #62bb7a; } .mark-blocked { fill: #c08c70; }
  }
  text { font: 12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
  .title { font-weight: bold; font-size: 14px; }
`;

/**
 * A plan's windows as a picture: each from its lowest address to its highest, boxes in boxes as bridges forward them. Boxes are as
 * high as their text needs; the strip at the side is to scale.
 */
export function exportSvg({ plan, machine }: ExportSource): Exported {
  const hosts = layoutOf(plan, machine);
  const blocked = [...plan.ram.map((range) => ({ range, reason: 'RAM' })), ...(machine?.reserved ?? [])];
  const parts: string[] = [];
  let y = MARGIN;
  const notes = new Set<string>();
  for (const host of hosts) {
    const { windows, notes: own } = hostWindows(host);
    own.forEach((note) => notes.add(note));
    for (const window of windows) {
      const drawn = drawWindow(host, window, piecesOf(host, window, blocked), y);
      parts.push(drawn.text);
      y = drawn.end + MARGIN;
    }
  }
  const content = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${RIGHT + MARGIN} ${y}" width="${RIGHT + MARGIN}" height="${y}" role="img" aria-label="Address map">
<title>Address map</title>
<style>${STYLE}</style>
<rect class="page" width="100%" height="100%"/>
${parts.join('')}</svg>
`;
  return { content, notes: [...notes] };
}

function drawWindow(host: PlacedHost, window: HostWindow, pieces: readonly Piece[], top: number) {
  const { type, base, size, cpuBase } = window;
  const range = `${hex(base)}-${hex(base + size - 1n)}`;
  const seen = cpuBase - base === 0n ? '' : `, CPU ${hex(cpuBase)}`;
  const title = `${text(MARGIN, top + 12, `${host.planned.id} ${type}`, 'text title')}${text(
    RIGHT,
    top + 12,
    `${range}  ${roughSize(size)}${seen}`,
    'dim',
    'end',
  )}`;
  const from = top + HEAD;
  const rows = stack(pieces, from, 0);
  const strip = drawStrip(pieces, window, from, rows.end - GAP);
  const last = text(MARGIN + ADDRESSES - 10, rows.end + 9, hex(base + size - 1n), 'dim', 'end');
  return { text: `${title}${strip}${rows.text}${last}\n`, end: rows.end + 12 };
}

/** Pieces below each other; `depth` boxes are around them. */
function stack(pieces: readonly Piece[], top: number, depth: number): { text: string; end: number } {
  let y = top;
  let out = '';
  for (const piece of pieces) {
    const drawn = drawPiece(piece, y, depth);
    out += drawn.text;
    y = drawn.end + GAP;
  }
  return { text: out, end: y };
}

function drawPiece(piece: Piece, y: number, depth: number): { text: string; end: number } {
  const { range, kind, pinned, label, children } = piece;
  const x = LEFT + depth * INDENT;
  const width = WIDTH - 2 * depth * INDENT;
  const inner = kind === 'bridge' ? stack(children, y + HEAD, depth + 1) : undefined;
  const height = inner ? inner.end - y + GAP : kind === 'free' ? FREE_ROW : ROW;
  const line = y + (inner ? HEAD : height) / 2 + 4;
  const words = kind === 'free' ? 'dim' : 'text';
  const shown = pinned ? `${label}, pinned` : label;
  const size = roughSize(range.size);
  return {
    text: [
      `<rect class="${pinned ? 'pinned' : kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="3"><title>${escapeXml(`${label} ${range.toString()}`)}</title></rect>`,
      text(x + 10, line, clipped(shown, width - 30 - 8 * size.length), words),
      text(x + width - 10, line, size, 'dim', 'end'),
      text(MARGIN + ADDRESSES - 10, line, hex(range.base), 'dim', 'end'),
      inner?.text ?? '',
    ].join('\n'),
    end: y + height,
  };
}

/** At most so many pixels of a fixed-width face. */
function clipped(label: string, pixels: number): string {
  const most = Math.max(4, Math.floor(pixels / 7.3));
  return label.length > most ? `${label.slice(0, most - 1)}…` : label;
}

/** Where things lie in the window, to scale; nothing is thinner than a pixel. */
function drawStrip(pieces: readonly Piece[], { base, size }: HostWindow, top: number, bottom: number): string {
  const x = MARGIN + ADDRESSES;
  const height = bottom - top;
  // Hundredths of a pixel, exact enough for a picture.
  const place = (address: bigint) => top + Number(((address - base) * BigInt(Math.round(height * 100))) / size) / 100;
  const mark = (range: AddressRange, name: string) => {
    const from = Math.min(place(range.base), bottom - 1);
    const high = Math.max(1, place(range.limit + 1n) - from);
    return `<rect class="${name}" x="${x}" y="${from.toFixed(2)}" width="${STRIP}" height="${high.toFixed(2)}"/>\n`;
  };
  const leaves = (list: readonly Piece[]): Piece[] =>
    list.flatMap((one) => (one.kind === 'bridge' ? leaves(one.children) : [one]));
  const marks = leaves(pieces)
    .filter(({ kind }) => kind !== 'free')
    .map(({ range, kind, pinned }) =>
      mark(range, pinned ? 'mark-pinned' : kind === 'blocked' ? 'mark-blocked' : 'mark'),
    );
  return `<rect class="scale" x="${x}" y="${top}" width="${STRIP}" height="${height}"/>\n${marks.join('')}`;
}

const text = (x: number, y: number, content: string, name: string, anchor?: 'end'): string =>
  `<text class="${name}" x="${x}" y="${y}"${anchor ? ` text-anchor="${anchor}"` : ''}>${escapeXml(content)}</text>\n`;
