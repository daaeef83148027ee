import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, onTestFinished } from 'vitest';
import { lacking, type Part } from './lab.js';

/**
 * A `describe` that needs parts of the lab. Without them its tests are skipped under a name that says so; in CI (the
 * environment has CI=true) that is an error, so that nothing is left out unseen.
 */
export function describeInLab(name: string, needs: readonly Part[], tests: () => void): void {
  const reason = lacking(needs);
  if (reason === undefined) describe(name, tests);
  else if (process.env['CI'] === 'true') throw new Error(`${name}: ${reason}`);
  else describe.skip(`${name} (skipped: ${reason})`, tests);
}

/** A folder that is removed when the running test ends. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
