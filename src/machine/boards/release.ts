import { Problem } from '../../problem/problem.js';

/** A QEMU release: major and minor number. */
export type QemuRelease = readonly [major: number, minor: number];

/** Where no release is given, boards are taken as this one makes them. */
export const NEWEST_KNOWN: QemuRelease = [11, 1];

/** Reads `10.0`, or `10.0.2`. Throws Problem `qemu-release`, exit 1. */
export function parseRelease(text: string): QemuRelease {
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.\d{1,3})?$/.exec(text.trim());
  if (match) return [Number(match[1]), Number(match[2])];
  throw new Problem('qemu-release', `"${text.slice(0, 40)}" is not a QEMU release`, {
    hint: 'write major and minor number, such as 10.0',
    facts: { text: text.slice(0, 40) },
  });
}

/** Whether `release` (left out: the newest known) is `first` or later. */
export function isSince(release: QemuRelease | undefined, first: QemuRelease): boolean {
  const [major, minor] = release ?? NEWEST_KNOWN;
  return major > first[0] || (major === first[0] && minor >= first[1]);
}

export const formatRelease = ([major, minor]: QemuRelease): string => `${major}.${minor}`;
