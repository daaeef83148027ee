import { constants } from 'node:os';
import { Problem, Exit } from '../../problem/problem.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Signals by which pinbar is told to leave a machine that is not its own: what is under way is finished or undone first. */
export class LeaveSignals {
  readonly #asked = new AbortController();
  #last: NodeJS.Signals | undefined;
  #interrupted: Problem | undefined;
  #onInterrupt: ((reason: Problem) => void) | undefined;
  readonly #handler: (signal: NodeJS.Signals) => void;

  constructor() {
    this.#handler = (signal) => {
      this.#last = signal;
      if (this.#onInterrupt) {
        this.#interrupted ??= new Problem('interrupted', `${signal} came`, { exit: Exit.outside });
        this.#onInterrupt(this.#interrupted);
      }
      this.#asked.abort();
    };
    for (const signal of SIGNALS) process.on(signal, this.#handler);
  }

  /** Aborts with the first signal. */
  get asked(): AbortSignal {
    return this.#asked.signal;
  }

  /** Has `interrupt` called at a signal, from now on; undefined: a signal waits. */
  onInterrupt(interrupt: ((reason: Problem) => void) | undefined): void {
    this.#onInterrupt = interrupt;
  }

  /** What `interrupt` was called with. */
  get interrupted(): Problem | undefined {
    return this.#interrupted;
  }

  get last(): NodeJS.Signals | undefined {
    return this.#last;
  }

  get exitCode(): number {
    return this.#last ? 128 + constants.signals[this.#last] : Exit.outside;
  }

  end(): void {
    for (const signal of SIGNALS) process.off(signal, this.#handler);
  }
}
