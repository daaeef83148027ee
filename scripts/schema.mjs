// Writes the JSON Schemas of pinbar's formats into schema/.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = new URL('..', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'pinbar-schema-'));
try {
  const outfile = join(folder, 'schemas.mjs');
  await build({
    absWorkingDir: root.pathname,
    entryPoints: ['scripts/schemas.ts'],
    bundle: true,
    outfile,
    format: 'esm',
    platform: 'node',
    logLevel: 'warning',
  });
  const { schemas } = await import(pathToFileURL(outfile).href);
  mkdirSync(new URL('schema/', root), { recursive: true });
  for (const [name, text] of Object.entries(schemas())) writeFileSync(new URL(`schema/${name}`, root), text);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
