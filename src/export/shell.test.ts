import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shellCommand } from './shell.js';

it('a shell takes a command apart into the same words', () => {
  // No NUL: arguments cannot have one.
  const word = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.array(fc.array(word, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }), (groups) => {
      const { stdout, status } = spawnSync('sh', ['-c', `printf '%s\\0' ${shellCommand(groups)}`]);
      expect(status).toBe(0);
      expect(stdout.toString('utf8')).toBe(
        groups
          .flat()
          .map((one) => `${Buffer.from(one).toString('utf8')}\0`)
          .join(''),
      );
    }),
    { numRuns: 12 },
  );
});
