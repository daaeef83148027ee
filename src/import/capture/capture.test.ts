import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ConfigBytes } from '../../pci/config-bytes.js';
import { Problem, Problems } from '../../problem/problem.js';
import { configFromLines, configToLines } from './config-text.js';
import { formatJson } from './json-text.js';
import { captureFrom, loadCapture, looksLikeCapture } from './load.js';

const example = readFileSync('examples/switch-host.capture.json', 'utf8');
const failing = async (text: string): Promise<readonly Problem[]> => {
  try {
    await loadCapture(text, 'x.json');
  } catch (error) {
    if (error instanceof Problems) return error.list;
    if (error instanceof Problem) return [error];
    throw error;
  }
  return [];
};

describe('config space as text', () => {
  it('comes back as it was, whatever was read of it', () => {
    const runs = fc.array(
      fc.record({
        at: fc.nat({ max: 1023 }),
        count: fc.nat({ max: 64 }),
        value: fc.option(fc.nat({ max: 0xffffffff })),
      }),
    );
    fc.assert(
      fc.property(runs, (list) => {
        const config = new ConfigBytes();
        for (const { at, count, value } of list) {
          for (let i = at; i < Math.min(1024, at + count); i++) config.set(4 * i, value ?? (i * 0x9e3779b1) >>> 0);
        }
        const lines = configToLines(config);
        expect(configFromLines(lines)?.runs()).toEqual(config.runs());
        for (const line of lines)
          expect(line).toMatch(/^[0-9a-f]{3}(?:-[0-9a-f]{3}: [0-9a-f]{2}|:(?: [0-9a-f]{2}){1,16})$/);
      }),
    );
  });

  it('says a stretch of equal bytes once, from a multiple of 16 on', () => {
    const config = ConfigBytes.of(Uint8Array.from({ length: 256 }, (_, i) => (i < 8 ? i : 0)));
    expect(configToLines(config)).toEqual(['000: 00 01 02 03 04 05 06 07 00 00 00 00 00 00 00 00', '010-0ff: 00']);
  });

  it.each(['000: 0', '000:00', '1000: 00', 'ff8: 00 00 00 00 00 00 00 00 00', '010-000: 00', '000-00f: 00 01', ''])(
    'refuses %j',
    (line) => {
      expect(configFromLines([line])).toBeNull();
    },
  );
});

describe('JSON for people', () => {
  it('is the same value, and no line is wider than it has to be', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = formatJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        for (const line of text.split('\n')) {
          // Wider is only what holds one scalar.
          if (line.length > 150)
            expect(line).toMatch(/^ *(?:"(?:[^"\\]|\\.)*": )?(?:"(?:[^"\\]|\\.)*"|[^ [\]{}]+|\[\]|\{\}),?$/);
        }
      }),
    );
  });
});

describe('a capture’s file', () => {
  it('is known by its beginning', () => {
    expect(looksLikeCapture(example)).toBe(true);
    expect(looksLikeCapture('{ "pinbar": 1, "machine": {} }')).toBe(false);
  });

  it('that is wrong is refused with line and column', async () => {
    const wrong = example.replace('"vendor": "0x144d"', '"vendor": "0x144D0"').replace('"type": "msi"', '"type": 7');
    const found = await failing(wrong);
    const line = (part: string) => wrong.slice(0, wrong.indexOf(part)).split('\n').length;
    expect(found.map(({ where }) => [where?.file, where?.line])).toEqual([
      ['x.json', line('"type": 7')],
      ['x.json', line('0x144D0')],
    ]);
    expect(found.map(({ message }) => message)).toEqual([
      'iommuGroups[0].reserved[0].type: expected a string, found 7',
      expect.stringContaining('functions[7].vendor: is not lower-case hexadecimal of at most 4 digits') as string,
    ]);
  });

  it('that was cut is refused', async () => {
    const [problem] = await failing(example.slice(0, 5000));
    expect(problem?.message).toMatch(/^not valid JSON: /);
    expect(problem?.where).toMatchObject({ file: 'x.json' });
  });

  it('that names a function twice, or a range backwards, is refused', () => {
    const value = JSON.parse(example) as { functions: { address: string; config?: string[] }[]; iomem: string[] };
    value.functions[1]!.address = value.functions[0]!.address;
    value.functions[2]!.config = ['nonsense'];
    value.iomem = ['2000-1000 : x'];
    let messages: string[] = [];
    try {
      captureFrom(value);
    } catch (error) {
      messages = (error as Problems).list.map(({ message }) => message);
    }
    expect(messages).toEqual([
      '0009:00:00.0 is described twice',
      'the config space of 0009:01:00.0 has a line that is none',
      '"2000-1000 : x" has no range',
    ]);
  });

  it('of any JSON is read or refused, never worse', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          captureFrom({ 'pinbar-capture': 1, functions: [value], hostBridges: value, iomem: value });
        } catch (error) {
          expect(error instanceof Problem || error instanceof Problems).toBe(true);
        }
      }),
    );
  });
});
