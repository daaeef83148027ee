/** Exit codes of every command: done, bad input or usage, no valid plan, something outside pinbar failed. */
export const Exit = { done: 0, badInput: 1, noPlan: 2, outside: 3 } as const;
export type ExitCode = (typeof Exit)[keyof typeof Exit];

/** Where a problem was found. `line` and `column` count from 1. */
export interface Where {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
}

export interface ProblemOptions {
  /** 1 where it is left out: most problems are bad input. */
  readonly exit?: Exclude<ExitCode, 0>;
  readonly where?: Where;
  /** What to do about it: one sentence, or several. */
  readonly hint?: string;
  /** The values that the sentence was made from, for programs and tests. */
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * A failure that a person can act on. `code` is stable and kebab-case; `message` says what was found, where and why
 * it cannot work; `hint` says what to do. Anything thrown that is not a Problem is a defect of pinbar.
 */
export class Problem extends Error {
  readonly code: string;
  readonly exit: Exclude<ExitCode, 0>;
  readonly where: Where | undefined;
  readonly hint: string | undefined;
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: ProblemOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.exit = options.exit ?? Exit.badInput;
    this.where = options.where;
    this.hint = options.hint;
    this.facts = options.facts ?? {};
  }

  /** The same problem with a place added (the innermost known place wins). */
  at(where: Where): Problem {
    const merged: Where = { ...where, ...this.where };
    return new Problem(this.code, this.message, {
      exit: this.exit,
      where: merged,
      facts: this.facts,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.cause === undefined ? {} : { cause: this.cause }),
    });
  }
}

/** Several problems found in one pass (all the mistakes of one file), in the order of the input. */
export class Problems extends Error {
  constructor(readonly list: readonly Problem[]) {
    super(list.map((problem) => problem.message).join('\n'));
    this.name = 'Problems';
  }
}

/** `file:line:column`, as compilers print it, as far as it is known. */
export function formatWhere(where: Where | undefined): string {
  if (!where) return '';
  return [where.file, where.line, where.column].filter((part) => part !== undefined).join(':');
}
