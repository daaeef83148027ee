import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { failures } from '../test/lab/failures.js';
import { provoke } from '../test/lab/provoke.js';

/**
 * Boots real guests into each failure of test/lab/failures.ts and records what they print, for src/doctor/recorded.test.ts:
 * `npx tsx scripts/record-failures.ts [NAME…]`. Needs the lab.
 */
const folder = join(import.meta.dirname, '../src/doctor/samples/recorded');
const names = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
for (const failure of failures.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const scratch = mkdtempSync(join(tmpdir(), 'pinbar-record-'));
  try {
    const text = await provoke(failure, scratch);
    writeFileSync(join(folder, `${failure.cause}.${failure.name}.txt`), text);
    process.stdout.write(`${failure.cause}.${failure.name}: ${text.split('\n').length} lines\n`);
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${failure.name}: ${String(error)}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
