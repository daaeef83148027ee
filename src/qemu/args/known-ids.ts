import { nearest } from '../../problem/nearest.js';
import { Problem } from '../../problem/problem.js';
import { hasOption, type QemuCommandLine } from './command-line.js';
import { devicesOf } from './devices.js';
import type { ArgumentPlace } from './pins.js';

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
  const known = devicesOf(command).flatMap(({ id }) => id ?? []);
  const missing = wanted.find(({ id }) => !known.includes(id));
  if (!missing) return;
  const [closest] = nearest(missing.id, known);
  const list = known.slice(0, 20).join(', ') + (known.length > 20 ? ', …' : '');
  throw new Problem(
    'pin-unknown-device',
    `${missing.where.text.slice(0, 120)}: no -device has the id "${missing.id.slice(0, 80)}"`,
    {
      hint: [
        ...(closest === undefined ? [] : [`did you mean ${closest}?`]),
        known.length > 0
          ? `the ids are: ${list}`
          : 'no -device has an id: add one, such as -device pci-testdev,id=dev0',
      ].join(' '),
      facts: { id: missing.id, known, nearest: closest, ...missing.where },
    },
  );
}
