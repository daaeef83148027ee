import { build } from 'esbuild';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { expect, it } from 'vitest';
import { contractMachine, contractPlan } from '../support/contract.js';

const bundle = async (entry: { entryPoints: string[] } | { stdin: { contents: string; resolveDir: string } }) => {
  const { outputFiles } = await build({
    ...entry,
    bundle: true,
    write: false,
    platform: 'browser',
    format: 'iife',
    globalName: 'pinbar',
    target: 'es2023',
    outdir: 'out',
    logLevel: 'silent',
  });
  return outputFiles.map(({ text }) => text);
};

/** A context of its own has the language, these of what every browser has, and nothing else: no process, no Buffer, no require. */
const web = { TextDecoder, TextEncoder };

it('the library solves a machine file where there is nothing of Node', async () => {
  const [code = ''] = await bundle({ entryPoints: ['src/index.ts'] });
  const context = createContext({ ...web, machine: contractMachine });
  runInContext(code, context);
  const plan: unknown = await runInContext(
    `pinbar.loadMachine(machine, 'machine.yaml').then((machine) => JSON.stringify(pinbar.planToJson(pinbar.place(machine))))`,
    context,
  );
  expect(JSON.parse(plan as string)).toEqual(contractPlan);
});

it('the example of docs/library.md runs there, too', async () => {
  const [code = ''] = await bundle({ entryPoints: ['src/index.ts'] });
  const example = /```js\nimport (\{.+\}) from 'pinbar';\n([^]*?)```/.exec(readFileSync('docs/library.md', 'utf8'));
  const said: unknown[][] = [];
  const context = createContext({ ...web, console: { log: (...words: unknown[]) => said.push(words) } });
  runInContext(`${code}\nconst ${example?.[1] ?? ''} = pinbar;\n${example?.[2] ?? ''}`, context);
  expect(JSON.stringify(said)).toBe('[["gpu0",["0xa000000000"]],["placed"]]');
});

it.each(['address', 'pci', 'machine', 'place'])(
  'every module of src/%s can be bundled for a browser',
  async (folder) => {
    const files = (readdirSync(join('src', folder), { recursive: true }) as string[]).filter(
      (file) => file.endsWith('.ts') && !file.endsWith('.test.ts'),
    );
    expect(files.length).toBeGreaterThan(3);
    const contents = files.map((file) => `export * from './${file}';`).join('\n');
    const [code = ''] = await bundle({ stdin: { contents, resolveDir: join('src', folder) } });
    expect(() => {
      runInContext(code, createContext({}));
    }).not.toThrow();
  },
);
