import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contractMachine, contractPlan } from '../../test/support/contract.js';
import { pinbar, transcript, type RunOptions } from '../../test/support/memory-io.js';
import { commandNames } from './app.js';

/** A machine with one of everything that is drawn: ports, both kinds of memory, a bridge, a ROM, VFs, pins, holes. */
const small = `
pinbar: 1
machine: { arch: aarch64, board: none, ram: [{ base: 0x40000000, size: 1GiB }], physicalAddressBits: 40 }
hostBridges:
  - id: pcie.0
    windows:
      - { type: io, base: 0x1000, size: 60KiB, cpuBase: 0x3eff1000 }
      - { type: mem32, base: 0x10000000, size: 16MiB }
      - { type: mem64, base: 0x8000000000, size: 1GiB }
    functions:
      - { id: net, slot: "2.0", bars: [{ index: 0, type: io, size: 32 }, { index: 4, type: mem64, prefetchable: true, size: 16KiB }] }
      - id: rp1
        slot: "1.0"
        bridge:
          kind: root-port
          functions:
            - id: dev0
              slot: "0.0"
              bars:
                - { index: 0, type: mem32, size: 4KiB }
                - { index: 2, type: mem64, prefetchable: true, size: 64MiB, pin: 0x8010000000 }
              rom: { size: 64KiB }
              sriov: { totalVfs: 4, firstVfOffset: 1, vfStride: 1, bars: [{ index: 0, type: mem64, prefetchable: true, size: 1MiB }] }
`;
/** A BAR that is larger than every window. */
const impossible = small.replace('size: 64MiB, pin: 0x8010000000', 'size: 64GiB');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pinbar-cli-'));
  writeFileSync(join(folder, 'small.yaml'), small);
  writeFileSync(
    join(folder, 'wrong.yaml'),
    small.replace('slot: "1.0"', 'slot: 1.0').replace('size: 4KiB', 'size: 3KB'),
  );
  writeFileSync(join(folder, 'impossible.yaml'), impossible);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command line on files of the folder, whose name is left out of what it prints. */
const run = async (argv: string, options: RunOptions = {}) => {
  const ended = await pinbar(
    argv
      .split(' ')
      .filter(Boolean)
      .map((word) => word.replace(/^@/, `${folder}/`)),
    options,
  );
  const clean = (text: string) => text.replaceAll(`${folder}/`, '');
  return { ...ended, stdout: clean(ended.stdout), stderr: clean(ended.stderr) };
};

describe('what people see', () => {
  it.each(['', '--help', 'plan --help', 'run --help', 'attach --help', 'verify --help'])('pinbar %s', async (argv) => {
    expect(transcript(await run(argv))).toMatchSnapshot();
  });

  it.each(commandNames)('pinbar %s --help fits 100 columns and names every value', async (command) => {
    const { stdout } = await run(`${command} --help`);
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
    expect(stdout).not.toMatch(/VALUE$|undefined/m);
    expect(stdout).toContain('--help');
  });

  it.each([
    ['plan @small.yaml'],
    ['plan @small.yaml --json'],
    ['plan @wrong.yaml'],
    ['plan @missing.yaml'],
    ['plan @'],
    ['run --sim @small.yaml'],
    ['run --sim @small.yaml --quiet'],
    ['run --sim @small.yaml --pin net=bar4@0x8020000000'],
    ['run --sim @small.yaml --pin nte=bar4@0x8020000000'],
    ['run --sim @small.yaml --pin net=bar5@0x8020000000'],
    ['run --sim @small.yaml --pin net'],
    ['run --sim @wrong.yaml'],
  ])('pinbar %s', async (argv) => {
    expect(transcript(await run(argv))).toMatchSnapshot();
  });

  it('without UTF-8 the map is drawn in ASCII', async () => {
    const { stdout } = await run('plan @small.yaml', { env: { LANG: 'C' } });
    expect(stdout).toMatchSnapshot();
    expect(stdout).toMatch(/^[\x00-\x7f]*$/);
  });

  it('colours only on a terminal that wants them', async () => {
    const plain = await run('plan @small.yaml');
    const colour = /\u001b\[[0-9;]+m/g;
    const coloured = await run('plan @small.yaml', { tty: true });
    expect(coloured.stdout).toMatch(colour);
    expect(coloured.stdout.replaceAll(colour, '')).toBe(plain.stdout);
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      expect(await run('plan @small.yaml', { tty: true, env })).toEqual(plain);
    }
    expect((await run('plan @small.yaml', { tty: true, env: { NO_COLOR: '' } })).stdout).toMatch(colour);
    expect((await run('plan @wrong.yaml', { tty: true })).stderr).toMatch(colour);
  });
});

describe('mistakes in the arguments', () => {
  it.each([
    'plna @small.yaml',
    'plan',
    'plan @small.yaml more',
    'plan --jsno @small.yaml',
    'plan --frobnicate @small.yaml',
    'plan -x @small.yaml',
    'plan @small.yaml --out',
    'plan --out a --out b @small.yaml',
    'plan --json=perhaps @small.yaml',
    'plan --out --json @small.yaml',
    '--frobnicate',
    'run',
    'run --',
    'run -machine virt',
    'run --sim',
    'run --sim @small.yaml -- qemu-system-aarch64',
    'run --sim @small.yaml --verify',
    'run --sim @small.yaml --xen @small.yaml',
    'run --xen guest.dtb -- qemu-system-aarch64 -machine virt',
    'run --json -- qemu-system-aarch64 -machine virt',
    'verify',
    'verify @plan.json',
    'verify - --guest -',
  ])('pinbar %s', async (argv) => {
    const ended = await run(argv);
    expect(ended.code).toBe(1);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).toMatchSnapshot();
  });
});

describe('pinbar plan', () => {
  it('prints the contract’s plan for the contract’s machine, as one document', async () => {
    const ended = await run('plan --json -', { stdin: contractMachine });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toEqual(contractPlan);
  });

  it('takes the same machine as JSON', async () => {
    const { parse } = await import('yaml');
    const ended = await run('plan --json -', { stdin: JSON.stringify(parse(contractMachine)) });
    expect(JSON.parse(ended.stdout)).toEqual(contractPlan);
  });

  it('names standard input where it is at fault', async () => {
    const ended = await run('plan -', { stdin: 'pinbar: 1\nmachine: { arch: mips }\n' });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toBe(
      '<stdin>:2:18: error: machine.arch: expected "aarch64" or "riscv64" or "x86_64", found "mips"\n',
    );
  });

  it('ends with 2 where there is no plan, and says why in both forms', async () => {
    const people = await run('plan @impossible.yaml');
    expect(people.code).toBe(2);
    expect(people.stderr).toBe('');
    expect(people.stdout).toContain('There is no valid plan.');
    expect(people.stdout).toContain('dev0');
    const programs = await run('plan --json @impossible.yaml');
    expect(programs.code).toBe(2);
    const answer = JSON.parse(programs.stdout) as { conflict: { constraints: unknown[] } };
    expect(answer).toMatchObject({ pinbar: 1, status: 'infeasible', remedies: expect.any(Array) as unknown });
    expect(answer.conflict.constraints.length).toBeGreaterThan(0);
  });

  it('writes the plan to a file as well', async () => {
    const ended = await run('plan --out @plan.json @small.yaml');
    expect(ended.code).toBe(0);
    expect(ended.stdout).toBe((await run('plan @small.yaml')).stdout);
    expect(readFileSync(join(folder, 'plan.json'), 'utf8')).toBe((await run('plan --json @small.yaml')).stdout);
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('ends with 3 where the file cannot be written, and prints no plan', async () => {
    const ended = await run('plan --out @no/such/folder/plan.json @small.yaml');
    expect(ended).toEqual({
      code: 3,
      stdout: '',
      stderr: 'pinbar: error: cannot write no/such/folder/plan.json: there is no such folder\n',
    });
  });

  it('gives the same bytes every time', async () => {
    expect(await run('plan @small.yaml')).toEqual(await run('plan @small.yaml'));
  });
});

describe('pinbar run --sim', () => {
  it('prints and writes the plan of the machine that it programmed', async () => {
    const ended = await run('run --sim @small.yaml --json --plan-out @run.json');
    expect(ended.code).toBe(0);
    expect(JSON.parse(ended.stdout)).toEqual(JSON.parse((await run('plan --json @small.yaml')).stdout));
    expect(readFileSync(join(folder, 'run.json'), 'utf8')).toBe(ended.stdout);
  });

  it('takes pins of the command line', async () => {
    const ended = await run('run --sim @small.yaml --json --pin net=bar4@0x8020000000 --pin dev0=rom@0x10100000');
    const { functions } = JSON.parse(ended.stdout) as {
      functions: { id: string; bars: { index: number; address: string; pinned: boolean }[]; rom?: unknown }[];
    };
    expect(functions.find(({ id }) => id === 'net')?.bars[1]).toMatchObject({ address: '0x8020000000', pinned: true });
    expect(functions.find(({ id }) => id === 'dev0')?.rom).toMatchObject({ address: '0x10100000', pinned: true });
  });

  it('ends with 2 where there is no plan', async () => {
    expect(await run('run --sim @impossible.yaml')).toMatchObject({
      code: 2,
      stdout: expect.stringContaining('There is no valid plan.') as string,
    });
    const misaligned = await run('run --sim @small.yaml --json --pin net=bar4@0x8020000001');
    expect(misaligned.code).toBe(2);
    expect(JSON.parse(misaligned.stdout)).toMatchObject({ status: 'infeasible' });
  });

  it('reads standard input', async () => {
    expect((await run('run --sim - --quiet', { stdin: small })).code).toBe(0);
  });
});
