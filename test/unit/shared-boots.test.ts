import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.js';
import { EvidenceReader, gather } from '../../src/doctor/read.js';
import { sharedFolder } from '../support/shared.js';

/** A boot of a real guest: the kernel's lines, and what registers held at its end. */
interface Recorded {
  readonly booted: boolean;
  readonly log: readonly string[];
  readonly functions: readonly {
    readonly bdf: string;
    readonly seen: boolean;
    readonly bars: readonly { readonly index: number; readonly type: string }[];
    readonly bridge: object | null;
  }[];
  readonly final: Readonly<Record<string, { readonly bars: Readonly<Record<string, string | null>> }>>;
}

const folder = sharedFolder('groundtruth');
const files = folder
  ? readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => readdirSync(join(folder, name)).map((file) => `${name}/${file}`))
  : [];

/** Memory BARs that a driver would miss: a bridge's own are used by nobody. */
const missing = ({ functions, final }: Recorded) =>
  functions
    .filter(({ seen, bridge }) => seen && !bridge)
    .flatMap(({ bdf, bars }) =>
      bars.filter(({ type, index }) => type !== 'io' && final[bdf] && (final[bdf].bars[index] ?? null) === null),
    );

describe.skipIf(!folder)('kernel logs of recorded boots', () => {
  it('a fault is found where a memory BAR was left without an address, and nowhere else', () => {
    const wrong: string[] = [];
    for (const file of files) {
      const boot = JSON.parse(readFileSync(join(folder!, file), 'utf8')) as Recorded;
      if (!boot.booted || boot.log.length === 0) continue;
      const reader = new EvidenceReader(file);
      for (const line of boot.log) reader.push(line);
      const faults = diagnose(gather([reader.finish()])).findings.filter(({ fault }) => fault);
      const left = missing(boot).length;
      if (faults.length > 0 !== left > 0)
        wrong.push(`${file}: ${left} left, found ${faults.map(({ cause }) => cause).join(', ') || 'nothing'}`);
    }
    expect(wrong).toEqual([]);
  }, 120_000);
});
