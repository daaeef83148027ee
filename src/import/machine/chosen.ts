import { formatBdf, parseBdf, type Bdf } from '../../pci/bdf.js';
import { nearest } from '../../problem/nearest.js';
import { Problem } from '../../problem/problem.js';
import type { Capture, CapturedFunction } from '../capture/model.js';
import { bdfKey } from '../observation.js';

/**
 * `0009:06:00.0,0009:01:00.0`: addresses of functions, each once.
 * @throws Problem `bdf-syntax`, `device-twice`
 */
export function parseDevices(text: string): Bdf[] {
  const found = text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(parseBdf);
  const seen = new Set<number>();
  for (const bdf of found) {
    if (seen.has(bdfKey(bdf))) throw new Problem('device-twice', `${formatBdf(bdf)} is named twice`);
    seen.add(bdfKey(bdf));
  }
  if (found.length > 0) return found;
  throw new Problem('usage', 'no device is named', { hint: 'name functions: --devices 0009:06:00.0,0009:01:00.0' });
}

/** A capture's functions by address. */
export type FunctionIndex = ReadonlyMap<number, CapturedFunction>;

export const indexOf = ({ functions }: Pick<Capture, 'functions'>): FunctionIndex =>
  new Map(functions.map((fn) => [bdfKey(fn.address), fn]));

/**
 * The functions that are to be passed through.
 * @throws Problem `device-unknown`, `device-is-bridge`
 */
export function chosenFunctions(index: FunctionIndex, devices: readonly Bdf[]): CapturedFunction[] {
  return devices.map((bdf) => {
    const fn = index.get(bdfKey(bdf));
    if (!fn) throw unknown(index, bdf);
    if (!fn.buses && fn.headerType !== 1) return fn;
    throw new Problem('device-is-bridge', `${formatBdf(bdf)} is a bridge, and bridges are not passed through`, {
      hint: 'name the devices behind it: with --mirror, the bridges above them are made as they are on the host',
      facts: { device: formatBdf(bdf) },
    });
  });
}

function unknown(index: FunctionIndex, bdf: Bdf): Problem {
  const wanted = formatBdf(bdf);
  const endpoints = [...index.values()].filter(({ buses }) => !buses).map(({ address }) => formatBdf(address));
  const close = nearest(wanted, endpoints);
  return new Problem('device-unknown', `the capture has no function at ${wanted}`, {
    hint:
      close.length > 0
        ? `did you mean ${close.join(' or ')}?`
        : `it has ${index.size} functions: pinbar import shows them`,
    facts: { device: wanted },
  });
}
