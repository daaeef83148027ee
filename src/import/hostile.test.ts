import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dmesg, lspci, proc, sysfs } from '../../test/support/guest-listings.js';
import { randomPlan } from '../../test/support/random-plan.js';
import { Problem, Problems } from '../problem/problem.js';
import { loadCapture } from './capture/load.js';
import { mergeCapture } from './capture/merge.js';
import { captureText } from './capture/save.js';
import { compare } from './compare/compare.js';
import { diff } from './diff/diff.js';
import { snapshotOfCapture } from './diff/snapshot.js';
import { MAX_GUEST_TEXT, readGuestText } from './guest-text.js';
import { guestMachine } from './machine/guest-machine.js';

/** More on demand: `IMPORT_RUNS=100000 npx vitest run src/import/hostile.test.ts`. */
const numRuns = Number(process.env['IMPORT_RUNS'] ?? 500);
const timeout = 20_000 + numRuns * 20;

const pieces = fc.constantFrom(
  ...[
    'pci 0000:00:01.0: ',
    'BAR 2',
    ' [mem 0x',
    'ffffffffffffffff',
    '-0x',
    ' 64bit pref]',
    ': assigned',
    'Region 9: ',
    'Memory at ',
  ],
  ...[
    '0x0000000000000000 ',
    '0xffffffffffffffff ',
    '== 0000:00:1f.7',
    '\n',
    '\r',
    '\x1b[',
    '00:00.0 ',
    'a: b',
    '10000-0 : ',
    'PCI Bus 0000:ff',
  ],
  ...[
    'Bus: primary=ff, secondary=00, subordinate=ff',
    'VF(n) BAR9 space: ',
    'bridge window',
    'Linux version 9',
    '[size=4294967295T]',
    '\0',
    '𝄞',
  ],
);

describe('text that no guest printed', () => {
  it(
    'is read and compared without a fault',
    () => {
      fc.assert(
        fc.property(
          randomPlan,
          fc.array(fc.oneof(pieces, fc.string({ unit: 'binary' })), { maxLength: 60 }),
          (plan, parts) => {
            compare(plan, readGuestText('hostile.txt', parts.join('')));
          },
        ),
        { numRuns },
      );
    },
    timeout,
  );

  it(
    'is read and compared without a fault where it was a listing, and bytes were changed',
    () => {
      const change = fc.record({
        at: fc.nat(),
        to: fc.constantFrom('\n', ' ', '0', 'f', ']', '[', ':', '-', '\t', 'ffffffffffffffffffff'),
      });
      fc.assert(
        fc.property(randomPlan, fc.array(change, { maxLength: 12 }), (plan, changes) => {
          let text = [lspci(plan), sysfs(plan), proc(plan, 'memory'), dmesg(plan, '6.12'), dmesg(plan, '5.10')].join(
            '\n',
          );
          for (const { at, to } of changes)
            text = text.slice(0, at % text.length) + to + text.slice((at % text.length) + 1);
          compare(plan, readGuestText('changed.txt', text));
        }),
        { numRuns: Math.ceil(numRuns / 5) },
      );
    },
    timeout,
  );

  it(
    'becomes a capture that can be saved, loaded, compared and mirrored, whatever it was',
    async () => {
      const text = fc.array(fc.oneof(pieces, fc.string({ unit: 'binary' })), { maxLength: 60 });
      await fc.assert(
        fc.asyncProperty(text, async (parts) => {
          const capture = mergeCapture(readGuestText('hostile.txt', parts.join('')));
          expect(await loadCapture(captureText(capture), 'saved')).toEqual(capture);
          const shot = snapshotOfCapture(capture);
          expect(diff(shot, shot).functions).toHaveLength(shot.functions.length);
          for (const { address } of capture.functions.slice(0, 2)) {
            try {
              guestMachine(capture, { devices: [address], mirror: true });
            } catch (error) {
              if (!(error instanceof Problem) && !(error instanceof Problems)) throw error;
            }
          }
        }),
        { numRuns },
      );
    },
    timeout,
  );

  it('is refused where it is too large', () => {
    const read = () => readGuestText('big.txt', ' '.repeat(MAX_GUEST_TEXT + 1));
    expect(read).toThrow(Problem);
    expect(read).toThrow(/big.txt holds 67108865 characters/);
  });

  it.each(['[', '\x1b[0;0', 'pci-', 'pci 0000:00:00.0 ', '/a', '0x00000000 ', ' ', '\r', '00:00.0 '])(
    'takes time in proportion to its length: %j over and over in one line, and in many',
    (unit) => {
      const text = unit.repeat(Math.floor(200_000 / unit.length));
      const start = performance.now();
      readGuestText('hostile.txt', text);
      readGuestText('hostile.txt', text.replaceAll(unit.repeat(100), `${unit.repeat(100)}\n`));
      expect(performance.now() - start).toBeLessThan(2000);
    },
  );
});
