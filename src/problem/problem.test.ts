import { describe, expect, it } from 'vitest';
import { nearest, suggest } from './nearest.js';
import { Exit, Problem, Problems, formatWhere } from './problem.js';

describe('a problem', () => {
  it('is bad input unless it says otherwise', () => {
    const problem = new Problem('a-code', 'A sentence.');
    expect(problem).toMatchObject({ code: 'a-code', message: 'A sentence.', exit: Exit.badInput, facts: {} });
    expect([problem.hint, problem.where, problem.cause]).toEqual([undefined, undefined, undefined]);
    expect(new Problem('x', 'x', { exit: Exit.outside }).exit).toBe(3);
  });

  it('keeps everything when a place is added, and the innermost place wins', () => {
    const cause = new Error('why');
    const inner = new Problem('x', 'x', { exit: 2, hint: 'h', facts: { a: 1 }, cause, where: { line: 3 } });
    expect(inner.at({ file: 'f', line: 9, column: 1 })).toMatchObject({
      exit: 2,
      hint: 'h',
      facts: { a: 1 },
      cause,
      where: { file: 'f', line: 3, column: 1 },
    });
  });

  it.each([
    [undefined, ''],
    [{ file: 'a.yaml' }, 'a.yaml'],
    [{ file: 'a.yaml', line: 3 }, 'a.yaml:3'],
    [{ file: 'a.yaml', line: 3, column: 1 }, 'a.yaml:3:1'],
  ])('at %j is printed as compilers do', (where, text) => {
    expect(formatWhere(where)).toBe(text);
  });

  it('several have the message of each', () => {
    const both = new Problems([new Problem('a', 'one'), new Problem('b', 'two')]);
    expect(both.message).toBe('one\ntwo');
    expect(both.list.map(({ code }) => code)).toEqual(['a', 'b']);
  });
});

describe('what was meant', () => {
  it.each([
    ['dve0', ['dev0', 'dev1', 'nic0'], ['dev0', 'dev1']],
    ['nte', ['ten', 'net', 'rp1'], ['net']],
    ['DEV0', ['dev0'], ['dev0']],
    ['gpu', ['disk', 'net'], []],
    ['', ['a', 'bb'], ['a']],
    ['abcd', ['abcd1', 'abcd2', 'abcd3', 'abcd4'], ['abcd1', 'abcd2', 'abcd3']],
  ])('by %j among %j', (word, candidates, near) => {
    expect(nearest(word, candidates)).toEqual(near);
  });

  it.each([
    ['dve0', ['dev0', 'dev0'], 'did you mean dev0?'],
    ['gpu', [], 'there is no id'],
    ['gpu', ['disk', 'net'], 'the ids are disk, net'],
    [
      'gpu',
      Array.from({ length: 14 }, (_, i) => `disk${i}`),
      'the ids are disk0, disk1, disk2, disk3, disk4, disk5, disk6, disk7, disk8, disk9, disk10, disk11, and 2 more',
    ],
  ])('is said of %j among %j', (word, candidates, text) => {
    expect(suggest(word, candidates, 'id')).toBe(text);
  });

  it('is found in bounded time among many long words', () => {
    const many = Array.from({ length: 50_000 }, (_, i) => `${'x'.repeat(1000)}${i}`);
    const start = performance.now();
    expect(nearest('y'.repeat(1000), many)).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});
