import { describe, expect, it } from 'vitest';
import { outcome, settle } from '../../../test/support/peer.js';
import { ScriptedQemu } from '../../../test/support/scripted-qemu.js';
import { Follower } from './follow.js';

function start(reprogram: (qemu: ScriptedQemu) => void = () => undefined) {
  const qemu = new ScriptedQemu();
  const follower = new Follower(qemu.qmp, {
    reprogram: async () => {
      qemu.log.push('reprogram');
      reprogram(qemu);
      await settle();
    },
    answered: () => undefined,
  });
  const detach = new AbortController();
  return { qemu, follower, detach, staying: follower.stay(detach.signal) };
}

const deeds = (qemu: ScriptedQemu) => qemu.log.filter((entry) => entry !== 'query-status');
const settled = async () => {
  for (let turn = 0; turn < 8; turn++) await settle();
};
const round = ['stop', 'system_reset', 'reprogram', 'cont'];

/** Does `deed` the first time that it is called. */
const once = (deed: (qemu: ScriptedQemu) => void) => {
  let done = false;
  return (qemu: ScriptedQemu) => {
    if (done) return;
    done = true;
    deed(qemu);
  };
};

describe('a reset of a machine of somebody else’s', () => {
  it('stops it, resets it once more, programs it and lets it go on; nothing of QEMU’s settings changes', async () => {
    const { qemu, staying } = start();
    for (let i = 0; i < 2; i++) {
      qemu.event('RESET', { guest: true, reason: 'guest-reset' });
      await settled();
    }
    qemu.event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
    qemu.end();
    expect(await staying).toBe('ended');
    expect(deeds(qemu)).toEqual([...round, ...round]);
  });

  it('while it is paused leaves it paused', async () => {
    const { qemu, detach, staying } = start();
    qemu.running = false;
    qemu.event('RESET');
    await settled();
    detach.abort();
    expect(await staying).toBe('detached');
    expect(deeds(qemu)).toEqual(round.slice(0, 3));
  });

  it.each<[string, (qemu: ScriptedQemu) => void]>([
    ['another reset', (qemu) => qemu.event('RESET')],
    [
      'somebody’s cont',
      (qemu) => {
        qemu.running = true;
        qemu.event('RESUME');
      },
    ],
  ])('with %s in its midst is answered again from the start', async (_, disturb) => {
    const { qemu, detach, staying } = start(once(disturb));
    qemu.event('RESET');
    await settled();
    await settled();
    detach.abort();
    await staying;
    expect(deeds(qemu)).toEqual([...round.slice(0, 3), ...round]);
  });

  it.each(['stop', 'system_reset'])(
    'with somebody’s cont right after %s is answered again as well',
    async (command) => {
      const { qemu, detach, staying } = start();
      qemu.running = false;
      const cont = once((it) => {
        it.running = true;
        it.event('RESUME');
      });
      // What a command does comes before its answer, so this is after the one before.
      qemu.on = {
        [command === 'stop' ? 'system_reset' : 'query-status']: () => {
          if (deeds(qemu).includes(command)) cont(qemu);
        },
      };
      qemu.event('RESET');
      await settled();
      await settled();
      detach.abort();
      await staying;
      expect(deeds(qemu)).toEqual([...round.slice(0, 3), ...round]);
    },
  );

  it('that disturbed what was being programmed is no failure', async () => {
    const { qemu, detach, staying } = start(
      once((it) => {
        it.event('RESET');
        throw new Error('a register is not what was written');
      }),
    );
    qemu.event('RESET');
    await settled();
    await settled();
    detach.abort();
    expect(await staying).toBe('detached');
    expect(deeds(qemu)).toEqual([...round.slice(0, 3), ...round]);
  });

  it('that cannot be programmed leaves it stopped, and says so', async () => {
    const { qemu, staying } = start(() => {
      throw Object.assign(new Error('no'), { code: 'register-not-kept' });
    });
    qemu.event('RESET');
    expect(await outcome(staying)).toBe('register-not-kept');
    expect(deeds(qemu)).toEqual(round.slice(0, 3));
  });

  it('is finished before pinbar leaves', async () => {
    const { qemu, detach, staying } = start(() => detach.abort());
    qemu.event('RESET');
    expect(await staying).toBe('detached');
    expect(deeds(qemu)).toEqual(round);
  });
});

describe('the end', () => {
  it('without a word is told from one that was announced', async () => {
    const silent = start();
    silent.qemu.end();
    expect(await silent.staying).toBe('lost');
    const announced = start();
    announced.qemu.event('SHUTDOWN', { guest: false, reason: 'host-qmp-quit' });
    announced.qemu.end();
    expect(await announced.staying).toBe('ended');
  });

  it('of a machine that was started again after a shutdown is none that was announced', async () => {
    const { qemu, staying } = start();
    qemu.event('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
    qemu.event('RESET');
    await settled();
    qemu.end();
    expect(await staying).toBe('lost');
  });
});

it('tells who let the machine run meanwhile', async () => {
  const { qemu, follower } = start();
  expect(follower.disturbed).toBe(false);
  qemu.event('RESUME');
  await settle();
  expect(follower.disturbed).toBe(true);
});
