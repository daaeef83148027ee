import { setTimeout as sleep } from 'node:timers/promises';
import { Exit, Problem } from '../../problem/problem.js';
import type { Qmp } from '../qmp.js';

/** How long QEMU may take for a reset that it was asked for. */
const RESET_MS = 30_000;

/** How a machine was left: QEMU ended after saying so, its connection was lost, or pinbar was told to go. */
export type Left = 'ended' | 'lost' | 'detached';

export interface FollowTasks {
  /** Programs the machine that was just reset; it stands before its first instruction. */
  readonly reprogram: () => Promise<void>;
  /** The machine goes on as it did before its reset. */
  readonly answered: () => void;
}

/**
 * Programs a machine of somebody else's again at every reset. Nothing of QEMU's settings is changed for that: when nobody
 * follows any more, a reset is what it always was. QEMU says RESET when the guest is on its way already; so it is stopped,
 * reset once more, programmed and let go on: the first instructions of a boot are run twice.
 */
export class Follower {
  #resets = 0;
  #resumes = 0;
  /** Of the events above, how many there had been when the machine was last programmed. */
  #answered = { resets: 0, resumes: 0 };
  #ending = false;
  #closed = false;
  #wake: () => void = () => undefined;

  /** Listens from now on. */
  constructor(
    private readonly qmp: Qmp,
    private readonly tasks: FollowTasks,
  ) {
    qmp.onEvent(({ event }) => {
      if (event === 'RESET') this.#resets++;
      if (event === 'RESUME') this.#resumes++;
      if (event === 'SHUTDOWN') this.#ending = true;
      if (event === 'RESET' || event === 'RESUME') this.#ending = false;
      this.#wake();
    });
    void qmp.closed.then(() => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Whether somebody has let the machine run, or reset it, since it was last programmed. */
  get disturbed(): boolean {
    return this.#resets > this.#answered.resets || this.#resumes > this.#answered.resumes;
  }

  /**
   * Stays until QEMU ends or `detach` aborts; the reset that is being answered then is answered first.
   * @throws Problem what `reprogram` throws; the machine stands stopped then
   */
  async stay(detach: AbortSignal): Promise<Left> {
    detach.addEventListener('abort', () => this.#wake());
    try {
      for (;;) {
        if (this.#closed) return this.#ending ? 'ended' : 'lost';
        if (this.#resets > this.#answered.resets) await this.again();
        else if (detach.aborted) return 'detached';
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } catch (error) {
      if (error instanceof Problem && error.code === 'qmp-lost') return this.#ending ? 'ended' : 'lost';
      throw error;
    }
  }

  /** Stops, resets and programs the machine, and lets it go on if it ran. */
  async again(): Promise<void> {
    let running = false;
    do {
      // Somebody's cont from here on starts a machine that is not programmed, whenever it comes.
      const resumes = this.#resumes;
      const status = (await this.qmp.execute('query-status')) as { readonly running?: unknown };
      running ||= status.running === true;
      await this.qmp.execute('stop');
      await this.#reset();
      this.#answered = { resets: this.#resets, resumes };
      try {
        await this.tasks.reprogram();
        // An answer comes after the events before it.
        await this.qmp.execute('query-status');
      } catch (error) {
        // It may be the disturbance that is to blame, and word of that be on its way.
        await this.qmp.execute('query-status');
        if (!this.disturbed) throw error;
      }
      running ||= this.#resumes > resumes;
    } while (this.disturbed);
    if (running) await this.qmp.execute('cont');
    this.tasks.answered();
  }

  async #reset(): Promise<void> {
    const done = this.qmp.waitFor(({ event }) => event === 'RESET');
    done.catch(() => undefined);
    const late = new AbortController();
    try {
      await this.qmp.execute('system_reset');
      const limit = sleep(RESET_MS, 'late', { signal: late.signal });
      limit.catch(() => undefined);
      if ((await Promise.race([done, limit])) === 'late') throw noReset();
      // Whoever else asked for a reset just before got it at once, and QEMU carries it out before its next answers.
      for (let turn = 0; turn < 2; turn++) await this.qmp.execute('query-status');
    } finally {
      late.abort();
    }
  }
}

const noReset = () =>
  new Problem('reset-missing', `QEMU has not reset the machine within ${RESET_MS / 1000} seconds`, {
    exit: Exit.outside,
    hint: 'with -no-reboot or -action reboot=shutdown QEMU does not reset',
  });
