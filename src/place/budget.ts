/** Thrown where a search runs out of its {@link Budget}; caught in `place`, never seen by callers. */
export class OutOfBudget extends Error {
  constructor() {
    super('the search reached its limit');
    this.name = 'OutOfBudget';
  }
}

/** How much work a search may do. Counted in steps, so that the same input ends the same way on every machine. */
export class Budget {
  #left: number;
  readonly #stop: (() => boolean) | undefined;

  /** `stop` is asked now and then; once it says true the search ends. */
  constructor(steps: number, stop?: () => boolean) {
    this.#left = steps;
    this.#stop = stop;
  }

  /** @throws OutOfBudget */
  spend(): void {
    if (--this.#left < 0 || ((this.#left & 0x3ff) === 0 && this.#stop?.())) {
      this.#left = 0;
      throw new OutOfBudget();
    }
  }
}
