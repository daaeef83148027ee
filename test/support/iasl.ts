import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whether ACPICA's compiler is here. In CI (the environment has CI=true) its absence is an error. */
export const hasIasl = spawnSync('iasl', ['-v']).status === 0;
if (!hasIasl && process.env['CI'] === 'true') throw new Error('iasl is missing: install acpica-tools');

function run(args: readonly string[], input: string, content: string | Uint8Array, output: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-iasl-'));
  try {
    writeFileSync(join(folder, input), content);
    const { status, stdout, stderr } = spawnSync('iasl', [...args, input], { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`iasl ${args.join(' ')}: ${stdout}\n${stderr}`);
    return readFileSync(join(folder, output));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compiles ASL as it is written, without optimizing names away. */
export const compile = (asl: string): Uint8Array => new Uint8Array(run(['-oa', '-p', 'out'], 'in.asl', asl, 'out.aml'));

/** Disassembles a table. */
export const disassemble = (table: Uint8Array): string =>
  Buffer.from(run(['-p', 'out', '-d'], 'in.aml', table, 'out.dsl')).toString('utf8');
