import type { Output } from './io.js';
import { printableLines } from './render/printable.js';

/** How long a stage may take before it is announced. */
const PATIENCE_MS = 1000;

/**
 * Says on standard error what is being done, once it takes longer than a second; with `all` every stage, with the time
 * since the start.
 */
export class Progress {
  readonly #start = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly output: Output,
    private readonly all: boolean,
  ) {}

  stage(text: string, last = false): void {
    clearTimeout(this.#timer);
    if (this.all) {
      this.line(`${(performance.now() - this.#start).toFixed(0).padStart(6)} ms  ${text}`);
    } else if (!last) {
      this.#timer = setTimeout(() => this.line(`${text} …`), PATIENCE_MS);
      this.#timer.unref();
    }
  }

  /** A line of its own, also on a terminal that the guest's console has in raw mode. */
  line(text: string): void {
    const end = this.output.isTTY ? '\r\n' : '\n';
    this.output.write(`pinbar: ${printableLines(text).replaceAll('\n', end)}${end}`);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
