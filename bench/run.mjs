// Measures pinbar: `node bench/run.mjs [startup] [qtest] [gdb] [boot] [place] [--json]`; without a name, all of it.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const root = join(import.meta.dirname, '..');
process.env['PINBAR_LAB'] ??= join(root, '.cache/lab');
const folder = mkdtempSync(join(tmpdir(), 'pinbar-bench-'));
const clean = () => rmSync(folder, { recursive: true, force: true });
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    clean();
    process.exit(1);
  });
}
try {
  // The command line is built here too, as a package has it: what is measured is this source, not an older build.
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'scripts/build.mjs'), '--no-types', `--out=${join(folder, 'dist')}`],
    { stdio: 'inherit' },
  );
  if (status !== 0) throw new Error('pinbar does not build');
  mkdirSync(join(folder, 'bin'));
  copyFileSync(join(root, 'bin/pinbar.js'), join(folder, 'bin/pinbar.js'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n');
  await build({
    entryPoints: [join(root, 'bench/main.ts')],
    outfile: join(folder, 'bench.js'),
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    alias: { yaml: join(root, 'node_modules/yaml/browser/index.js') },
  });
  const { main } = await import(pathToFileURL(join(folder, 'bench.js')).href);
  process.exitCode = await main(process.argv.slice(2), { root, folder, pinbar: join(folder, 'bin/pinbar.js') });
} finally {
  clean();
}
