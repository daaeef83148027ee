import type { Duplex } from 'node:stream';

/** The far end of a line protocol: collects the lines that arrive, and sends what it is told to. */
export class Peer {
  readonly lines: string[] = [];
  #text = '';
  #wake: () => void = () => undefined;

  constructor(readonly stream: Duplex) {
    stream.setEncoding('utf8');
    stream.on('error', () => undefined);
    stream.on('data', (chunk: string) => {
      const parts = (this.#text + chunk).split('\n');
      this.#text = parts.pop() ?? '';
      this.lines.push(...parts);
      this.#wake();
    });
  }

  /** The first `count` lines, once so many have come. */
  async first(count: number): Promise<string[]> {
    while (this.lines.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.lines.slice(0, count);
  }

  send(...lines: string[]): void {
    this.stream.write(lines.map((line) => `${line}\n`).join(''));
  }
}

/** Runs what is waiting: promises and stream events. */
export const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

/** A rejection's Problem code, or `resolved`. */
export const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: string }).code ?? String(error),
  );
