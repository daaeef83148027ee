import { parseQemuArgs, valuesOf, type QemuCommandLine } from '../../qemu/args/command-line.js';
import { devicesOf } from '../../qemu/args/devices.js';
import { machineOf, memoryOf } from '../../qemu/args/machine.js';
import { Problem } from '../../problem/problem.js';
import type { LogLine } from './line.js';

/** A QEMU command in a report. */
export interface QemuCommand {
  /** `x86_64`, from the program's name or the files that it is given. */
  readonly arch?: string;
  readonly machine?: string;
  readonly properties: ReadonlyMap<string, string>;
  /** Bytes. */
  readonly ram?: bigint;
  readonly cpu?: string;
  readonly devices: readonly { readonly driver: string; readonly text: string; readonly line: LogLine }[];
  readonly lines: readonly LogLine[];
  /** The line that holds a word of the command. */
  readonly lineOf: (word: string) => LogLine | undefined;
}

const MOST_LINES = 600;
const MOST_TEXT = 0x4_0000;
/** A program and an option, or options that only QEMU has. */
const begins =
  /(?:qemu-system-[a-z0-9_]+|qemu-kvm|kvm|\$\{?\w+\}?)['"]? +.*-\w|(?:^|\s)-(?:machine|M|device|cpu|enable-kvm|drive|nographic)\b.*\s-\w+/;
const architecture = /qemu-system-([a-z0-9_]+)|\b(riscv64|aarch64|x86_64|ppc64)[-_/]/;

/** Collects commands that start QEMU: from one line, or from several that end in a backslash. */
export class QemuCommandReader {
  #lines: LogLine[] = [];
  #length = 0;
  #open = false;
  readonly commands: QemuCommand[] = [];

  take(line: LogLine): boolean {
    const text = line.text.trim();
    const continued = /\\$/.test(text);
    if (this.#open) {
      if (this.#lines.length < MOST_LINES && this.#length < MOST_TEXT) {
        this.#lines.push(line);
        this.#length += text.length;
      }
      if (!continued) this.finish();
      return true;
    }
    if (!text.includes(' -') && !text.startsWith('-')) return false;
    // An error of QEMU quotes the option that it is about: `qemu-system-x86_64: -device vfio-pci,…: …`.
    if (!begins.test(text) || /(?:qemu-system-\w+|qemu-kvm|kvm): /.test(text)) return false;
    this.#lines = [line];
    this.#length = text.length;
    this.#open = continued;
    if (!continued) this.finish();
    return true;
  }

  finish(): void {
    this.#open = false;
    if (this.#lines.length === 0) return;
    const lines = this.#lines;
    this.#lines = [];
    const command = commandFrom(lines);
    if (command && this.commands.length < 64) this.commands.push(command);
  }
}

function commandFrom(lines: readonly LogLine[]): QemuCommand | undefined {
  const text = lines.map((line) => line.text.trim().replace(/\\$/, ' ')).join(' ');
  const words = shellWords(text);
  const first = words.findIndex((word) => word.startsWith('-') && word.length > 1);
  if (first < 0) return undefined;
  const before = words.slice(0, first).findLast((word) => !word.includes('=') && word !== '$' && word !== '#');
  const command = parsed([before?.replace(/^-+/, '') || 'qemu', ...words.slice(first)]);
  if (!command) return undefined;
  const { type, properties } = machineOf(command);
  const arch = architecture.exec(text);
  const ram = quietly(() => memoryOf(command).size);
  const cpu = valuesOf(command, 'cpu').at(-1)?.value;
  const lineOf = (word: string) => lines.find((line) => line.text.includes(word));
  const found = arch?.[1] ?? arch?.[2];
  return {
    ...(found === undefined ? {} : { arch: found }),
    ...(type === undefined ? {} : { machine: type }),
    properties,
    ...(ram === undefined ? {} : { ram }),
    ...(cpu === undefined ? {} : { cpu }),
    devices: (quietly(() => devicesOf(command)) ?? []).flatMap(({ driver, argument }) => {
      const value = argument.value ?? '';
      const line = lineOf(value.slice(0, 40)) ?? lines[0];
      return driver === undefined || !line ? [] : [{ driver, text: value, line }];
    }),
    lines,
    lineOf,
  };
}

function parsed(argv: readonly string[]): QemuCommandLine | undefined {
  return quietly(() => parseQemuArgs(argv)) ?? quietly(() => parseQemuArgs(argv.slice(0, -1)));
}

/** What people paste is often cut: what cannot be read is not there. */
function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** Words as a shell would cut them; nothing is expanded. */
export function shellWords(text: string): string[] {
  const words: string[] = [];
  const word = /(?:[^\s'"\\]|\\.|'[^']*'?|"(?:[^"\\]|\\.)*"?)+/g;
  for (const [found] of text.matchAll(word)) {
    words.push(
      found.replace(
        /\\(.)|'([^']*)'?|"((?:[^"\\]|\\.)*)"?/g,
        (_all, escaped?: string, single?: string, double?: string) =>
          escaped ?? single ?? (double ?? '').replace(/\\(["\\$`])/g, '$1'),
      ),
    );
  }
  return words;
}
