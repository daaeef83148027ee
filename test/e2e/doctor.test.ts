import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { DiagnosisJson } from '../../src/doctor/schema.js';
import { failures } from '../lab/failures.js';
import { pinbar } from '../lab/pinbar.js';
import { logOfPlaced, partsOfPlaced, pinnedAt, placedGuests } from '../lab/placements.js';
import { partsOf, provoke } from '../lab/provoke.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

const recordings = join(import.meta.dirname, '../../src/doctor/samples/recorded');

/** The others are recorded and take longer to boot; `npx tsx scripts/record-failures.ts` boots them all. */
const booted = new Set([
  ...['display-of-512m', 'sixteen-buses', 'three-displays', 'pentium', 'pci-hole', 'nvme', 'probe-only'],
  ...['plugged-in-behind-a-switch', 'plugged-in-by-acpi', 'switch-plugged-in', 'below-one-tebibyte-on-amd'],
]);
const chosen = failures.filter(({ name }) => booted.has(name));

describeInLab('pinbar doctor', [...new Set(chosen.flatMap(partsOf))], () => {
  it.each(chosen)('$cause, $name: found in what a real guest prints, as in its recording', async (failure) => {
    const folder = scratchFolder();
    const log = join(folder, 'log.txt');
    writeFileSync(log, await provoke(failure, folder));
    const diagnose = async (file: string) => {
      const { output, errors, end } = await pinbar(['doctor', '--json', file]);
      expect({ errors, end }).toEqual({ errors: '', end: 0 });
      return JSON.parse(output) as DiagnosisJson;
    };
    const { findings } = await diagnose(log);
    expect(findings[0]).toMatchObject({ cause: failure.cause, confidence: 'certain', fault: true });
    const lines = readFileSync(log, 'utf8').split('\n');
    for (const { evidence } of findings) {
      for (const { line, text } of evidence) expect(lines[line - 1]).toBe(text);
    }
    const recorded = await diagnose(join(recordings, `${failure.cause}.${failure.name}.txt`));
    const said = (all: DiagnosisJson['findings']) =>
      all.map(({ cause, summary, proof }) => ({ cause, summary, proof }));
    expect(said(findings)).toEqual(said(recorded.findings));
  });
});

const placed = placedGuests.filter(({ name }) => ['own.aarch64', 'pinned.aarch64', 'pinned.x86_64'].includes(name));

describeInLab(
  'pinbar doctor, on who placed',
  [...new Set(placedGuests.filter((one) => one.devices ?? placed.includes(one)).flatMap(partsOfPlaced))],
  () => {
    it.each(placed)('$name', async (guest) => {
      const folder = scratchFolder();
      const log = join(folder, 'log.txt');
      writeFileSync(log, await logOfPlaced(guest, folder));
      const { output, errors, end } = await pinbar(['doctor', '--json', log]);
      expect({ errors, end }).toEqual({ errors: '', end: 0 });
      const { placedBy = [] } = JSON.parse(output) as DiagnosisJson;
      const other = placedBy.filter(({ verdict }) => verdict === 'other');
      expect(other.length).toBe(guest.isPinned ? 1 : 0);
      expect(placedBy.filter(({ verdict }) => verdict === 'open')).toEqual([]);
      const shown = other.flatMap(({ differs }) => differs.map((one) => one.shown?.base));
      if (guest.isPinned) expect(shown).toContain(`0x${pinnedAt[guest.arch].toString(16)}`);
    });

    it('where another order has room, pinbar run on the same machine finds it', async () => {
      const [guest] = placedGuests.filter(({ devices }) => devices);
      const folder = scratchFolder();
      const diagnose = async (isPinned: boolean) => {
        const log = join(folder, 'log.txt');
        writeFileSync(log, await logOfPlaced({ ...guest!, isPinned }, folder));
        return JSON.parse((await pinbar(['doctor', '--json', log])).output) as DiagnosisJson;
      };
      const [main] = (await diagnose(false)).findings;
      expect(main).toMatchObject({
        fault: true,
        remedies: [{ change: 'pinbar run -- QEMU …, with the same arguments' }],
      });
      expect(main?.summary).toContain('there is room for everything');
      const { findings } = await diagnose(true);
      expect(findings.filter(({ fault }) => fault)).toEqual([]);
    });
  },
);
