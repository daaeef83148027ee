import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { parseSize } from '../address/format.js';
import { compareBdf, parseBdf, type Bdf } from '../pci/bdf.js';
import { Problem } from '../problem/problem.js';
import type { Recording, Rule } from './region.js';

/** What the user wants a region of a function to do. */
export interface RegionRule {
  readonly at: Bdf;
  readonly region: number | 'rom';
  readonly rule: Rule;
}

/**
 * `0000:01:00.0/bar2=echo`, `…/bar0=constant:0xffffffff`, `…/rom=file:vbios.rom`, `…/bar0=memory`.
 * @throws Problem `twin-rule`, `bdf-syntax`, `input-unreadable`
 */
export function parseRegionRule(text: string): RegionRule {
  const [, at = '', name = '', kind = '', , argument = ''] = /^([^/]+)\/(bar[0-5]|rom)=(\w+)(:(.*))?$/.exec(text) ?? [];
  const rule = name === '' ? undefined : ruleOf(kind, argument);
  if (!rule) {
    throw new Problem('twin-rule', `"${text.slice(0, 80)}" does not say what a region does`, {
      hint: 'write ADDRESS/barN=RULE or ADDRESS/rom=RULE, where RULE is memory, echo, constant:VALUE or file:PATH',
    });
  }
  return { at: parseBdf(at), region: name === 'rom' ? 'rom' : Number(name.slice(3)), rule };
}

function ruleOf(kind: string, argument: string): Rule | undefined {
  switch (kind) {
    case 'memory':
    case 'echo':
      return argument === '' ? { kind } : undefined;
    case 'constant': {
      const value = /^(0x[0-9a-f]{1,16}|\d{1,19})$/i.test(argument) ? BigInt(argument) : undefined;
      return value === undefined || value >= 1n << 64n ? undefined : { kind, value };
    }
    case 'file':
      return argument === '' ? undefined : { kind: 'recorded', recording: fileRecording(argument) };
    default:
      return undefined;
  }
}

/** The bytes of a file, read where and when they are asked for. */
function fileRecording(path: string): Recording {
  const open = (): number => {
    const file = openSync(path, 'r');
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw new Error('it is no ordinary file');
  };
  let file: number;
  try {
    file = open();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Problem('input-unreadable', `cannot read ${path}: ${why}`, { where: { file: path } });
  }
  return (offset, into) => {
    into.fill(0);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER)) return;
    for (let at = 0; at < into.length;) {
      const count = readSync(file, into, at, into.length - at, Number(offset) + at);
      if (count === 0) return;
      at += count;
    }
  };
}

/** Bytes that all twins together keep of what guests write. */
export const DEFAULT_MEMORY = '512MiB';

/** @throws Problem `size-syntax` and the like, `twin-memory` */
export function parseMemory(text: string): number {
  const size = parseSize(text);
  if (size <= 1n << 40n) return Number(size);
  throw new Problem('twin-memory', `--memory ${text.slice(0, 40)}: more than 1 TiB is not kept`);
}

/** What is said of a function's regions; the last word counts. */
export const rulesFor =
  (rules: readonly RegionRule[], at: Bdf) =>
  (region: number | 'rom'): Rule | undefined =>
    rules.findLast((one) => compareBdf(one.at, at) === 0 && one.region === region)?.rule;
