import { dmaMapFailure, type DmaMapFailure } from '../import/log/dma-map.js';
import { QemuCommandReader } from '../import/log/command-line.js';
import { kernelFact, type KernelBridge, type KernelFunction } from '../import/log/kernel-facts.js';
import { logLine, unquoted, type LogLine } from '../import/log/line.js';
import { LspciStateReader } from '../import/log/lspci-state.js';
import { LspciTreeReader } from '../import/log/lspci-tree.js';
import { tagsIn, type Tag } from '../import/log/markup.js';
import { LineScanner, type ScannedLine } from '../import/log/line-scanner.js';
import {
  messagesIn,
  messageWords,
  rulesOfWord,
  type Message,
  type MessageCode,
  type MessageRule,
} from '../import/log/messages/messages.js';
import { WordAutomaton } from '../import/log/word-automaton.js';
import { resourceEvent, type ResourceEvent } from '../import/log/resource-event.js';
import { mapEntry, type MapEntry } from '../import/log/resource-map.js';
import { hostFact, type HostFact } from '../import/log/window-line.js';
import { GuestTextReader } from '../import/guest-text.js';
import type { Evidence, Facts, ReadFile } from './evidence.js';

/**
 * Lines that are kept of one file: listings whole, of logs those that say something. Beyond it only lines are read that hold
 * a word of interest, and no listings; beyond twice as many none: a log that has more says the same over and over.
 */
const MOST_KEPT = 40_000;
/** Messages of one kind that are kept. */
const MOST_MESSAGES = 200;
const MOST_FACTS = 20_000;
/** Lines that only say which machine and which programs a log is of. */
const MOST_CONTEXT = 300;

/** Words of lines that are facts and not messages. */
const factWords = [
  ...[
    'BAR ',
    'VF(n) BAR',
    'bridge window',
    'PCI bridge to',
    ': reg ',
    '] type 0',
    'ROM [',
    ' resource ',
    'no compatible',
  ],
  ...['root bus resource', 'host bridge', ' -> 0x', 'clipped [', 'e820: ['],
  ...['dma_map', 'MAP_DMA', 'DmaMap', 'DMA MAP', 'IOAS_MAP', 'remapping', 'Address space limit'],
];
/** Words that tell the machine and what runs on it. */
const contextWords = [
  ...[
    'Linux version',
    'Booting Linux',
    'DMI:',
    'Hypervisor',
    'kata',
    'libvirt',
    'qemu',
    'QEMU',
    'pve',
    'proxmox',
    'Proxmox',
  ],
  ...[
    '(XEN)',
    'libxl',
    'VMware',
    'Hyper-V',
    'hv_pci',
    'cloud-hypervisor',
    'crosvm',
    'kubevirt',
    'virt-launcher',
    'arvester',
  ],
  ...[
    'x86_64',
    'aarch64',
    'arm64',
    'riscv64',
    'ppc64',
    'powerpc',
    'rockchip',
    'brcm-pcie',
    'DMAR',
    'AMD-Vi',
    'U-Boot',
    'OVMF',
  ],
  ...['Lockdown', 'write error', 'NCCL', 'CUDA', 'IOMMU', 'iommu', 'No such', 'not permitted', 'Errno', 'efi: Remove'],
];

const automaton = new WordAutomaton([...messageWords, ...factWords, ...contextWords]);
const firstFact = messageWords.length;
const firstContext = firstFact + factWords.length;

const bootStart = /^Linux version \d/;
/** `BAR 15: no space for [mem size`, and the size on the next line: mail programs break lines. */
const unclosed =
  /\[(?:mem|io|bus)\b[^\]]{0,60}$|\[(?:mem|io)\b[^\]]{0,60}\]: ?$|dma_map\w* ?\([^)]{0,80}$|Address space limit 0x[0-9a-f]+ < 0x[0-9a-f]+$/;

/** Reads one file, as bytes or line by line; what it keeps is bounded, whatever it is given. */
export class EvidenceReader {
  readonly lines: LogLine[] = [];
  readonly messages: Message[] = [];
  readonly resources: ResourceEvent[] = [];
  readonly hosts: HostFact[] = [];
  readonly functions: KernelFunction[] = [];
  readonly bridges: KernelBridge[] = [];
  readonly dma: DmaMapFailure[] = [];
  readonly tags: Tag[] = [];
  readonly map: MapEntry[] = [];
  readonly #scanner: LineScanner;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  readonly #lspci = new LspciStateReader();
  readonly #tree = new LspciTreeReader();
  readonly #commands = new QemuCommandReader();
  readonly #guest: GuestTextReader;
  readonly #counts = new Map<string, number>();
  #boot = 0;
  #context = 0;
  #passedOver = 0;
  /** A line that ends inside a bracket, to be joined with the next. */
  #open: LogLine | undefined;

  constructor(readonly file: string) {
    this.#guest = new GuestTextReader(file);
    this.#scanner = new LineScanner(automaton, (line) => this.#line(line));
  }

  /** More of the file: any piece of it. */
  pushBytes(chunk: Uint8Array): void {
    this.#scanner.push(chunk);
  }

  /** One line, without its line feed. */
  push(raw: string): void {
    this.#scanner.push(this.#encoder.encode(`${raw}\n`));
  }

  finish(): FileEvidence {
    this.#scanner.finish();
    this.#commands.finish();
    if (this.#open) this.#facts(this.#open, undefined, true);
    return {
      file: { name: this.file, lines: this.#scanner.lines, passedOver: this.#passedOver, isCapture: this.#isCapture() },
      lines: this.lines,
      messages: this.messages,
      resources: this.resources,
      hosts: this.hosts,
      functions: this.functions,
      bridges: this.bridges,
      dma: this.dma,
      lspci: this.#lspci.list(),
      regions: this.#lspci.regions,
      trees: this.#tree.functions,
      observations: this.#guest.finish(),
      commands: this.#commands.commands,
      tags: this.tags,
      map: this.map,
    };
  }

  /** By its first key: `pinbar scan` and `pinbar import` write it so. */
  #isCapture(): boolean {
    const start = this.lines.slice(0, 4).filter(({ source }) => source.line <= 4);
    return (
      start[0]?.text.trimStart().startsWith('{') === true && start.some(({ text }) => /"pinbar-capture" *:/.test(text))
    );
  }

  #line({ number, words: found, bytes, start, end }: ScannedLine) {
    const full = this.lines.length >= MOST_KEPT;
    const logged = isLogged(bytes, start, end);
    const isLog = full || logged;
    if (full && !logged) this.#passedOver++;
    // Nearly all lines of a long log.
    if (isLog && found.length === 0 && this.#open === undefined) {
      this.#guest.skip();
      return;
    }
    const rules = this.#rulesFor(found);
    const hasFacts =
      found.some((word) => word >= firstFact && word < firstContext) && this.resources.length < MOST_FACTS;
    const hasContext = found.some((word) => word >= firstContext) && this.#context < MOST_CONTEXT;
    const wanted = rules.size > 0 || hasFacts || hasContext || this.#open !== undefined;
    if ((isLog && !wanted) || this.lines.length >= 2 * MOST_KEPT) {
      this.#guest.skip();
      return;
    }
    const raw = this.#decoder.decode(bytes.subarray(start, end));
    if (isLog && !hasFacts && !hasContext && !this.#open && !mayMatch(rules, raw)) {
      this.#guest.skip();
      return;
    }
    const line = logLine(raw, { file: this.file, line: number }, this.#boot);
    const open = this.#open;
    this.#open = undefined;
    if (open)
      this.#facts(
        { ...open, text: `${open.text.replace(/=$/, '')}${open.text.endsWith('=') ? '' : ' '}${line.text}` },
        undefined,
        true,
      );
    const starts = bootStart.test(line.text);
    if (starts) this.#boot++;
    const current = starts ? { ...line, boot: this.#boot } : line;
    if (isLog) this.#guest.skip();
    else this.#listings(current, unquoted(raw));
    const taken = this.#tree.take(current) || this.#commands.take(current);
    let facts = false;
    if (!taken && (wanted || rules.size > 0)) {
      if (unclosed.test(current.text)) this.#open = current;
      else facts = this.#facts(current, rules, hasFacts || !isLog);
    }
    if (hasContext && !facts) this.#context++;
    if (!isLog || facts || taken || hasContext || this.#open) this.lines.push(current);
  }

  /** The rules that can match and have not matched too often. */
  #rulesFor(found: readonly number[]): Set<MessageRule> {
    const rules = new Set<MessageRule>();
    for (const word of found) {
      for (const rule of rulesOfWord[word] ?? []) {
        if ((this.#counts.get(rule.code) ?? 0) < MOST_MESSAGES) rules.add(rule);
      }
    }
    return rules;
  }

  #listings(line: LogLine, raw: string) {
    this.#guest.push(raw);
    this.#lspci.take(line);
    if (line.text.includes('<') && line.text.includes('>')) keep(this.tags, tagsIn(line));
    const entry = line.text.includes(' : ') ? mapEntry(line) : undefined;
    if (entry) keep(this.map, [entry]);
  }

  /** Whether the line gave any. `rules`: those that can match; all where it is left open. */
  #facts(line: LogLine, rules: Set<MessageRule> | undefined, mayBeFact: boolean): boolean {
    const event = mayBeFact ? resourceEvent(line) : undefined;
    const host = mayBeFact ? hostFact(line) : undefined;
    const fact = mayBeFact ? kernelFact(line) : undefined;
    const dma = mayBeFact ? dmaMapFailure(line) : undefined;
    if (event) keep(this.resources, [event]);
    if (host) keep(this.hosts, [host]);
    if (fact?.kind === 'function') keep(this.functions, [fact]);
    else if (fact) keep(this.bridges, [fact]);
    if (dma) keep(this.dma, [dma]);
    const messages = rules?.size === 0 ? [] : messagesIn(line, rules);
    for (const message of messages) {
      this.#counts.set(message.code, (this.#counts.get(message.code) ?? 0) + 1);
      this.messages.push(message);
    }
    return messages.length > 0 || [event, host, fact, dma].some((one) => one !== undefined);
  }
}

/** Whether any of the rules can match the line once loggers' prefixes are off: most lines with a word of a rule match none. */
function mayMatch(rules: ReadonlySet<MessageRule>, raw: string): boolean {
  if (raw.includes('\x1b')) return true;
  for (const { pattern } of rules) {
    if (pattern.source.startsWith('^') || pattern.test(raw)) return true;
  }
  return false;
}

const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 48 && byte <= 57;
const isCapital = (byte: number | undefined) => byte !== undefined && byte >= 65 && byte <= 90;

/**
 * Whether a line begins as loggers begin theirs: `[    1.234567]`, `<6>[`, `2024-12-06T09`, `Dec  6 09:04`, `[Tue Aug`. Of
 * such lines only those are read that hold a word of {@link automaton}.
 */
function isLogged(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start < 2) return false;
  const first = bytes[start];
  const second = bytes[start + 1];
  if (first === 91) return second === 32 || isDigit(second) || isCapital(second);
  if (first === 60) return isDigit(second);
  if (end - start < 10) return false;
  const at = (index: number) => bytes[start + index];
  if (isDigit(first)) return at(4) === 45 && at(7) === 45 && isDigit(at(3)) && isDigit(at(5));
  return isCapital(first) && at(3) === 32 && at(6) === 32 && at(9) === 58 && isDigit(at(5));
}

function keep<T>(list: T[], found: readonly T[]) {
  if (list.length < MOST_FACTS) list.push(...found);
}

/** What one file holds. */
export interface FileEvidence extends Facts {
  readonly file: ReadFile;
  readonly lines: readonly LogLine[];
  readonly messages: readonly Message[];
}

/** Puts what several files hold together. */
export function gather(parts: readonly FileEvidence[]): Evidence {
  const messages = new Map<MessageCode, Message[]>();
  const byPlace = new Map<string, LogLine>();
  for (const part of parts) {
    for (const message of part.messages) {
      const code = message.code as MessageCode;
      const known = messages.get(code);
      if (known) known.push(message);
      else messages.set(code, [message]);
    }
    for (const line of part.lines) byPlace.set(`${line.source.line} ${line.source.file}`, line);
  }
  return {
    files: parts.map(({ file }) => file),
    messages,
    resources: parts.flatMap((part) => part.resources),
    hosts: parts.flatMap((part) => part.hosts),
    functions: parts.flatMap((part) => part.functions),
    bridges: parts.flatMap((part) => part.bridges),
    dma: parts.flatMap((part) => part.dma),
    lspci: parts.flatMap((part) => part.lspci),
    regions: parts.flatMap((part) => part.regions),
    trees: parts.flatMap((part) => part.trees),
    observations: parts.flatMap((part) => part.observations),
    commands: parts.flatMap((part) => part.commands),
    tags: parts.flatMap((part) => part.tags),
    map: parts.flatMap((part) => part.map),
    lines: parts.flatMap((part) => part.lines),
    lineAt: ({ file, line }) => byPlace.get(`${line} ${file}`),
  };
}
