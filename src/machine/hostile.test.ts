import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { head, mistakes, withFunctions } from '../../test/support/machine-mistakes.js';
import { Problem, Problems } from '../problem/problem.js';
import { loadMachine, machineFrom, MAX_MACHINE_FILE, MAX_YAML } from './load.js';
import { eachFunction } from './model.js';

describe('hostile input', () => {
  it('a list as a key is an unknown key, and the YAML parser prints nothing', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    expect(await mistakes('? [a, b]\n: 1\n')).toContain('1:1 machine-schema: [ a, b ]: pinbar does not know this key');
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  const nested = (depth: number) => {
    let functions: unknown[] = [];
    for (let i = 0; i < depth; i++)
      functions = [{ id: `b${i}`, slot: '0.0', bridge: { kind: 'root-port', functions } }];
    return {
      pinbar: 1,
      machine: { arch: 'aarch64', board: 'virt', ram: '1GiB' },
      hostBridges: [{ id: 'h', functions }],
    };
  };

  it.each([
    ['brackets in YAML', `a: ${'['.repeat(100_000)}`],
    ['closed brackets in YAML', `a: ${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['sequences in one line', `${'- '.repeat(10_000)}a`],
    ['maps, each deeper', Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['brackets in JSON', `{"pinbar":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['bridges in JSON', JSON.stringify(nested(1000))],
  ])('too deep: %s', async (_, text) => {
    expect(await mistakes(text)).toEqual([expect.stringMatching(/^\d+:\d+ machine-too-deep: .* levels deep$/)]);
  });

  it('a value that is too deep, or holds itself, is refused as well', () => {
    const circle: unknown[] = [];
    circle.push(circle);
    for (const value of [nested(1000), { pinbar: circle }]) {
      expect(() => machineFrom(value, 'a value')).toThrow(
        expect.objectContaining({ code: 'machine-too-deep' }) as Error,
      );
    }
  });

  it('all the bridges that a segment has buses for are not too deep', async () => {
    const machine = await loadMachine(JSON.stringify(nested(255)), 'm.json');
    expect([...eachFunction(machine.hostBridges[0]?.functions ?? [])]).toHaveLength(255);
  });

  it('aliases do not multiply', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const bomb = names
      .map(
        (name, i) =>
          `${name}: &${name} [${Array(9)
            .fill(i === 0 ? 'x' : `*${names[i - 1] ?? ''}`)
            .join(', ')}]`,
      )
      .join('\n');
    expect(await mistakes(bomb)).toEqual([
      '-:- machine-too-large: aliases stand for more than 256 times what they name',
    ]);
  });

  it('a few aliases are fine', async () => {
    const text = withFunctions(
      '      - { id: a, slot: "1.0", bars: &bars [{ index: 0, type: io, size: 4 }] }\n      - { id: b, slot: "2.0", bars: *bars }\n',
    );
    expect((await loadMachine(text, 'm')).hostBridges[0]?.functions[1]?.bars).toHaveLength(1);
  });

  it('a file that is too large is refused unread', async () => {
    expect(await mistakes(`#${' '.repeat(MAX_YAML)}`)).toEqual([
      '-:- machine-too-large: m.yaml has 1048577 characters; a machine file in YAML has at most 1048576',
    ]);
    expect(await mistakes(`{${' '.repeat(MAX_MACHINE_FILE)}`)).toEqual([expect.stringContaining('machine-too-large')]);
  });

  it('large JSON is read, and its mistakes are told without a line', async () => {
    const functions = Array.from({ length: 20_000 }, (_, i) => ({
      id: `function-number-${i}-of-a-large-machine`,
      slot: '0.0',
      bridge: { kind: 'root-port' },
    }));
    const text = JSON.stringify({
      pinbar: 1,
      machine: { arch: 'aarch64', board: 'virt', ram: '1GiB' },
      hostBridges: functions.map((fn, i) => ({ id: `h${i}`, windows: [], functions: [fn] })),
    });
    expect(text.length).toBeGreaterThan(MAX_YAML);
    expect((await loadMachine(text, 'm.yaml')).hostBridges).toHaveLength(20_000);
    expect(await mistakes(text.replace('"0.0"', '0'))).toEqual([
      '-:- machine-schema: hostBridges[0].functions[0].slot: 0 is a number, not a slot: put it in quotes, such as "1.0"',
    ]);
    expect(await mistakes(text.replace('"slot"', '"id":"x","slot"'))).toEqual([
      '-:- machine-syntax: a key is given twice in one object',
    ]);
    expect(await mistakes(`${text}]`)).toEqual([expect.stringMatching(/^-:- machine-syntax: not valid JSON: /)]);
  });

  it('of many mistakes the first fifty are told', async () => {
    const found = await mistakes(`${head}reserved:\n${'  - { base: 0, size: 0 }\n'.repeat(200)}`);
    expect(found).toHaveLength(51);
    expect(found.at(-1)).toBe('54:5 machine-problems: there are 150 more mistakes from here on');
  });

  it('a key of the language is a key like any other', async () => {
    const text = '{"__proto__": {"x": 1}, "pinbar": 1, "machine": {"arch": "aarch64"}}';
    expect(await mistakes(text)).toEqual(['1:2 machine-schema: __proto__: pinbar does not know this key']);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  it('any text is a machine or a Problem with a place', async () => {
    const piece = fc.constantFrom(
      ...[
        'pinbar: 1',
        'machine:',
        '\n',
        '  ',
        '- ',
        '{',
        '}',
        '[',
        ']',
        '"',
        ': ',
        ',',
        'arch: aarch64',
        'board: virt',
      ],
      ...['ram: 1GiB', '&a', '*a', '!!int ', '|', '>', '#', '\t', '? ', '<<: ', 'é', '\u0000', '%YAML 1.1\n', '---\n'],
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(piece, fc.string({ maxLength: 3 })), { maxLength: 30 }).map((pieces) => pieces.join('')),
        async (text) => {
          await mistakes(text);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('any value is a machine or Problems', () => {
    const value = fc.object({
      key: fc.constantFrom('pinbar', 'machine', 'arch', 'ram', 'hostBridges', 'id', 'functions', 'slot', 'bars', 'x'),
      withBigInt: true,
      withNullPrototype: true,
      maxDepth: 5,
    });
    fc.assert(
      fc.property(value, (any) => {
        try {
          machineFrom(any, 'x');
        } catch (error) {
          expect(error instanceof Problem || error instanceof Problems).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
