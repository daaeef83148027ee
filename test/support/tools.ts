import { spawnSync } from 'node:child_process';
import { describe } from 'vitest';

/**
 * A `describe` that needs a program. Without it its tests are skipped under a name that says so; in CI (the environment has
 * CI=true) that is an error, so that nothing is left out unseen.
 */
export function describeWith(program: string, name: string, tests: () => void): void {
  if (spawnSync('sh', ['-c', `command -v ${program}`]).status === 0) describe(name, tests);
  else if (process.env['CI'] === 'true') throw new Error(`${name}: ${program} is missing`);
  else describe.skip(`${name} (skipped: no ${program})`, tests);
}
