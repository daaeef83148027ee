/**
 * A minimal part of `all` that is impossible, where all of it is and `impossible` never becomes false when something is
 * added. QuickXplain (Junker, AAAI 2004): the number of questions grows with the size of the answer, and only with the
 * logarithm of the number of parts. Empty where nothing at all is impossible already.
 */
export function quickXplain<T>(all: readonly T[], impossible: (some: readonly T[]) => boolean): readonly T[] {
  const explain = (given: readonly T[], grown: boolean, rest: readonly T[]): readonly T[] => {
    if (grown && impossible(given)) return [];
    if (rest.length <= 1) return rest;
    const half = rest.length >> 1;
    const [first, second] = [rest.slice(0, half), rest.slice(half)];
    const fromSecond = explain([...given, ...first], first.length > 0, second);
    const fromFirst = explain([...given, ...fromSecond], fromSecond.length > 0, first);
    return [...fromFirst, ...fromSecond];
  };
  return impossible([]) ? [] : explain([], false, all);
}
