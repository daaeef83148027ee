import { Problem } from '../../problem/problem.js';
import { hasOption, type QemuCommandLine } from './command-line.js';
import { devicesOf } from './devices.js';
import type { ArgumentPlace } from './pins.js';

/** Edits (insert, delete, replace a character) that turn `a` into `b`. Both are ids, some dozens of characters. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known name that is most like `wanted`, where one is close enough to be meant. */
export function nearestName(wanted: string, known: readonly string[]): string | undefined {
  const short = wanted.slice(0, 64);
  const [best] = known
    .map((name) => ({ name, edits: distance(short.toLowerCase(), name.slice(0, 64).toLowerCase()) }))
    .toSorted((a, b) => a.edits - b.edits);
  return best && best.edits <= Math.max(1, Math.floor(short.length / 2)) ? best.name : undefined;
}

/** The ids of a command's -device arguments, in order. */
export const deviceIdsOf = (command: QemuCommandLine): string[] => devicesOf(command).flatMap(({ id }) => id ?? []);

/**
 * Checks that every id is that of a -device. Where -readconfig is used, devices may be defined in its files, which are
 * not read: then any id is let through, and QEMU's own list decides.
 * @throws Problem `pin-unknown-device`
 */
export function requireDeviceIds(
  command: QemuCommandLine,
  wanted: readonly { readonly id: string; readonly where: ArgumentPlace }[],
): void {
  if (hasOption(command, 'readconfig')) return;
  const known = deviceIdsOf(command);
  const missing = wanted.find(({ id }) => !known.includes(id));
  if (!missing) return;
  const nearest = nearestName(missing.id, known);
  const list = known.slice(0, 20).join(', ') + (known.length > 20 ? ', …' : '');
  throw new Problem(
    'pin-unknown-device',
    `${missing.where.text.slice(0, 120)}: no -device has the id "${missing.id.slice(0, 80)}"`,
    {
      hint: [
        ...(nearest === undefined ? [] : [`did you mean ${nearest}?`]),
        known.length > 0
          ? `the ids are: ${list}`
          : 'no -device has an id: add one, such as -device pci-testdev,id=dev0',
      ].join(' '),
      facts: { id: missing.id, known, nearest, ...missing.where },
    },
  );
}
