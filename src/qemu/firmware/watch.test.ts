import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Problem } from '../../problem/problem.js';
import type { Mismatch } from '../../program/program.js';
import type { FirmwareSide } from './side.js';
import { FirmwareWatch } from './watch.js';

const moved: Mismatch = {
  id: 'dev',
  at: '0000:01:00.0',
  register: 0x18,
  what: 'BAR 2',
  wrote: 0x4000_000c,
  read: 0xc,
  closed: false,
};

/** Firmware that enumerates after `moves` ms, and calls after `calls` ms. */
function firmware({ moves = Infinity, calls = Infinity, driver = true }) {
  const began = Date.now();
  const state = { served: 0, placed: false };
  const elapsed = () => Date.now() - began;
  const side: FirmwareSide = {
    firmware: { name: 'code.fd', driver },
    rung: () => Promise.resolve(driver && elapsed() >= calls && state.served === 0),
    serve: () => {
      state.served++;
      state.placed = true;
      return Promise.resolve(true);
    },
    holds: () => Promise.resolve(state.placed || elapsed() < moves),
    pinned: (mismatches) => mismatches,
    describe: () => Promise.resolve('code.fd (EDK II)'),
  };
  return { side, state, elapsed };
}

function watchOver(made: ReturnType<typeof firmware>, strict = false) {
  const notices: { at: number; text: string }[] = [];
  const failed: { at: number; error: unknown }[] = [];
  const watch = new FirmwareWatch(made.side, {
    notice: (text) => notices.push({ at: made.elapsed(), text }),
    strict,
    stopped: (work) => work(),
    verify: async () => ((await made.side.holds()) ? [] : [moved]),
  });
  watch.failed.catch((error: unknown) => failed.push({ at: made.elapsed(), error }));
  return { watch, notices, failed };
}

describe('firmware that is watched', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('has the driver’s call answered once in each boot', async () => {
    const made = firmware({ moves: 700, calls: 900 });
    const { watch, notices, failed } = watchOver(made, true);
    watch.begin();
    await vi.advanceTimersByTimeAsync(1000);
    expect(made.state.served).toBe(1);
    await vi.advanceTimersByTimeAsync(300_000);
    await watch.end();
    expect([notices, failed]).toEqual([[], []]);
  });

  it('is named where it does not call, some seconds after it has moved the pins', async () => {
    const { watch, notices, failed } = watchOver(firmware({ moves: 3000 }));
    watch.begin();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(notices).toEqual([
      { at: expect.any(Number) as number, text: expect.stringContaining('code.fd (EDK II)') as string },
    ]);
    expect(notices[0]?.text).toContain('dev (0000:01:00.0) BAR 2: 0x4000000c is pinned, 0xc is there');
    expect(notices[0]?.text).toContain('Secure Boot');
    expect(notices[0]?.at).toBeGreaterThan(10_000);
    expect(notices[0]?.at).toBeLessThan(20_000);
    await watch.end();
    expect(notices).toHaveLength(1);
    expect(failed).toEqual([]);
  });

  it('has more time where all is slow, and is taken at its word when it calls late', async () => {
    const made = firmware({ moves: 40_000, calls: 100_000 });
    const { watch, notices } = watchOver(made);
    watch.begin();
    await vi.advanceTimersByTimeAsync(99_000);
    expect(notices).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect([notices, made.state.served]).toEqual([[], 1]);
    await watch.end();

    const late = firmware({ moves: 1000, calls: 30_000 });
    const other = watchOver(late);
    other.watch.begin();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(other.notices.map(({ text }) => text.split('\n')[0])).toEqual([
      'the firmware has moved what is pinned: code.fd (EDK II)',
      'code.fd has taken the plan after all',
    ]);
    await other.watch.end();
  });

  it('fails in strict mode, and without a driver sooner', async () => {
    const { watch, notices, failed } = watchOver(firmware({ moves: 1000, driver: false }), true);
    watch.begin();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(failed).toHaveLength(1);
    expect(failed[0]?.error).toBeInstanceOf(Problem);
    expect(failed[0]?.error).toMatchObject({ code: 'pins-moved', exit: 3 });
    expect(failed[0]?.at).toBeLessThan(10_000);
    expect(notices).toEqual([]);
    await watch.end();
  });

  it('is judged when the guest stops sooner than that', async () => {
    const { watch, notices } = watchOver(firmware({ moves: 1000 }));
    watch.begin();
    await vi.advanceTimersByTimeAsync(2000);
    expect(notices).toEqual([]);
    await watch.end();
    expect(notices).toHaveLength(1);
  });

  it('is not blamed alone where the pins move once it has taken the plan', async () => {
    const made = firmware({ moves: 700, calls: 900 });
    const { watch, notices } = watchOver(made);
    watch.begin();
    await vi.advanceTimersByTimeAsync(5000);
    made.state.placed = false;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(notices.map(({ text }) => text)).toEqual([
      expect.stringMatching(
        /^the guest, or its firmware after it had taken the plan, has moved what is pinned: code.fd/,
      ),
    ]);
    await watch.end();
  });

  it('whose machine is gone is asked nothing more', async () => {
    const made = firmware({});
    const { watch, failed } = watchOver(made);
    watch.begin();
    await vi.advanceTimersByTimeAsync(100);
    await watch.end();
    await watch.end();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(failed).toEqual([]);
  });
});
