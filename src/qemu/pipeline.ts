import type { Duplex } from 'node:stream';
import { Exit, Problem } from '../problem/problem.js';

/** Commands that are written at once: enough to fill the pipe, small enough for its buffers. */
const CHUNK = 512;

/** Commands that were sent together, and what has come back so far: one promise for all, not thousands. */
interface Exchange {
  readonly commands: readonly string[];
  readonly answers: string[];
  /** The first answer that was a refusal. */
  refusal: Problem | undefined;
  readonly resolve: (answers: readonly string[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What a protocol of commands and answers is made of. */
export interface Protocol {
  /** What it is called, in messages and problem codes: `qtest`, `gdb`. */
  readonly name: string;
  /** Commands as they go over the wire, one after another. Latin-1: a character is a byte. */
  readonly encode: (commands: readonly string[]) => string;
  /** Takes bytes as they come and calls `answer` for each answer. What it throws ends the connection. */
  readonly decoder: (answer: (text: string) => void) => { push(chunk: Buffer): void };
  /** The problem that an answer stands for; undefined where it is none. */
  readonly refusal: (command: string, answer: string) => Problem | undefined;
  /** Milliseconds without a byte after which an answer that is owed counts as lost; undefined: it may take for ever. */
  readonly patience?: number | undefined;
}

/** A connection on which every command has one answer, strictly in order, so that commands are sent without waiting. */
export class Pipeline {
  /** In the order in which they were sent; the first has an answer outstanding. */
  #exchanges: Exchange[] = [];
  #lost: Problem | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  constructor(
    private readonly stream: Duplex,
    private readonly protocol: Protocol,
  ) {
    this.closed = new Promise((resolve) => stream.once('close', () => resolve()));
    const decoder = protocol.decoder((text) => this.#answer(text));
    stream.on('data', (chunk: Buffer) => {
      this.#wait();
      try {
        decoder.push(chunk);
      } catch (error) {
        this.#lose(error instanceof Error ? error.message : String(error));
        stream.destroy();
      }
    });
    stream.on('error', (error) => this.#lose(error.message));
    stream.on('end', () => this.#lose('QEMU closed it'));
    stream.on('close', () => this.#lose('it was closed'));
  }

  /** Resolves with one answer per command. Rejects with the first refusal, once all are answered, or when the connection is lost. */
  send(commands: readonly string[]): Promise<readonly string[]> {
    if (this.#lost) return Promise.reject(this.#lost);
    if (commands.length === 0) return Promise.resolve([]);
    const all = new Promise<readonly string[]>((resolve, reject) => {
      this.#exchanges.push({ commands, answers: [], refusal: undefined, resolve, reject });
    });
    for (let from = 0; from < commands.length; from += CHUNK) {
      this.stream.write(this.protocol.encode(commands.slice(from, from + CHUNK)), 'latin1');
    }
    this.#wait();
    return all;
  }

  close(): void {
    this.stream.destroy();
  }

  /** An answer that is none of the protocol's. */
  stray(answer: string): Problem {
    const { name } = this.protocol;
    return new Problem(`${name}-answer`, `QEMU's ${name} server gave an answer that does not fit: ${clip(answer)}`, {
      exit: Exit.outside,
    });
  }

  #answer(text: string): void {
    const [exchange] = this.#exchanges;
    if (!exchange) {
      // After one stray answer every later caller would get a stranger's: the connection is of no use any more.
      this.#lose(`an answer that belongs to no command: ${clip(text)}`);
      this.stream.destroy();
      return;
    }
    const { commands, answers, resolve, reject } = exchange;
    exchange.refusal ??= this.protocol.refusal(commands[answers.length] ?? '', text);
    answers.push(text);
    if (answers.length < commands.length) return;
    this.#exchanges.shift();
    if (this.#exchanges.length === 0) clearTimeout(this.#timer);
    if (exchange.refusal) reject(exchange.refusal);
    else resolve(answers);
  }

  /** From now on, an answer that is owed may take its time. */
  #wait(): void {
    const { patience } = this.protocol;
    if (patience === undefined) return;
    clearTimeout(this.#timer);
    if (this.#exchanges.length === 0) return;
    this.#timer = setTimeout(() => {
      this.#lose(`no answer for ${patience / 1000} seconds`);
      this.stream.destroy();
    }, patience);
  }

  #lose(why: string): void {
    clearTimeout(this.#timer);
    const { name } = this.protocol;
    this.#lost ??= new Problem(`${name}-lost`, `the ${name} connection to QEMU was lost (${why})`, {
      exit: Exit.outside,
    });
    const exchanges = this.#exchanges;
    this.#exchanges = [];
    for (const { reject } of exchanges) reject(this.#lost);
  }
}

const clip = (text: string) => text.slice(0, 80);
