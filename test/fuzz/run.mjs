// Fuzzes pinbar's parsers: `node test/fuzz/run.mjs [PARSER…] [--minutes N] [--seed N] [--out DIR]`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'pinbar-fuzz-'));
const clean = () => rmSync(folder, { recursive: true, force: true });
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    clean();
    process.exit(1);
  });
}
try {
  await build({
    entryPoints: { main: join(root, 'test/fuzz/main.ts'), worker: join(root, 'test/fuzz/worker.ts') },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
    define: { PINBAR_VERSION: '"fuzz"' },
    logLevel: 'error',
  });
  const { main } = await import(pathToFileURL(join(folder, 'main.mjs')).href);
  process.exitCode = await main(process.argv.slice(2), join(folder, 'worker.mjs'), root);
} finally {
  clean();
}
