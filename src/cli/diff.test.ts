import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pinbar } from '../../test/support/memory-io.js';

const host = 'examples/switch-host.capture.json';
const devices = '0009:03:00.0,0009:04:00.0';
let folder = '';
const file = (name: string) => join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pinbar-diff-'));
  for (const [name, ...mirror] of [['same', '--mirror'], ['other']] as const) {
    await pinbar(['import', host, '--devices', devices, ...mirror, '--out', file(`${name}.yaml`)]);
    await pinbar(['plan', file(`${name}.yaml`), '--out', file(`${name}.json`)]);
  }
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('pinbar diff', () => {
  it('says that a mirrored guest has the addresses of the host', async () => {
    const { code, stdout } = await pinbar(['diff', host, file('same.json')]);
    expect(stdout).toMatchSnapshot();
    expect(code).toBe(0);
  });

  it('shows what moved, and ends with 3', async () => {
    const { code, stdout } = await pinbar(['diff', host, file('other.json')]);
    expect(stdout).toMatchSnapshot();
    expect(code).toBe(3);
  });

  it('prints JSON', async () => {
    const { code, stdout } = await pinbar(['diff', file('same.json'), file('other.json'), '--json']);
    const { verdict, functions } = JSON.parse(stdout) as {
      verdict: string;
      functions: { a: { id: string }; matchedBy: string }[];
    };
    expect([code, verdict]).toEqual([3, 'differs']);
    expect(functions.map(({ a, matchedBy }) => `${a.id} ${matchedBy}`)).toEqual([
      'dev-0009-03-00-0 id',
      'dev-0009-04-00-0 id',
    ]);
  });

  it.each([
    [['-', '-'], /standard input/],
    [[host, 'examples/gpu-and-nic.pinbar.yaml'], /nothing of PCI was found/],
    [[host, '/nowhere'], /there is no such file/],
  ])('%j is refused', async (argv, message) => {
    const { code, stdout, stderr } = await pinbar(['diff', ...argv]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
  });
});
