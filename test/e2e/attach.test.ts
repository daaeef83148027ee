import { existsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { kernelImage, type GuestArch, type QemuVersion } from '../lab/lab.js';
import { OwnQemu } from '../lab/own-qemu.js';
import { RunningPinbar } from '../lab/pinbar.js';
import { expectPlanInGuest, readPlan } from '../lab/plan-in-guest.js';
import { Relay } from '../lab/relay.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { barInQemu, connectQmp, runState } from '../lab/user-qmp.js';

/** Uses its disk in every boot; the first ends in a reboot, the second waits to be reset from outside. */
const script = `
section pci pci_functions
section disk disk_test /dev/vda
boot=$(count_boots /dev/vda)
section boot echo "$boot"
[ "$boot" -gt 1 ] || finish reboot
if [ "$boot" -eq 2 ]; then echo '@@@ waiting'; sleep 600; fi
`;

interface Case {
  readonly arch: GuestArch;
  readonly version: QemuVersion;
  readonly transport: 'qtest' | 'gdb';
  readonly bar: bigint;
  readonly more: readonly string[];
}

const libvirt = ['-no-shutdown'];
// prettier-ignore
const cases: readonly Case[] = [
  { arch: 'aarch64', version: '7.2', transport: 'gdb', bar: 0x8b40000000n, more: [] },
  { arch: 'aarch64', version: '10.0', transport: 'qtest', bar: 0x8b40000000n, more: libvirt },
  { arch: 'riscv64', version: '7.2', transport: 'qtest', bar: 0x440000000n, more: [] },
  { arch: 'x86_64', version: '10.0', transport: 'gdb', bar: 0x6b80000000n, more: ['-bios', 'qboot.rom', ...libvirt] },
];

// prettier-ignore
const devices = (disk: string) => [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0', '-device', 'pci-testdev,id=dev0,bus=rp1,membar=64M',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0', '-device', 'x3130-upstream,id=up,bus=rp2',
  '-device', 'xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0',
  '-drive', `if=none,id=d0,format=raw,file=${disk}`, '-device', 'virtio-blk-pci,id=disk,drive=d0,bus=dn0',
];

const BAR = 0x8b40000000n;
const pin = (bar: bigint) => ['--pin', `dev0=bar2@0x${bar.toString(16)}`];

describeInLab(
  'pinbar attach',
  // prettier-ignore
  [
    'qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest', 'qemu-7.2-riscv64', 'linux-6.12-riscv64', 'guest-riscv64',
    'qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64',
  ],
  () => {
    it.each(cases)(
      '$arch, QEMU $version, $transport: a machine keeps its pins after a reboot and a system_reset',
      async ({ arch, version, transport, bar, more }) => {
        const folder = scratchFolder();
        const file = (name: string) => join(folder, name);
        writeFileSync(file('disk'), '');
        truncateSync(file('disk'), 4 * 2 ** 20);
        writeInitrd(file('initrd'), { arch, script });
        const vm = new OwnQemu(
          version,
          { arch, initrd: file('initrd'), devices: [...devices(file('disk')), ...more] },
          { seconds: 170 },
        );
        const user = await connectQmp(vm.socket('user-qmp'));
        const words = ['--json', '--verbose', '--out', file('plan'), ...pin(bar)];
        const pinbar = vm.attach(transport, words, { seconds: 170 });
        await pinbar.shows(/the machine is programmed; it stands before its first instruction/, 'errors');
        expect(await runState(user)).toBe('prelaunch');
        expect(await barInQemu(user, 'dev0', 2)).toBe(bar);
        expect(vm.run.output).toBe('');

        await user.execute('cont');
        await vm.run.shows(/@@@ waiting/);
        await user.execute('system_reset');
        await vm.run.shows(/@@@ poweroff/);
        if (more.includes('-no-shutdown')) {
          await user.waitFor(({ event }) => event === 'SHUTDOWN');
          await user.execute('quit').catch(() => undefined);
        }
        const [{ boots, end }, ran] = await Promise.all([vm.run.ended, pinbar.ended]);
        expect(end).toBe(0);
        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
          '1 reboot',
          '2 undefined',
          '3 poweroff',
        ]);
        const plan = readPlan(file('plan'));
        expect(plan.functions.find(({ id }) => id === 'dev0')?.bars.find(({ index }) => index === 2)).toMatchObject({
          address: `0x${bar.toString(16)}`,
          pinned: true,
        });
        for (const boot of boots) {
          expectPlanInGuest(plan, boot);
          expect(output(boot, 'disk')).toContain('written, read and equal');
        }
        expect(ran.errors.match(/programming again after a reset/g)).toHaveLength(2);
        expect(ran.errors).toMatch(/QEMU has ended/);
        expect(JSON.parse(ran.output)).toEqual(plan);
        expect(ran.end).toBe(0);
      },
    );
  },
);

describeInLab('pinbar attach, without a guest', ['qemu-7.2', 'qemu-10.0', 'linux-6.12'], () => {
  /** A paused machine, and what of its PCI registers there is to see. */
  async function paused(version: QemuVersion = '10.0') {
    const vm = new OwnQemu(version, { devices: devices('null-co://') });
    const user = await connectQmp(vm.socket('user-qmp'));
    return { vm, user, registers: async () => (await user.monitor('info pci')) + (await user.monitor('info qtree')) };
  }

  it.each<{ name: string; words: readonly string[]; end: number; says: readonly (string | RegExp)[] }>([
    { name: 'an unknown id', words: ['--pin', 'dev9=bar2@0x8b40000000'], end: 1, says: ['dev9', 'did you mean dev0'] },
    {
      name: 'a pin outside every window',
      words: ['--pin', 'dev0=bar2@0x6b8000000000'],
      end: 2,
      says: ['There is no valid plan'],
    },
    {
      name: 'room behind what is no bridge',
      words: ['--reserve', 'dev0=memory:1M'],
      end: 1,
      says: ['dev0 is no bridge'],
    },
  ])('$name: the machine is left as it was', async ({ words, end, says }) => {
    for (const transport of ['qtest', 'gdb'] as const) {
      const { vm, user, registers } = await paused(transport === 'gdb' ? '7.2' : '10.0');
      const before = await registers();
      expect(before).not.toContain('secondary bus 1');
      const ran = await vm.attach(transport, words).ended;
      for (const part of says) expect(`${ran.output}${ran.errors}`).toMatch(part);
      expect(ran.errors).not.toMatch(/^\s+at .*:\d+:\d+|defect|undefined/m);
      expect(ran.end).toBe(end);
      expect(await registers()).toBe(before);
      expect(await runState(user)).toBe('prelaunch');
    }
  });

  it('a machine that runs, has run, or is programmed already is refused, and not touched', async () => {
    const { vm, user, registers } = await paused();
    expect((await vm.attach('qtest', ['--once', ...pin(BAR)]).ended).end).toBe(0);
    const before = await registers();
    const refused = async (why: RegExp) => {
      const ran = await vm.attach('gdb', pin(BAR + 0x4000000n)).ended;
      expect(ran.errors).toMatch(why);
      expect(ran.end).toBe(1);
    };
    await refused(/programmed already: rp1 \(0000:00:01\.0\) has bus 1 behind it\n +help: reset the machine/);
    expect(await registers()).toBe(before);
    await user.execute('cont');
    await refused(/the machine runs already[^]*help: start QEMU with -S/);
    expect(await runState(user)).toBe('running');
    await user.execute('stop');
    await refused(/the machine is paused, but it has run/);
    expect(await runState(user)).toBe('paused');
  });

  it('sockets of another kind are named, and given up where they are silent', async () => {
    const { vm, user } = await paused();
    const { user: other, vm: another, registers } = await paused();
    const before = await registers();
    const attach = async (words: Readonly<Record<string, string>>, says: RegExp, end = 1) => {
      const args = Object.entries(words).flatMap(([name, socket]) => [`--${name}`, socket]);
      const ran = await new RunningPinbar(['attach', ...args, ...pin(BAR)]).ended;
      expect(ran.errors).toMatch(says);
      expect(ran.errors).not.toMatch(/^\s+at .*:\d+:\d+|defect|undefined/m);
      expect(ran.end).toBe(end);
    };
    const at = (name: string) => vm.socket(name);
    // One after another: a socket serves one at a time.
    await attach(
      { qmp: at('monitor'), qtest: at('qtest') },
      /monitor: this is QEMU's human monitor, and a QMP monitor/,
    );
    await attach(
      { qmp: at('qmp'), qtest: at('monitor') },
      /this is QEMU's human monitor, and a qtest server is needed/,
    );
    await attach({ qmp: at('qmp'), gdb: at('monitor') }, /this is QEMU's human monitor, and a gdbstub is needed/);
    await attach({ qmp: at('qmp'), qtest: at('nothing') }, /nothing: there is no such socket/);
    await attach({ qmp: kernelImage(), qtest: at('qtest') }, /it is no socket/);
    await attach({ qmp: at('qmp'), gdb: 'localhost:1' }, /localhost:1: nobody listens there/, 3);
    await attach({ qmp: at('qmp'), qtest: another.socket('qtest') }, /two different QEMUs/);
    await attach({ qmp: at('qmp'), gdb: another.socket('gdb') }, /two different QEMUs/);
    // user-qmp serves the test already.
    await Promise.all([
      attach({ qmp: at('user-qmp'), qtest: at('nothing') }, /nobody has answered for 10 seconds[^]*somebody else/),
      attach({ qmp: at('qtest'), gdb: at('nothing') }, /qtest: nobody has answered for 10 seconds/),
      attach({ qmp: at('qmp'), qtest: at('gdb') }, /gdb: nobody has answered for 10 seconds[^]*no qtest server/),
      attach({ qmp: another.socket('qmp'), gdb: another.socket('qtest') }, /qtest: nobody has answered for 10 seconds/),
    ]);
    await attach({ qmp: at('qmp'), qtest: another.socket('qmp') }, /this is QEMU's QMP monitor, and a qtest server is/);
    expect(await registers()).toBe(before);
    for (const qmp of [user, other]) expect(await runState(qmp)).toBe('prelaunch');
    // What was sent to the wrong ones has spoilt none of them.
    for (const transport of ['qtest', 'gdb'] as const) {
      expect((await another.attach(transport, ['--once', '--quiet', ...pin(BAR)]).ended).end).toBe(0);
      await other.execute('system_reset');
    }
  });

  /** `pinbar attach` by way of a relay that holds the 40th write, in the midst of the work. */
  async function held() {
    const { vm, user, registers } = await paused();
    const before = await registers();
    const relay = Relay.at(vm.socket('relay'), vm.socket('qtest'), /^write[bwl] /, 40);
    const pinbar = new RunningPinbar([
      ...['attach', '--qmp', vm.socket('qmp'), '--qtest', vm.socket('relay'), '--verbose'],
      ...['--out', vm.socket('plan'), ...pin(BAR)],
    ]);
    await relay.held;
    expect(await registers()).not.toBe(before);
    return { vm, user, registers, before, relay, pinbar };
  }

  it('SIGINT in the midst of the work leaves the machine as it was', async () => {
    const { pinbar, relay, registers, before, vm } = await held();
    pinbar.signal('SIGINT');
    await sleep(200);
    relay.release();
    const { end, errors } = await pinbar.ended;
    expect(errors).toContain('SIGINT came before the machine was programmed: it is as it was');
    expect(end).toBe(130);
    expect(await registers()).toBe(before);
    expect(existsSync(vm.socket('plan'))).toBe(false);
  });

  it('a connection that is lost in the midst of the work: it says what to do, and that helps', async () => {
    const { pinbar, relay, user, vm, before, registers } = await held();
    relay.cut();
    const { end, errors } = await pinbar.ended;
    expect(errors).toMatch(/qtest connection to QEMU was lost .*programmed in part[^]*help: .*system_reset/);
    expect(end).toBe(3);
    await user.execute('system_reset');
    expect(await registers()).toBe(before);
    expect((await vm.attach('qtest', ['--once', ...pin(BAR)]).ended).end).toBe(0);
    expect(await barInQemu(user, 'dev0', 2)).toBe(BAR);
  });

  it('QEMU that dies in the midst of the work', async () => {
    const { pinbar, relay, vm } = await held();
    vm.run.signal('SIGKILL');
    relay.release();
    const { end, errors } = await pinbar.ended;
    expect(errors).toMatch(/connection to QEMU was lost/);
    expect(end).toBe(3);
  });

  it('a machine that somebody lets run in the midst of the work starts again, programmed', async () => {
    const { pinbar, relay, user } = await held();
    await user.execute('cont');
    relay.release();
    await pinbar.shows(/let it run while it was programmed[^]*programming again[^]*attached/, 'errors');
    expect(await runState(user)).toBe('running');
    expect(await barInQemu(user, 'dev0', 2)).toBe(BAR);
    pinbar.signal('SIGTERM');
    const { end, errors } = await pinbar.ended;
    expect(errors).toContain('SIGTERM: detached');
    expect(end).toBe(0);
  });

  it('a machine that was paused when it was reset stays so, programmed; detached, a reset is a reset', async () => {
    for (const [version, transport] of [
      ['7.2', 'qtest'],
      ['10.0', 'gdb'],
    ] as const) {
      const { vm, user } = await paused(version);
      const pinbar = vm.attach(transport, ['--verbose', '--resume', ...pin(BAR)]);
      await pinbar.shows(/it runs\. Every reset[^]*attached/, 'errors');
      expect(await runState(user)).toBe('running');
      await user.execute('stop');
      await user.execute('system_reset');
      await pinbar.shows(/programming again[^]*attached/, 'errors');
      expect(await runState(user)).toBe('prelaunch');
      expect(await barInQemu(user, 'dev0', 2)).toBe(BAR);
      pinbar.signal('SIGHUP');
      expect((await pinbar.ended).end).toBe(0);
      expect(await barInQemu(user, 'dev0', 2)).toBe(BAR);
      await user.execute('system_reset');
      expect(await barInQemu(user, 'dev0', 2)).toBeUndefined();
      expect(await runState(user)).toBe('prelaunch');
    }
  });

  it('a reset right after another, and cont right after it', async () => {
    const { vm, user } = await paused();
    const pinbar = vm.attach('qtest', ['--resume', '--verbose', ...pin(BAR)]);
    await pinbar.shows(/attached/, 'errors');
    const settled = async () => (await barInQemu(user, 'dev0', 2)) === BAR && (await runState(user)) === 'running';
    for (let round = 0; round < 8; round++) {
      await Promise.all(['stop', 'system_reset', 'cont', 'system_reset'].map((command) => user.execute(command)));
      await sleep(5 * round);
      for (let tries = 0; !(await settled()) && tries < 200; tries++) await sleep(50);
      expect(await settled()).toBe(true);
    }
    await user.execute('quit');
    const { end, errors } = await pinbar.ended;
    expect(errors).toContain('QEMU has ended');
    expect(end).toBe(0);
  });
});
