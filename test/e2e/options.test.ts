import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { guestCommand, pinbar, RunningPinbar, type GuestOptions } from '../lab/pinbar.js';
import { barOf } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { barInQemu, connectQmp, runState } from '../lab/user-qmp.js';

const BAR = 0x8b40000000n;
const dev0 = ['-device', 'pcie-root-port,id=rp1,chassis=1', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M'];
const pin = ['--pin', `dev0=bar2@0x${BAR.toString(16)}`];

/** A guest that runs `script`, with more QEMU arguments, and pinbar's own; `alone` without a QMP server of the user's. */
function prepare(
  script: string,
  more: readonly string[],
  { own = [], alone = false, ...guest }: GuestOptions & { own?: string[]; alone?: boolean } = {},
) {
  const folder = scratchFolder();
  const initrd = join(folder, 'initrd');
  const qmp = join(folder, 'qmp');
  writeInitrd(initrd, { script });
  const devices = [...dev0, ...(alone ? [] : ['-qmp', `unix:${qmp},server=on,wait=off`]), ...more];
  const command = guestCommand('10.0', { ...guest, initrd, devices });
  return { qmp, start: () => new RunningPinbar(['run', '--quiet', '--verbose', ...own, ...pin, '--', ...command]) };
}

describeInLab("QEMU's own options", ['qemu-10.0', 'linux-6.12', 'guest'], () => {
  it('-S: paused and programmed until cont', async () => {
    const { qmp, start } = prepare('section pci pci_functions', ['-S']);
    const run = start();
    await run.shows(/ms {2}running/, 'errors');
    const user = await connectQmp(qmp);
    expect(await runState(user)).toBe('prelaunch');
    expect(await barInQemu(user, 'dev0', 2)).toBe(BAR);
    expect(run.output).toBe('');
    await user.execute('cont');
    const { boots, end } = await run.ended;
    expect(barOf(boots[0], '0000:01:00.0', 2)).toBe(BAR);
    expect(end).toBe(0);
    expect(existsSync(qmp)).toBe(false);
  });

  it('-serial stdio: what is typed reaches the guest, what it prints standard output', async () => {
    const { start } = prepare('section typed sh -c "read -r line; echo got \\$line"', [], {
      console: ['-display', 'none', '-nodefaults', '-serial', 'stdio'],
    });
    const run = start();
    await run.shows(/@@@ begin typed/);
    run.type('words\n');
    const { boots, end } = await run.ended;
    expect(output(boots[0], 'typed')).toContain('got words');
    expect(end).toBe(0);
  });

  it('-nographic: console and monitor on standard input and output, as QEMU has them by default', async () => {
    const { start } = prepare('echo "@@@ waiting"; sleep 600', [], { console: ['-nographic'], alone: true });
    const run = start();
    await run.shows(/@@@ waiting/);
    run.type('\u0001c');
    await run.shows(/\(qemu\)/);
    run.type('info pci\n');
    await run.shows(/BAR2: 64 bit prefetchable memory at 0x8b40000000/);
    run.type('quit\n');
    expect((await run.ended).end).toBe(0);
  });

  it('-monitor: resets from there too are programmed again', async () => {
    const { start } = prepare('', ['-monitor', 'stdio'], { console: ['-display', 'none', '-nodefaults'] });
    const run = start();
    await run.shows(/ms {2}running/, 'errors');
    run.type('system_reset\n');
    await run.shows(/programming again[^]*running/, 'errors');
    run.type('info pci\n');
    await run.shows(/BAR2: 64 bit prefetchable memory at 0x8b40000000/);
    run.type('quit\n');
    expect((await run.ended).end).toBe(0);
  });

  it.each(['-no-reboot', '-action reboot=shutdown'])('%s: a reboot ends QEMU', async (words) => {
    const { start } = prepare('finish reboot', words.split(' '));
    const { boots, end } = await start().ended;
    expect(boots.map(({ left }) => left)).toEqual(['reboot']);
    expect(end).toBe(0);
  });

  it.each(['-no-shutdown', '-action shutdown=pause'])('%s: a guest that is off stays until quit', async (words) => {
    const { qmp, start } = prepare('', words.split(' '));
    const run = start();
    const user = await connectQmp(qmp);
    const off = user.waitFor(({ event }) => event === 'SHUTDOWN');
    await off;
    await user.execute('query-status');
    expect(await runState(user)).toBe('shutdown');
    expect(run.output).toContain('@@@ poweroff');
    await user.execute('quit');
    expect((await run.ended).end).toBe(0);
  });

  it.each<[action: string, state: string, end: number]>([
    ['shutdown', 'ended', 0],
    ['exit-failure', 'ended', 1],
    ['pause', 'guest-panicked', 0],
    ['none', 'off', 0],
  ])('-action panic=%s keeps its meaning', async (action, state, end) => {
    // What the pvpanic driver would do, docs/specs/pvpanic.rst: bit 0 is a panic.
    const panic = `
echo 1 >/sys/bus/pci/devices/0000:00:05.0/enable
devmem "$(bar 0000:00:05.0 0)" 8 1
sleep 1
echo '@@@ alive'
`;
    const { qmp, start } = prepare(panic, ['-device', 'pvpanic-pci,addr=5.0', '-action', `panic=${action}`]);
    const run = start();
    const user = await connectQmp(qmp);
    await user.waitFor(({ event }) => event === 'GUEST_PANICKED');
    if (state === 'guest-panicked') {
      for (let tries = 0; (await runState(user)) !== state && tries < 100; tries++) await sleep(50);
      expect(await runState(user)).toBe(state);
      expect(await barInQemu(user, 'dev0', 2)).toBe(BAR);
      await user.execute('quit');
    }
    const ran = await run.ended;
    expect(ran.output.includes('@@@ alive')).toBe(state === 'off');
    expect(ran.boots.map(({ left }) => left)).toEqual([state === 'off' ? 'poweroff' : undefined]);
    expect(ran.end).toBe(end);
  });

  it.each([['-daemonize'], ['-incoming', 'defer'], ['-loadvm', 'snapshot'], ['-preconfig'], ['-qtest', 'stdio']])(
    '%s is refused, with the reason',
    async (...words) => {
      const { end, errors, output } = await pinbar(['run', '--', ...guestCommand('10.0', { devices: words })]);
      expect(end).toBe(1);
      expect(errors).toMatch(
        new RegExp(`^pinbar: error: ${words[0]} cannot be used with pinbar run: \\w+[^]*\\n +help: `),
      );
      expect(output).toBe('');
    },
  );
});

describeInLab('pinbar run', ['qemu-10.0', 'linux-6.12', 'guest'], () => {
  it('SIGTERM, SIGINT and SIGHUP end a running guest, with the exit code of QEMU', async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      const run = prepare('', ['-S']).start();
      await run.shows(/ms {2}running/, 'errors');
      run.signal(signal);
      const { end, errors } = await run.ended;
      expect(errors).toContain(`${signal} was passed on to QEMU`);
      expect(end).toBe(0);
    }
  });

  it('--verify: ends with 3 and names what moved where the guest has moved a BAR', async () => {
    // BAR 2, upper half, of pci-testdev: four bytes at 0x1c, little-endian, behind a switched-off decoder.
    const move = (upper: string) => `
dev=/sys/bus/pci/devices/0000:01:00.0/config
printf '\\000\\000' | dd of=$dev bs=1 seek=4 conv=notrunc
printf '\\${upper}\\000\\000\\000' | dd of=$dev bs=1 seek=28 conv=notrunc
`;
    const moved = await prepare(move('214'), [], { own: ['--verify'] }).start().ended;
    expect(moved.end).toBe(3);
    expect(moved.errors).toMatch(
      /guest had not kept the plan:\n +dev0 \(0000:01:00\.0\) BAR 2, upper half: 0x8b was programmed, 0x8c is there now/,
    );

    const kept = await prepare(move('213'), [], { own: ['--verify'] }).start().ended;
    expect(kept.errors).not.toContain('not kept');
    expect(kept.end).toBe(0);
  });

  it('standard output that nobody reads, and a slow reader of standard error, change nothing', async () => {
    const run = prepare('section pci pci_functions', []).start();
    run.closeOutput();
    run.readErrorsSlowly();
    const { end, errors } = await run.ended;
    expect(errors).toMatch(/ms {2}running/);
    expect(end).toBe(0);
  });
});
