import { Session, type Profiler } from 'node:inspector';

/** Which blocks of this program have run, by V8's own counts: an input that reaches a new one is worth changing further. */
export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** How many blocks ran since the last time that had never run before. */
  fresh(): number {
    let found = 0;
    for (const { url, functions } of this.#take()) {
      if (!url.startsWith('file:')) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          // Once, a few times and often are three things: loops are reached, not only blocks.
          const key = `${startOffset}-${endOffset} ${Math.min(4, Math.ceil(Math.log2(count + 1)))}`;
          if (count === 0 || this.#seen.has(key)) continue;
          this.#seen.add(key);
          found++;
        }
      }
    }
    return found;
  }

  get size(): number {
    return this.#seen.size;
  }

  #take(): Profiler.ScriptCoverage[] {
    let result: Profiler.ScriptCoverage[] = [];
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (!error) result = answer.result;
    });
    return result;
  }
}
