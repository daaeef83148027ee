import type { AddressRange } from '../../address/range.js';

/** Width of a drawn strip in characters. */
const STRIP = 60;

/** Something in a strip; one that comes later is drawn over what came before. */
export interface StripPiece {
  readonly range: AddressRange;
  /** One character. */
  readonly mark: string;
}

/** `[....####..]`: where in `window` something lies, to scale; what is there is seen, however small. */
export function drawStrip(
  window: AddressRange,
  pieces: readonly StripPiece[],
  free: string,
  paint: (mark: string) => string,
): string {
  const cells = new Array<string>(STRIP).fill(free);
  const cell = (address: bigint) => Number(((address - window.base) * BigInt(STRIP)) / window.size);
  for (const { range, mark } of pieces) {
    const seen = range.meet(window);
    if (seen) cells.fill(mark, cell(seen.base), cell(seen.limit) + 1);
  }
  return `  [${cells.map(paint).join('')}]`;
}
