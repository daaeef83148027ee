// Bundles the command line (one chunk a command, loaded when it runs) and the library into dist/, with types.
// --no-types leaves the types out; --out=DIR writes to another folder.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const root = new URL('..', import.meta.url).pathname;
const { values: options } = parseArgs({
  options: { 'no-types': { type: 'boolean', default: false }, out: { type: 'string', default: 'dist' } },
});
const outdir = resolve(root, options.out);

// Only our own folder is emptied, never one that was named.
if (options.out === 'dist') rmSync(outdir, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: {
    pinbar: 'src/cli/bin.ts',
    index: 'src/index.ts',
    node: 'src/node.ts',
    'ioreq-worker': 'src/ioreq/worker.ts',
  },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  chunkNames: 'chunks/[name]-[hash]',
  define: { PINBAR_VERSION: JSON.stringify(version) },
  // yaml's entry for Node is CommonJS, which can be neither tree-shaken nor split; the other one is the same as modules.
  alias: { yaml: './node_modules/yaml/browser/index.js' },
  minify: true,
  keepNames: true,
  legalComments: 'linked',
  logLevel: 'warning',
});
if (!options['no-types']) {
  const types = ['-p', 'tsconfig.build.json', '--outDir', resolve(outdir, 'types')];
  execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', ...types], { cwd: root, stdio: 'inherit' });
}
