import { join } from 'node:path';
import { expect, it } from 'vitest';
import { writeInitrd } from '../lab/initrd.js';
import { fastKernelArguments, kernelImage, qemuBinary } from '../lab/lab.js';
import { pinbar, RunningPinbar } from '../lab/pinbar.js';
import { barOf, expectPlanInGuest, listings, readPlan, verify } from '../lab/plan-in-guest.js';
import { runToEnd } from '../lab/run.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** The command line of the proposed QEMU series. */
// prettier-ignore
const command = (initrd: string, machine: string, pin: readonly string[]): [string, ...string[]] => [
  qemuBinary('10.0'),
  '-machine', `virt,gic-version=3${machine}`, '-cpu', 'max', '-m', '512M', '-nographic',
  '-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64G',
  ...pin,
  '-kernel', kernelImage(), '-initrd', initrd, '-append', fastKernelArguments.aarch64,
];
const window = ',pcie-mmio-window=0x400000000000:0x400000000000,pci-pre-enum=on';
const set = ['-set', 'device.dev0.fixed-bars=bar2@0x6b8000000000'];
/** Behind the default network device at 00:01.0 and the port at 00:02.0. */
const dev0 = '0000:01:00.0';

describeInLab('the proposed options on stock QEMU 10.0', ['qemu-10.0', 'linux-6.12', 'guest'], () => {
  it('pins BAR 2 where the command line says, and all else where the plan says', async () => {
    const folder = scratchFolder();
    const initrd = join(folder, 'initrd');
    const plan = join(folder, 'plan.json');
    writeInitrd(initrd, { script: listings, lspci: true });
    const { boots, end, errors } = await pinbar(['run', '--plan-out', plan, '--', ...command(initrd, window, set)]);

    expect(end).toBe(0);
    expect(boots.map(({ left }) => left)).toEqual(['poweroff']);
    expect(barOf(boots[0], dev0, 2)).toBe(0x6b8000000000n);
    expectPlanInGuest(readPlan(plan), boots[0]);
    // The table that people see, on standard error: standard output is the guest's.
    expect(errors).toMatch(/BAR 2 +mem64 pref +64 GiB +0x6b8000000000 +pinned/);

    const verified = await verify(folder, plan, boots[0]);
    expect(verified.errors).toBe('');
    expect(verified.end).toBe(0);
    expect(JSON.parse(verified.output)).toMatchObject({ verdict: 'holds' });
  });

  it('without pinbar QEMU refuses them', async () => {
    const initrd = join(scratchFolder(), 'initrd');
    writeInitrd(initrd, { script: '' });
    const bars = await runToEnd(command(initrd, '', set));
    expect(bars.end).toBe(1);
    expect(bars.errors).toContain("Property 'pci-testdev.fixed-bars' not found");
    const machine = await runToEnd(command(initrd, window, []));
    expect(machine.end).toBe(1);
    expect(machine.errors).toMatch(/Property 'virt-10\.0-machine\.(?:pcie-mmio-window|pci-pre-enum)' not found/);
  });

  it('without them the guest puts the BAR elsewhere, and verify says so', async () => {
    const folder = scratchFolder();
    const initrd = join(folder, 'initrd');
    const plan = join(folder, 'plan.json');
    writeInitrd(initrd, { script: listings, lspci: true });
    const { boots, end } = await runToEnd(command(initrd, '', []));
    expect(end).toBe(0);
    expect(barOf(boots[0], dev0, 2)).toBe(0x8000000000n);

    // The plan that this guest did not have.
    const paused = new RunningPinbar([
      'run',
      '--verbose',
      '--plan-out',
      plan,
      '--',
      ...command(initrd, window, set),
      '-S',
    ]);
    await paused.shows(/ms {2}running/, 'errors');
    paused.signal('SIGTERM');
    expect((await paused.ended).end).toBe(0);
    const verified = await verify(folder, plan, boots[0]);
    expect(verified.end).toBe(3);
    expect(verified.output).toContain('0x8000000000');
  });
});
