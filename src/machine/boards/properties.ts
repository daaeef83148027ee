import { parseSize } from '../../address/format.js';
import { Problem } from '../../problem/problem.js';
import type { Machine } from '../model.js';
import { nearest } from '../../problem/nearest.js';
import type { Board } from './board.js';
import { formatRelease, isSince, type QemuRelease } from './release.js';

/** Board properties with their values read as QEMU reads them. Every function throws Problem `board-property`, exit 1. */
export class BoardProperties {
  constructor(private readonly values: Machine['properties']) {}

  /** QEMU's spellings of a switch: include/qapi, visit_type_bool of its string visitor. */
  isOn(name: string, otherwise: boolean): boolean {
    const value = this.values[name];
    if (value === undefined || typeof value === 'boolean') return value ?? otherwise;
    if (['on', 'yes', 'true', 'y'].includes(String(value))) return true;
    if (['off', 'no', 'false', 'n'].includes(String(value))) return false;
    throw this.mistake(name, `${String(value)} is neither on nor off`);
  }

  size(name: string): bigint | undefined {
    const value = this.values[name];
    if (value === undefined) return undefined;
    if (typeof value === 'boolean') throw this.mistake(name, `${String(value)} is not a size`);
    try {
      return parseSize(value);
    } catch (error) {
      throw error instanceof Problem ? this.mistake(name, error.message) : error;
    }
  }

  count(name: string, most: number): number {
    const value = this.values[name] ?? 0n;
    const text = String(value);
    if (!/^\d{1,9}$/.test(text) || Number(text) > most) {
      throw this.mistake(name, `${text} is not a number from 0 to ${most}`);
    }
    return Number(text);
  }

  choice<const C extends string>(name: string, choices: readonly C[]): C | undefined {
    const value = this.values[name];
    if (value === undefined) return undefined;
    const found = choices.find((one) => one === String(value));
    if (found !== undefined) return found;
    throw this.mistake(name, `${String(value)} is not one of ${choices.join(', ')}`);
  }

  mistake(name: string, what: string, hint?: string): Problem {
    return new Problem('board-property', `${name}: ${what}`, {
      ...(hint === undefined ? {} : { hint }),
      facts: { property: name },
    });
  }
}

/** What is wrong with the names of `properties`, whatever their values. */
export function wrongProperties(
  board: Board,
  properties: Machine['properties'],
  qemu: QemuRelease | undefined,
): { readonly property: string; readonly message: string; readonly hint?: string }[] {
  return Object.keys(properties).flatMap((property) => {
    const known = board.properties.find(({ name }) => name === property);
    if (!known) {
      const names = board.properties.map(({ name }) => name);
      const [close] = nearest(property, names);
      const message = `board ${board.name} (${board.arch}) has no property ${property} that moves its map`;
      return { property, message, hint: close ? `did you mean ${close}?` : `those that do: ${names.join(', ')}` };
    }
    if (known.since && !isSince(qemu, known.since)) {
      const message = `QEMU ${qemu ? formatRelease(qemu) : ''} does not know ${property} of board ${board.name} (${board.arch})`;
      return { property, message, hint: `it came with QEMU ${formatRelease(known.since)}` };
    }
    return [];
  });
}
