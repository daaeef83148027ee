/** Thrown where a search runs out of its {@link Budget}; caught in `src/place`, never seen by callers. */
export class OutOfBudget extends Error {
  /** `whole`: all work that may be done has been done, not only what one attempt may do. */
  constructor(readonly whole: boolean) {
    super('the search reached its limit');
    this.name = 'OutOfBudget';
  }
}

/** Steps: often enough to end within some milliseconds. */
const ASK_EVERY = 256;

/** How much work a search may do. Counted in steps, so that the same input ends the same way on every machine. */
export class Budget {
  #left: number;
  /** What the present attempt may still spend. */
  #share = Infinity;
  /** Steps since `stop` was asked. */
  #unasked = 0;
  readonly #stop: (() => boolean) | undefined;

  readonly #of: Budget | undefined;

  /** `stop` is asked now and then; once it says true the search ends. `of`: what is spent here is spent there, too. */
  constructor(steps: number, stop?: () => boolean, of?: Budget) {
    this.#left = steps;
    this.#stop = stop;
    this.#of = of;
  }

  /** Nothing is left, or nothing more may be spent. */
  get isSpent(): boolean {
    return this.#left <= 0 || (this.#stop?.() ?? false);
  }

  /** A budget of at most `steps` that is spent out of this one. */
  part(steps: number): Budget {
    return new Budget(Math.min(steps, Math.max(this.#left, 0)), this.#stop, this);
  }

  /** @throws OutOfBudget */
  spend(steps = 1): void {
    this.#left -= steps;
    if (this.#of) this.#of.#left -= steps;
    if (this.#left < 0 || this.#isStopped(steps)) {
      this.#left = 0;
      throw new OutOfBudget(true);
    }
    this.#share -= steps;
    if (this.#share < 0) throw new OutOfBudget(false);
  }

  #isStopped(steps: number): boolean {
    this.#unasked += steps;
    if (!this.#stop || this.#unasked < ASK_EVERY) return false;
    this.#unasked = 0;
    return this.#stop();
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
