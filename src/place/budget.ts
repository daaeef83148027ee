/** Thrown where a search runs out of its {@link Budget}; caught in `src/place`, never seen by callers. */
export class OutOfBudget extends Error {
  /** `whole`: all work that may be done has been done, not only what one attempt may do. */
  constructor(readonly whole: boolean) {
    super('the search reached its limit');
    this.name = 'OutOfBudget';
  }
}

/** How much work a search may do. Counted in steps, so that the same input ends the same way on every machine. */
export class Budget {
  #left: number;
  /** What the present attempt may still spend. */
  #share = Infinity;
  #asked = 0;
  readonly #stop: (() => boolean) | undefined;

  /** `stop` is asked now and then; once it says true the search ends. */
  constructor(steps: number, stop?: () => boolean) {
    this.#left = steps;
    this.#stop = stop;
  }

  /** @throws OutOfBudget */
  spend(steps = 1): void {
    this.#left -= steps;
    if (this.#left < 0 || ((++this.#asked & 0x3ff) === 0 && this.#stop?.())) {
      this.#left = 0;
      throw new OutOfBudget(true);
    }
    this.#share -= steps;
    if (this.#share < 0) throw new OutOfBudget(false);
  }

  /**
   * Runs `work` with at most `steps` of what is left. Undefined where that was not enough.
   * @throws OutOfBudget where the whole budget was not enough
   */
  attempt<T>(steps: number, work: () => T): T | undefined {
    this.#share = steps;
    try {
      return work();
    } catch (error) {
      if (error instanceof OutOfBudget && !error.whole) return undefined;
      throw error;
    } finally {
      this.#share = Infinity;
    }
  }
}
