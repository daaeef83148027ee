import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FaultyQemu, type Fault, type FaultStep } from '../lab/fault.js';
import { Traces } from '../lab/leftovers.js';
import { guestCommand, RunningPinbar } from '../lab/pinbar.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { barInQemu, connectQmp } from '../lab/user-qmp.js';

/** In the midst of the writes that follow the second look at QEMU's own list of functions. */
const programming: readonly FaultStep[] = [
  { way: 'to qmp', line: 'query-pci', count: 2 },
  { way: 'to qtest', line: '^write', count: 10 },
];

/** A run whose QEMU fails; where it comes up at last, it stays paused and answers at `socket`. */
function runWith(fault: Fault) {
  const traces = new Traces();
  const qemu = new FaultyQemu('7.2', fault);
  const socket = join(scratchFolder(), 'qmp');
  // prettier-ignore
  const devices = [
    '-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M',
    '-S', '-qmp', `unix:${socket},server=on,wait=off`,
  ];
  const [, ...words] = guestCommand('7.2', { devices: [...devices, ...traces.name] });
  const { cwd, env } = traces.options;
  const run = new RunningPinbar(
    ['run', '--quiet', '--verbose', '--pin', 'dev0=bar2@0x8b40000000', '--', qemu.program, ...words],
    { cwd, env: { ...env, ...qemu.env } },
  );
  return { run, qemu, traces, socket };
}

describeInLab('a QEMU that crashes', ['qemu-7.2', 'linux-6.12'], () => {
  it.each([
    ['SIGSEGV', 1],
    ['SIGABRT', 2],
  ] as const)('by %s while it is programmed, %i times, is started again', async (act, times) => {
    const { run, qemu, traces, socket } = runWith({ steps: programming, act, times });
    await run.shows(/ms {2}running/, 'errors');
    expect({ starts: qemu.starts, faults: qemu.faults }).toEqual({ starts: times + 1, faults: times });
    const notices = run.errors.match(/^pinbar: QEMU was killed by SIG\w+ .*starting it again.*$/gm);
    expect(notices).toHaveLength(times);
    for (const [i, notice] of notices!.entries()) {
      expect(notice).toContain(`killed by ${act}`);
      expect(notice).toContain(`(${i + 2} of 3)`);
    }
    expect(await barInQemu(await connectQmp(socket), 'dev0', 2)).toBe(0x8b40000000n);
    run.signal('SIGTERM');
    expect((await run.ended).end).toBe(0);
    await traces.expectNothingLeft();
  });

  it('three times is given up', async () => {
    const { run, qemu, traces } = runWith({ steps: programming, act: 'SIGSEGV' });
    const { end, errors } = await run.ended;
    expect(end).toBe(3);
    expect(qemu.starts).toBe(3);
    expect(errors).toMatch(/^pinbar: error: QEMU was killed by SIGSEGV .*3 times out of 3/m);
    await traces.expectNothingLeft();
  });

  it('before anything is programmed is not started again: it would do the same', async () => {
    const { run, qemu, traces } = runWith({ steps: [{ way: 'to qmp', line: 'qmp_capabilities' }], act: 'SIGSEGV' });
    const { end, errors } = await run.ended;
    expect(end).toBe(3);
    expect(qemu.starts).toBe(1);
    expect(errors).toMatch(/^pinbar: error: QEMU was killed by SIGSEGV at its start/m);
    await traces.expectNothingLeft();
  });

  it('once the guest may run is not started again: the code is 128 + 11', async () => {
    const { run, qemu, traces, socket } = runWith({ steps: [{ way: 'from qmp', line: '"RESUME"' }], act: 'SIGSEGV' });
    const user = await connectQmp(socket);
    await run.shows(/ms {2}running/, 'errors');
    await user.execute('cont').catch(() => undefined);
    const { end, errors } = await run.ended;
    expect(end).toBe(128 + 11);
    expect(qemu.starts).toBe(1);
    expect(errors).toMatch(/^pinbar: QEMU was killed by SIGSEGV$/m);
    await traces.expectNothingLeft();
  });
});
