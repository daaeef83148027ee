import { describe, expect, it } from 'vitest';
import { outcome, settle } from '../../test/support/peer.js';
import { ScriptedQemu } from '../../test/support/scripted-qemu.js';
import { defaultActions, supervise, type Actions } from './supervise.js';

function start(
  options: Partial<Actions> = {},
  reprogram: () => Promise<void> = () => Promise.resolve(),
  running = true,
) {
  const qemu = new ScriptedQemu();
  const supervised = supervise(qemu.qmp, { ...defaultActions, ...options }, running, {
    reprogram: async () => {
      qemu.log.push('reprogram');
      await reprogram();
    },
    onStop: (reason) => {
      qemu.log.push(`stopped: ${reason}`);
      return Promise.resolve();
    },
  });
  return { qemu, supervised };
}

/** The log without questions about the state. */
const deeds = (qemu: ScriptedQemu) => qemu.log.filter((entry) => entry !== 'query-status');
const oneReset = (reason: string) => [
  `stopped: ${reason}`,
  ...['stop', 'set-action reset', 'system_reset', 'set-action shutdown', 'reprogram', 'cont'],
];

describe('a reset', () => {
  it.each(['guest-reset', 'host-qmp-system-reset'])(
    '(%s) is carried out, programmed and gone on from',
    async (reason) => {
      const { qemu, supervised } = start();
      qemu.event('SHUTDOWN', { reason });
      qemu.event('STOP');
      await settle();
      qemu.end();
      expect(await supervised).toEqual({});
      expect(deeds(qemu)).toEqual(oneReset(reason));
    },
  );

  it('after a reset is carried out as well', async () => {
    const { qemu, supervised } = start();
    for (let i = 0; i < 3; i++) {
      qemu.guestReset();
      await settle();
    }
    qemu.end();
    await supervised;
    expect(deeds(qemu)).toEqual([1, 2, 3].flatMap(() => oneReset('guest-reset')));
  });

  it('is programmed after the reset and before the guest goes on, however long that takes', async () => {
    let finish: () => void = () => undefined;
    const { qemu, supervised } = start({}, () => new Promise((resolve) => (finish = resolve)));
    qemu.guestReset();
    await settle();
    expect(deeds(qemu).at(-1)).toBe('reprogram');
    finish();
    await settle();
    expect(deeds(qemu).at(-1)).toBe('cont');
    qemu.end();
    await supervised;
  });

  it('that is asked for twice before the first is answered is one', async () => {
    const { qemu, supervised } = start();
    qemu.guestReset();
    qemu.event('SHUTDOWN', { guest: false, reason: 'host-qmp-system-reset' });
    await settle();
    qemu.end();
    await supervised;
    expect(deeds(qemu)).toEqual(oneReset('guest-reset'));
  });

  it('leaves a machine paused that was paused', async () => {
    const { qemu, supervised } = start({}, undefined, false);
    qemu.running = false;
    qemu.event('SHUTDOWN', { reason: 'host-qmp-system-reset' });
    await settle();
    qemu.end();
    await supervised;
    expect(deeds(qemu)).toEqual(oneReset('host-qmp-system-reset').slice(0, -1));
  });

  it('ends the machine where the user has -no-reboot', async () => {
    const { qemu, supervised } = start({ reboot: 'shutdown' });
    qemu.guestReset();
    expect(await supervised).toEqual({});
    expect(deeds(qemu)).toEqual(['stopped: guest-reset', 'quit']);
  });

  it('that cannot be programmed is told', async () => {
    const { qemu, supervised } = start({}, () => Promise.reject(new Error('register not kept')));
    const told = outcome(supervised);
    qemu.guestReset();
    expect(await told).toBe('Error: register not kept');
    expect(deeds(qemu)).not.toContain('cont');
  });

  it.each(['stop', 'set-action', 'system_reset'])(
    'in the midst of which QEMU dies (at %s) is told',
    async (command) => {
      const { qemu, supervised } = start();
      const told = outcome(supervised);
      qemu.on = { [command]: () => qemu.end() };
      qemu.guestReset();
      expect(await told).toBe('qmp-lost');
      expect(deeds(qemu)).not.toContain('cont');
    },
  );
});

describe('the end', () => {
  it('of a guest that powers off ends QEMU', async () => {
    const { qemu, supervised } = start();
    qemu.event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
    expect(await supervised).toEqual({});
    expect(deeds(qemu)).toEqual(['stopped: guest-shutdown', 'quit']);
  });

  it('of a guest that powers off leaves QEMU paused where the user has -no-shutdown', async () => {
    const { qemu, supervised } = start({ shutdown: 'pause' });
    qemu.event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
    qemu.event('STOP');
    await settle();
    expect(deeds(qemu)).toEqual(['stopped: guest-shutdown']);
    qemu.end();
    expect(await supervised).toEqual({});
  });

  it('that QEMU chose itself is not asked for again', async () => {
    const { qemu, supervised } = start();
    qemu.event('SHUTDOWN', { guest: false, reason: 'host-signal' });
    qemu.end();
    expect(await supervised).toEqual({});
    expect(qemu.log).toEqual([]);
  });

  it.each<[string, Partial<Actions>, string[]]>([
    ['ends QEMU', {}, ['quit']],
    ['leaves it paused with panic=pause', { panic: 'pause' }, []],
    ['leaves it running with panic=none', { panic: 'none' }, []],
    ['leaves it paused with -no-shutdown', { shutdown: 'pause' }, []],
  ])('of a guest that panics %s', async (_, actions, expected) => {
    const { qemu, supervised } = start(actions);
    qemu.event('GUEST_PANICKED', { action: 'pause' });
    await settle();
    if (expected.length === 0) qemu.end();
    await supervised;
    expect(deeds(qemu)).toEqual(expected);
  });

  it('of a guest that panics with panic=exit-failure is an exit code of 1', async () => {
    const { qemu, supervised } = start({ panic: 'exit-failure' });
    qemu.event('SHUTDOWN', { guest: true, reason: 'guest-panic' });
    expect(await supervised).toEqual({ exitCode: 1 });
    expect(deeds(qemu)).toEqual(['stopped: guest-panic', 'quit']);
  });

  it('comes with the connection’s, when nothing is going on', async () => {
    const { qemu, supervised } = start();
    qemu.end();
    expect(await supervised).toEqual({});
  });
});
