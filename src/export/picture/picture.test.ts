import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { randomPlan } from '../../../test/support/random-plan.js';
import { describeWith } from '../../../test/support/tools.js';
import { exportDot } from './graphviz.js';
import { exportMarkdown } from './markdown.js';
import { exportSvg } from './svg.js';

/** Names that would end an attribute, a cell, a string. */
const nasty = oneOfEverything.replaceAll('id: gpu0', "id: 'a\"b|`c<d>&e\\'");

/** A number on a vertical line, of every rectangle in a picture. */
const boxes = (svg: string) =>
  [...svg.matchAll(/<rect class="(\S+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g)].map(
    ([, name, ...numbers]) => {
      const [x = 0, y = 0, width = 0, height = 0] = numbers.map(Number);
      return { name: name!, left: x, top: y, right: x + width, bottom: y + height };
    },
  );

describe('the address map', () => {
  it('one of everything', async () => {
    expect(exportSvg(await sourceOf(oneOfEverything)).content).toMatchSnapshot();
  });

  it('has boxes that lie in each other or beside each other, inside the picture', () => {
    fc.assert(
      fc.property(randomPlan, (plan) => {
        const svg = exportSvg({ plan, options: {} }).content as string;
        const [, width = '', height = ''] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg) ?? [];
        const list = boxes(svg).filter(({ name }) => !/^(?:scale|mark)/.test(name));
        for (const [i, a] of list.entries()) {
          expect(a.left >= 0 && a.right <= Number(width) && a.bottom <= Number(height)).toBe(true);
          for (const b of list.slice(i + 1)) {
            const apart = a.bottom <= b.top || b.bottom <= a.top;
            const inside = a.left < b.left && b.right < a.right && a.top < b.top && b.bottom < a.bottom;
            expect(apart || inside).toBe(true);
          }
        }
      }),
    );
  });

  it('shows every BAR once', async () => {
    const { plan, ...rest } = await sourceOf(oneOfEverything);
    const svg = exportSvg({ plan, ...rest }).content as string;
    const count = plan.functions.reduce(
      (sum, { bars, rom, sriov }) => sum + bars.length + (rom ? 1 : 0) + (sriov?.bars.length ?? 0),
      0,
    );
    expect(boxes(svg).filter(({ name }) => name === 'bar' || name === 'pinned')).toHaveLength(count);
  });
});

describe('the report', () => {
  it('one of everything', async () => {
    expect(exportMarkdown(await sourceOf(oneOfEverything)).content).toMatchSnapshot();
  });

  it('has rows as wide as their tables, whatever the names', async () => {
    const text = exportMarkdown(await sourceOf(nasty)).content as string;
    const widths = text
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) => line.replaceAll('\\|', '').split('|').length);
    expect(new Set(widths)).toEqual(new Set([8, 9, 5]));
    expect(text).toContain('`` a"b\\|`c<d>&e\\ ``');
  });
});

describe('the tree', () => {
  it('one of everything', async () => {
    expect(exportDot(await sourceOf(oneOfEverything)).content).toMatchSnapshot();
  });
});

describeWith('dot', 'Graphviz', () => {
  it.each([
    ['one of everything', oneOfEverything],
    ['names that would end a string', nasty],
  ])('draws %s', async (_, text) => {
    const source = await sourceOf(text);
    const { stdout, stderr, status } = spawnSync('dot', ['-Tplain'], {
      input: exportDot(source).content,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const lines = stdout.split('\n');
    expect(lines.filter((line) => line.startsWith('node '))).toHaveLength(source.plan.functions.length + 1);
    expect(lines.filter((line) => line.startsWith('edge '))).toHaveLength(source.plan.functions.length);
  });
});

describeWith('xmllint', 'xmllint', () => {
  it.each([
    ['one of everything', oneOfEverything],
    ['names that would end an attribute', nasty],
  ])('reads the map of %s', async (_, text) => {
    const { stderr, status } = spawnSync('xmllint', ['--noout', '-'], {
      input: exportSvg(await sourceOf(text)).content,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});
