import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pinbar } from '../../test/support/memory-io.js';

const example = 'examples/switch-host.capture.json';
const devices = ['--devices', '0009:03:00.0,0009:04:00.0'];
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinbar-import-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('pinbar import --devices', () => {
  it('prints a machine file that says what stands where', async () => {
    const { code, stdout, stderr } = await pinbar(['import', example, ...devices, '--mirror']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatchSnapshot();
    const plan = await pinbar(['plan', '-', '--json'], { stdin: stdout });
    expect(plan.code).toBe(0);
    expect(plan.stdout).toContain('"address": "0x6b8000000000"');
  });

  it('with --out writes it, and shows the plan', async () => {
    const out = join(folder, 'guest.yaml');
    const { code, stdout } = await pinbar(['import', example, ...devices, '--out', out, '--ram', '8G']);
    expect(code).toBe(0);
    expect(stdout).toContain('dev-0009-03-00-0');
    const text = readFileSync(out, 'utf8');
    expect(text).toContain('ram: 8GiB');
    expect(text).not.toContain('pin:');
  });

  it('says where the machine has no plan', async () => {
    const { code, stderr } = await pinbar(['import', example, ...devices, '--mirror', '--board', 'virt-riscv64']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/board virt has no window at their host addresses/);
    expect(stderr).toMatch(/there is no plan for this machine as it stands/);
  });

  it.each([
    [[...devices, '--anonymous'], /machine file was asked for/],
    [['--mirror'], /--mirror says something of a guest’s machine/],
    [['--ram', '4G'], /--ram says something/],
    [[...devices, '--board', 'virt'], /did you mean virt-aarch64 or virt-riscv64/],
    [[...devices, '--ram', 'much'], /is not a size/],
  ])('%j is refused', async (argv, message) => {
    const { code, stdout, stderr } = await pinbar(['import', example, ...argv]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(message);
  });
});
