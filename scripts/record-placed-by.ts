import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { logOfPlaced, placedGuests } from '../test/lab/placements.js';

/**
 * Boots the guests of test/lab/placements.ts and records what their logs say of placement, for
 * src/doctor/oracle/placed-by.test.ts: `npx tsx scripts/record-placed-by.ts [NAME…]`. Needs the lab, and pinbar built.
 */
const folder = join(import.meta.dirname, '../src/doctor/samples/placed-by');
const names = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
for (const guest of placedGuests.filter(({ name }) => names.length === 0 || names.includes(name))) {
  const scratch = mkdtempSync(join(tmpdir(), 'pinbar-record-'));
  try {
    const text = await logOfPlaced(guest, scratch);
    writeFileSync(join(folder, `${guest.name}.txt`), text);
    process.stdout.write(`${guest.name}: ${text.split('\n').length} lines\n`);
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`${guest.name}: ${String(error)}\n`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
