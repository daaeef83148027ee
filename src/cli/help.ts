import type { Command, RouteMap } from '@stricli/core';
import type { Context } from './context.js';
import { wrap } from './render/wrap.js';

type Target = Command<Context> | RouteMap<Context>;
type HelpArguments = Parameters<Target['formatHelp']>[0];
type Accepted = Command<Context>['parameters'];

/** Lines are not longer even where the terminal is wider. */
const WIDEST = 100;
/** A name that is longer has its text on the next line. */
const LONGEST_NAME = 28;

/** What stands left, and what is said of it. */
interface Row {
  readonly name: string;
  readonly text: string;
}

/**
 * `--help` that fits a terminal of `columns` and names the value of each flag. The argument parser's own is as wide as its
 * longest row, and puts brackets around what is optional or a default.
 */
export function withHelp<T extends Target>(target: T, columns: number): T {
  const width = Math.min(columns, WIDEST);
  return { ...target, formatHelp: (args: HelpArguments) => helpOf(target, args, width) };
}

function helpOf(target: Target, args: HelpArguments, width: number): string {
  const { headers } = args.text;
  const added = args.additionalFlags.map(({ name, brief, aliases }): Row => ({
    name: flagName(aliases?.[0], name),
    text: brief,
  }));
  const sections: readonly (readonly [title: string, rows: readonly Row[]])[] =
    'parameters' in target
      ? [
          [headers.arguments, argumentRows(target.parameters)],
          [headers.flags, [...flagRows(target.parameters), ...added]],
        ]
      : [
          [
            headers.commands,
            target.getAllEntries().map(({ name, target: { brief } }) => ({ name: name.original, text: brief })),
          ],
          [headers.flags, added],
        ];
  const bold = (text: string) => (args.ansiColor ? `\x1b[1m${text}\x1b[22m` : text);
  return [
    `${bold(headers.usage)}\n${usagesOf(target, args)
      .map((line) => `  ${wrapUsage(line, width - 2)}\n`)
      .join('')}`,
    prose(target.fullDescription ?? target.brief, width),
    ...sections
      .filter(([, rows]) => rows.length > 0)
      .map(([title, rows]) => `${bold(title)}\n${linesOf(rows, width, bold)}`),
  ].join('\n');
}

/** The lines of usage that the parser would print, without those for `--help` and `--version`. */
function usagesOf(target: Target, args: HelpArguments): string[] {
  const prefix = args.prefix.join(' ');
  if (!('parameters' in target)) return [`${prefix} COMMAND ...`, `${prefix} COMMAND --help`];
  const all = target.formatHelp({ ...args, ansiColor: false, additionalFlags: [] }).split('\n');
  return all.slice(1, all.indexOf('')).map((line) => line.trim().replace(/<([^>]*)>/g, '$1'));
}

/** Not broken within brackets. */
const wrapUsage = (line: string, width: number) =>
  wrap(
    line.replace(/\[[^\]]*\]/g, (option) => option.replaceAll(' ', '\u00a0')),
    width,
    '      ',
  ).replaceAll('\u00a0', ' ');

/** Paragraphs, wrapped; an indented line stays as it is. */
function prose(text: string, width: number): string {
  const blocks = text.split(/\n(?=\n| )|\n\n/);
  return (
    blocks.map((block) => (block.startsWith(' ') ? block : wrap(block.replaceAll('\n', ' '), width))).join('\n') + '\n'
  );
}

function flagRows({ flags = {}, aliases = {} }: Accepted): Row[] {
  return Object.entries(flags).map(([name, flag]) => {
    const letter = Object.keys(aliases).find((one) => aliases[one as keyof typeof aliases] === name);
    const row = (long: string, value?: string): Row => ({
      name: value === undefined ? flagName(letter, long) : `${flagName(letter, long)} ${value}`,
      text: flag.brief,
    });
    if (flag.kind === 'boolean') return row(flag.default === true ? `no-${kebab(name)}` : name);
    if (flag.kind === 'counter') return row(name);
    const { text, ...rest } = row(name, flag.kind === 'enum' ? flag.values.join('|') : (flag.placeholder ?? 'VALUE'));
    const facts = [
      ...('variadic' in flag && flag.variadic ? ['can be repeated'] : []),
      ...(typeof flag.default === 'string' ? [`default: ${flag.default}`] : []),
    ];
    return { ...rest, text: facts.length > 0 ? `${text} (${facts.join(', ')})` : text };
  });
}

function argumentRows({ positional }: Accepted): Row[] {
  if (!positional) return [];
  const all = positional.kind === 'array' ? [positional.parameter] : positional.parameters;
  return all.map(({ placeholder = '', brief }) => ({
    name: positional.kind === 'array' ? `${placeholder}...` : placeholder,
    text: brief,
  }));
}

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const flagName = (letter: string | undefined, name: string) =>
  `${letter === undefined ? '   ' : `-${letter},`} --${kebab(name)}`;

function linesOf(rows: readonly Row[], width: number, bold: (text: string) => string): string {
  const names = Math.max(...rows.map(({ name }) => name.length).filter((length) => length <= LONGEST_NAME));
  const indent = ' '.repeat(names + 4);
  return rows
    .flatMap(({ name, text }) => {
      const said = wrap(text, width - indent.length).split('\n');
      const beside = name.length <= names ? ' '.repeat(names - name.length + 2) + (said.shift() ?? '') : '';
      return [`  ${bold(name)}${beside}\n`, ...said.map((line) => `${indent}${line}\n`)];
    })
    .join('');
}
