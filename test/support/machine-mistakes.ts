import { expect } from 'vitest';
import { loadMachine } from '../../src/machine/load.js';
import { Problem, Problems } from '../../src/problem/problem.js';

/** The mistakes of a text: `line:column code: message`, one each. */
export async function mistakes(text: string): Promise<string[]> {
  try {
    await loadMachine(text, 'm.yaml');
  } catch (error) {
    const list = error instanceof Problems ? error.list : [error];
    return list.map((one) => {
      if (!(one instanceof Problem)) throw one;
      expect(one.exit).toBe(1);
      expect(one.where?.file).toBe('m.yaml');
      return `${one.where?.line ?? '-'}:${one.where?.column ?? '-'} ${one.code}: ${one.message}`;
    });
  }
  return [];
}

export const head = 'pinbar: 1\nmachine: { arch: aarch64, board: virt, ram: 1GiB }\n';
/** A file whose functions begin in line 7 with four spaces. */
export const withFunctions = (functions: string) => `${head}hostBridges:
  - id: pcie.0
    segment: 0
    functions:
${functions}`;

/**
 * A text without its marks, and the mistakes that are expected of it: each mark `‸` stands before the thing that the
 * message of the same number is about.
 */
export function marked(text: string, messages: readonly string[]): { text: string; expected: string[] } {
  const places: string[] = [];
  const lines = text.split('\n').map((line, i) => {
    const parts = line.split('‸');
    let column = 1;
    parts.slice(0, -1).forEach((part) => {
      column += part.length;
      places.push(`${i + 1}:${column}`);
    });
    return parts.join('');
  });
  expect(places).toHaveLength(messages.length);
  return { text: lines.join('\n'), expected: messages.map((message, i) => `${places[i] ?? ''} ${message}`) };
}
