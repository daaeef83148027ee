import { Exit, Problem } from '../../problem/problem.js';
import type { Mismatch } from '../../program/program.js';
import type { FirmwareSide } from './side.js';

/** Milliseconds between two looks for the driver's call, as long as it may be expected, and later. */
const SOON = 10;
const LATER = 250;
/** How long the call is expected: an emulated machine that is busy takes that long to enumerate PCI. */
const EXPECTED = 120_000;
/** How often it is asked whether the pins hold. */
const ASK = 1000;
/**
 * How long they may not hold before they are said to be moved. The driver calls some time after firmware has enumerated:
 * where all is slow, as long as it took until then is allowed twice.
 */
const MOVED = 5000;
const MOVED_BEFORE_CALL = 10_000;
/** How long it is looked whether they hold once the driver has called. */
const AFTER_CALL = 60_000;

export interface WatchReport {
  readonly notice: (text: string) => void;
  /** End the machine where firmware has moved what is pinned. */
  readonly strict: boolean;
  /** Runs something while the machine stands still. */
  readonly stopped: <T>(work: () => Promise<T>) => Promise<T>;
  /** What the registers hold that was not programmed. */
  readonly verify: () => Promise<readonly Mismatch[]>;
}

/**
 * Watches over the firmware's part of each boot: answers pinbar's driver when it calls, and where it does not, finds out that
 * the pins do not hold.
 */
export class FirmwareWatch {
  /** Rejects with what went wrong, in strict mode with Problem `pins-moved`; never resolves. */
  readonly failed: Promise<never>;
  #fail!: (error: unknown) => void;
  #boot: Boot | undefined;

  constructor(
    private readonly side: FirmwareSide,
    private readonly report: WatchReport,
  ) {
    this.failed = new Promise((_, reject) => (this.#fail = reject));
    this.failed.catch(() => undefined);
  }

  /** The machine starts, or starts again. */
  begin(): void {
    const boot = new Boot();
    this.#boot = boot;
    boot.work = this.#watch(boot).catch((error: unknown) => {
      // Of a machine that has ended, or is being reset, nothing can be asked; who waits for that says so.
      if (!boot.over) this.#fail(error);
    });
  }

  /**
   * The guest has stopped: what is being done is waited for, and the pins are looked at, if that was not done before.
   * To be awaited before the machine is reset.
   */
  async end(): Promise<void> {
    const boot = this.#boot;
    this.#boot = undefined;
    if (!boot) return;
    boot.end();
    await boot.work;
    if (!boot.judged) await this.#judge(boot);
  }

  async #watch(boot: Boot): Promise<void> {
    const { driver, name } = this.side.firmware;
    const began = Date.now();
    let asked = began;
    let called = Infinity;
    let moved: number | undefined;
    while (!boot.over) {
      const now = Date.now();
      if (!boot.called && (await this.side.rung()) && (await this.side.serve())) {
        boot.called = true;
        called = now;
        moved = undefined;
        if (boot.judged) this.report.notice(`${name} has taken the plan after all`);
      } else if (now - asked >= ASK && !boot.judged) {
        asked = now;
        if (await this.side.holds()) moved = undefined;
        else moved ??= now;
        const patience = driver && !boot.called ? Math.max(MOVED_BEFORE_CALL, 2 * ((moved ?? now) - began)) : MOVED;
        if (moved !== undefined && now - moved >= patience) await this.report.stopped(() => this.#judge(boot));
      }
      if (now - called >= AFTER_CALL || (boot.judged && (boot.called || !driver))) return;
      await boot.pause(driver && !boot.called ? (now - began < EXPECTED && !boot.judged ? SOON : LATER) : ASK);
    }
  }

  /** Says which firmware has moved what, if it has. The machine stands still. */
  async #judge(boot: Boot): Promise<void> {
    boot.judged = true;
    const moved = this.side.pinned(await this.report.verify());
    if (moved.length === 0) return;
    const problem = pinsMoved(await this.side.describe(), this.side, boot.called, moved);
    if (this.report.strict) this.#fail(problem);
    else this.report.notice(problem.hint ? `${problem.message}\n  ${problem.hint}` : problem.message);
  }
}

/** One start of the machine. */
class Boot {
  over = false;
  called = false;
  judged = false;
  work: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;

  end(): void {
    this.over = true;
    this.#wake();
  }

  /** Waits so long, or until the boot is over. */
  async pause(milliseconds: number): Promise<void> {
    if (this.over) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

function pinsMoved(
  name: string,
  { firmware: { driver } }: FirmwareSide,
  called: boolean,
  moved: readonly Mismatch[],
): Problem {
  const values = moved
    .slice(0, 20)
    .map(
      ({ id, at, what, wrote, read }) =>
        `  ${id} (${at}) ${what}: 0x${wrote.toString(16)} is pinned, 0x${read.toString(16)} is there`,
    );
  const who = called
    ? `the guest, or its firmware after it had taken the plan, has moved what is pinned: ${name}`
    : `the firmware has moved what is pinned: ${name}`;
  const hint = driver
    ? 'it did not start pinbar’s UEFI driver: firmware with Secure Boot takes no driver that it has no key for, and firmware that is not EDK2 may take none'
    : 'EDK2 with pinbar’s driver keeps pins; with -kernel and no firmware there is nothing that moves them';
  return new Problem('pins-moved', [who, ...values].join('\n'), {
    exit: Exit.outside,
    ...(called ? {} : { hint }),
    facts: { firmware: name, moved },
  });
}
