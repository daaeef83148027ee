import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { FaultyQemu, type Fault, type FaultStep } from '../lab/fault.js';
import { Traces } from '../lab/leftovers.js';
import { guestCommand, RunningPinbar } from '../lab/pinbar.js';
import { describeInLab } from '../lab/suite.js';

/** QEMU's monitor is what standard input reaches here, for resets without a guest's help. */
const devices = [
  ...['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M'],
  ...['-device', 'virtio-rng-pci,id=rng0'],
];
const console = ['-nodefaults', '-display', 'none', '-serial', 'null', '-monitor', 'stdio'];

/** Points in the life of a run, by what passes between pinbar and QEMU. */
const points: readonly { readonly name: string; readonly steps: readonly FaultStep[]; readonly reset?: true }[] = [
  { name: 'before QEMU is there', steps: [{ way: 'start' }] },
  { name: 'greeting', steps: [{ way: 'to qmp', line: 'qmp_capabilities' }] },
  { name: 'reading the device tree', steps: [{ way: 'to qtest', line: '^b64read' }] },
  { name: 'looking for functions', steps: [{ way: 'from qtest', line: '^OK 0x', count: 20 }] },
  { name: 'sizing BARs', steps: [{ way: 'to qtest', line: '^writel .* 0xffffffff', count: 3 }] },
  {
    name: 'programming',
    steps: [
      { way: 'to qmp', line: 'query-pci', count: 2 },
      { way: 'to qtest', line: '^write', count: 10 },
    ],
  },
  { name: 'checking', steps: [{ way: 'to qmp', line: 'info mtree' }] },
  { name: 'handing over', steps: [{ way: 'to qmp', line: '"cont"' }] },
  { name: 'running', steps: [{ way: 'from qmp', line: '"RESUME"' }] },
  { name: 'in a reset', steps: [{ way: 'to qmp', line: '"system_reset"' }], reset: true },
  {
    name: 'programming again',
    steps: [
      { way: 'from qmp', line: '"RESET"' },
      { way: 'to qtest', line: '^write', count: 10 },
    ],
    reset: true,
  },
  {
    name: 'handing over again',
    steps: [
      { way: 'from qmp', line: '"RESET"' },
      { way: 'to qmp', line: '"cont"' },
    ],
    reset: true,
  },
];
/** From here on the machine is the user's, and the exit code QEMU's own. */
const handedOver = ({ name }: { readonly name: string }) =>
  points.findIndex((point) => point.name === name) >= points.findIndex((point) => point.name === 'handing over');

/** A run that has come to the fault. */
async function runUntil(point: (typeof points)[number], act: Fault['act']) {
  const traces = new Traces();
  const qemu = new FaultyQemu('10.0', { steps: point.steps, act });
  const [, ...words] = guestCommand('10.0', { console, devices: [...devices, ...traces.name] });
  const { cwd, env } = traces.options;
  const run = new RunningPinbar(
    ['run', '--quiet', '--verbose', '--pin', 'dev0=bar2@0x8b40000000', '--', qemu.program, ...words],
    { cwd, env: { ...env, ...qemu.env } },
  );
  if (point.reset) {
    await run.shows(/running$/m, 'errors');
    run.type('system_reset\n');
  }
  await qemu.happened();
  return { run, traces };
}

/** What pinbar said, less the stages; a stack trace or a defect is not for people. */
function said(errors: string): string[] {
  expect(errors).not.toMatch(/^\s+at .*:\d+:\d+|defect|\bundefined\b/m);
  return errors.split('\n').filter((line) => line !== '' && !/^pinbar: +\d+ ms /.test(line));
}

describeInLab('killed', ['qemu-10.0', 'linux-6.12'], () => {
  it.each(points)('QEMU by SIGKILL: $name', async (point) => {
    const { run, traces } = await runUntil(point, 'SIGKILL');
    const { errors, end } = await run.ended;
    expect(said(errors).join('\n')).toMatch(/QEMU was killed by SIGKILL/);
    expect(end).toBe(handedOver(point) ? 128 + 9 : 3);
    await traces.expectNothingLeft();
  });

  it.each(points)('the qtest connection: $name', async (point) => {
    const { run, traces } = await runUntil(point, 'cut qtest');
    const { errors, end } = await run.ended;
    expect(said(errors)).toContainEqual(expect.stringMatching(/^pinbar: error: the qtest connection to QEMU was lost/));
    expect(end).toBe(3);
    await traces.expectNothingLeft();
  });

  it.each(points)('the QMP connection: $name', async (point) => {
    const { run, traces } = await runUntil(point, 'cut qmp');
    const { errors, end } = await run.ended;
    expect(said(errors)).toContainEqual(expect.stringMatching(/^pinbar: error: the QMP connection to QEMU was lost/));
    expect(end).toBe(3);
    await traces.expectNothingLeft();
  });

  it.each(points)('pinbar by SIGTERM: $name', async (point) => {
    const { run, traces } = await runUntil(point, 'hold');
    run.signal('SIGTERM');
    const { errors, end } = await run.ended;
    expect(said(errors)).toEqual([expect.stringMatching(/^pinbar: SIGTERM was passed on to QEMU, which ended/)]);
    // QEMU takes SIGTERM for a wish and ends with 0.
    expect(end).toBe(handedOver(point) ? 0 : 128 + 15);
    await traces.expectNothingLeft();
  });

  it.each(points)('pinbar by SIGKILL: $name', async (point) => {
    const { run, traces } = await runUntil(point, 'hold');
    expect(traces.processes()).not.toEqual([]);
    run.signal('SIGKILL');
    expect((await run.ended).end).toBe('SIGKILL');
    await traces.expectNothingLeft();
  });

  it.each([0, 20, 40, 60, 80, 100, 130, 170, 250, 400])(
    'pinbar by SIGKILL %i ms after its start, with nothing between it and QEMU',
    async (milliseconds) => {
      const traces = new Traces();
      const command = guestCommand('10.0', { console, devices: [...devices, ...traces.name] });
      const run = new RunningPinbar(['run', '--quiet', '--', ...command], traces.options);
      await sleep(milliseconds);
      run.signal('SIGKILL');
      expect((await run.ended).end).toBe('SIGKILL');
      await traces.expectNothingLeft();
    },
  );
});
