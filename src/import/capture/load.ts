import * as v from 'valibot';
import { AddressRange } from '../../address/range.js';
import { mistakesOf } from '../../machine/mistakes.js';
import { compareBdf, parseBdf } from '../../pci/bdf.js';
import { Problem, Problems, type Where } from '../../problem/problem.js';
import type { CapabilityFacts } from '../function-facts.js';
import type { SeenMapLine } from '../host-facts.js';
import { configFromLines } from './config-text.js';
import type { Capture, CapturedFunction, CapturedHost, CapturedWindow, CapturedWindows } from './model.js';
import { windowNames } from './model.js';
import { captureSchema, type CaptureParsed, type FunctionParsed } from './schema.js';

/** A capture with more characters than this is refused unread: 65536 functions with all their config space fit. */
export const MAX_CAPTURE = 512 * 1024 * 1024;
/** So much of it is looked through for the place of a mistake. */
const MAX_LOCATED = 1024 * 1024;
const MAX_PROBLEMS = 20;

/** Whether a text is a capture, by how it begins. */
export const looksLikeCapture = (text: string): boolean => /^\s*\{[^}]{0,200}"pinbar-capture"/.test(text.slice(0, 400));

/**
 * Reads a capture's text. `file` is its name in messages.
 * @throws Problem or Problems `capture-too-large`, `capture-syntax`, `capture-schema`
 */
export async function loadCapture(text: string, file: string): Promise<Capture> {
  if (text.length > MAX_CAPTURE) {
    throw new Problem(
      'capture-too-large',
      `${file} has ${text.length} characters; a capture has at most ${MAX_CAPTURE}`,
      {
        where: { file },
      },
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem('capture-syntax', `not valid JSON: ${why}`, { where: await locate(text, file, []) });
  }
  try {
    return captureFrom(value);
  } catch (error) {
    const found = error instanceof Problems ? error.list : error instanceof Problem ? [error] : undefined;
    if (!found) throw error;
    const placed = [];
    for (const problem of found.slice(0, MAX_PROBLEMS)) {
      placed.push(problem.at(await locate(text, file, problem.facts['path'] as (string | number)[])));
    }
    throw placed.length === 1 && placed[0] ? placed[0] : new Problems(placed);
  }
}

/** Line and column of what lies at `path`, where the text is not too large to look for it. */
async function locate(text: string, file: string, path: readonly (string | number)[]): Promise<Where> {
  if (text.length > MAX_LOCATED) return { file };
  const { parseYaml } = await import('../../machine/yaml.js');
  try {
    return parseYaml(text, file).locate(path);
  } catch (error) {
    return error instanceof Problem && error.where ? error.where : { file };
  }
}

/**
 * Reads a capture that is already parsed.
 * @throws Problem or Problems `capture-schema` with the path in `facts`
 */
export function captureFrom(value: unknown): Capture {
  const parsed = v.safeParse(captureSchema, value);
  const problem = (path: readonly (string | number)[], message: string) =>
    new Problem('capture-schema', message, { facts: { path } });
  if (!parsed.success) {
    throw new Problems(mistakesOf(parsed.issues).map(({ path, message }) => problem(path, message)));
  }
  const problems: Problem[] = [];
  const complain: Complain = (path, message) => problems.push(problem(path, message));
  const capture = read(parsed.output, complain);
  if (problems.length > 0) throw new Problems(problems);
  return capture;
}

type Complain = (path: readonly (string | number)[], message: string) => void;

function read(json: CaptureParsed, complain: Complain): Capture {
  const seen = new Set<string>();
  const functions = json.functions.map((fn, i): CapturedFunction => {
    if (seen.has(fn.address)) complain(['functions', i, 'address'], `${fn.address} is described twice`);
    seen.add(fn.address);
    return readFunction(fn, ['functions', i], complain);
  });
  const map = (lines: readonly string[], key: string) =>
    lines.flatMap((text, i) => mapLine(text) ?? (complain([key, i], `"${text.slice(0, 60)}" has no range`), []));
  return {
    sources: json.sources,
    host: readHost(json.host),
    hostBridges: json.hostBridges.map(({ windows, ...rest }) => ({
      ...defined(rest),
      ...(windows ? { windows: windows.map(defined) } : {}),
    })),
    iommuGroups: json.iommuGroups.map(({ group, reserved }, i) => ({
      group,
      reserved: reserved.flatMap(({ base, limit, type }, j) => {
        const range = rangeOf(base, limit, ['iommuGroups', i, 'reserved', j], complain);
        return range ? [{ range, type }] : [];
      }),
    })),
    functions: functions.sort((a, b) => compareBdf(a.address, b.address)),
    iomem: map(json.iomem, 'iomem'),
    ioports: map(json.ioports, 'ioports'),
    missing: json.missing.map(defined),
    conflicts: json.conflicts.map(({ address, ...rest }) => ({
      ...rest,
      ...(address === undefined ? {} : { address: parseBdf(address) }),
    })),
  };
}

const readHost = ({ iommus, ...host }: CaptureParsed['host']): CapturedHost => ({
  ...defined(host),
  ...(iommus ? { iommus: iommus.map(defined) } : {}),
});

function readFunction(json: FunctionParsed, path: (string | number)[], complain: Complain): CapturedFunction {
  const {
    address,
    parent,
    physicalFunction,
    decodes,
    windows,
    buses,
    config: lines,
    bars,
    vfBars,
    rom,
    ...rest
  } = json;
  const config = lines && configFromLines(lines);
  if (config === null) complain([...path, 'config'], `the config space of ${address} has a line that is none`);
  return {
    ...(defined(rest) as Omit<typeof rest, keyof CapabilityFacts> & CapabilityFacts),
    address: parseBdf(address),
    ...(parent === undefined ? {} : { parent: parent === null ? null : parseBdf(parent) }),
    ...(physicalFunction === undefined ? {} : { physicalFunction: parseBdf(physicalFunction) }),
    ...(decodes ? { decodes: { io: decodes.includes('io'), memory: decodes.includes('memory') } } : {}),
    bars: bars.map(defined),
    vfBars: vfBars.map(defined),
    ...(rom ? { rom: defined(rom) } : {}),
    ...(buses ? { buses: defined(buses) } : {}),
    ...(windows ? { windows: readWindows(windows, [...path, 'windows'], complain) } : {}),
    ...(config ? { config } : {}),
  } as CapturedFunction;
}

function readWindows(
  windows: NonNullable<FunctionParsed['windows']>,
  path: (string | number)[],
  complain: Complain,
): CapturedWindows {
  return Object.fromEntries(
    windowNames.flatMap((name): [string, CapturedWindow | null][] => {
      const window = windows[name];
      if (window === undefined) return [];
      if (window === null) return [[name, null]];
      const { base, limit, busBase, busLimit } = window;
      const range = rangeOf(base, limit, [...path, name], complain);
      const busRange = rangeOf(busBase, busLimit, [...path, name], complain);
      return [[name, { ...(range ? { range } : {}), ...(busRange ? { busRange } : {}) }]];
    }),
  );
}

function rangeOf(
  base: bigint | undefined,
  limit: bigint | undefined,
  path: (string | number)[],
  complain: Complain,
): AddressRange | undefined {
  if (base === undefined && limit === undefined) return undefined;
  if (base !== undefined && limit !== undefined && base <= limit) return AddressRange.of(base, limit);
  complain(path, 'a range needs a base and a limit that is not below it');
  return undefined;
}

function mapLine(text: string): SeenMapLine | undefined {
  const [, indent = '', base = '', limit = '', name = ''] = /^( *)([0-9a-f]+)-([0-9a-f]+) : (.*)$/s.exec(text) ?? [];
  const [from, to] = [BigInt(`0x${base || '1'}`), BigInt(`0x${limit || '0'}`)];
  return to < from ? undefined : { depth: indent.length >> 1, range: AddressRange.of(from, to), name };
}

/** A value without the keys that are there and undefined. */
const defined = <T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as never;
