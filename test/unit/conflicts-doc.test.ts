import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { constraintKinds } from '../../src/place/plan.js';
import { pinbar } from '../support/memory-io.js';

const document = readFileSync('docs/conflicts.md', 'utf8');
const examples = [...document.matchAll(/^## (.+)\n[^`]*[^]*?```yaml\n([^]*?)```\n\n```text\n([^]*?)```/gm)].map(
  ([, title = '', file = '', printed = '']) => ({ title, file, printed }),
);

it('docs/conflicts.md has an example of every kind of constraint', () => {
  const kinds = examples.map(({ title }) => /^`([a-z-]+)`/.exec(title)?.[1]);
  expect(kinds.toSorted()).toEqual([...constraintKinds].sort());
});

it.each(examples)('docs/conflicts.md prints what pinbar does: $title', async ({ title, file, printed }) => {
  const { code, stdout } = await pinbar(['plan', '-'], { stdin: file });
  expect(code).toBe(2);
  expect(stdout).toBe(printed);
  const kind = /^`([a-z-]+)`/.exec(title)?.[1] ?? '';
  expect(stdout).toContain(`\n  ${kind} `);
});
