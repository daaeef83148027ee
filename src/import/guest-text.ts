import { Problem } from '../problem/problem.js';
import { DmesgReader } from './dmesg.js';
import { cleanLine, linesOf, type GuestLine } from './lines.js';
import { HwlocReader } from './hwloc.js';
import { IommuGroupsReader } from './iommu-groups.js';
import { LspciReader } from './lspci/lspci.js';
import { LspciTreeReader } from './lspci/tree.js';
import { MOST_FUNCTIONS, type Observation } from './observation.js';
import { ProcResourcesReader } from './proc-resources.js';
import { emptyObservation, type ListingReader } from './reader.js';
import { SysfsReader } from './sysfs/reader.js';

/** Characters of one text that are read: a console log of many boots fits many times over. */
export const MAX_GUEST_TEXT = 64 * 1024 * 1024;

/** Of a log with more boots than this gives, the first ones are dropped. */
const MOST_OBSERVATIONS = 512;

/**
 * Reads a text that came from a guest, line by line, and finds the listings in it by their content: lspci, sysfs
 * `resource` files, /proc/iomem and /proc/ioports, and the kernel's log, any of them one after another, over several
 * boots. Lines that belong to none are passed over.
 */
export class GuestTextReader {
  readonly #readers: readonly ListingReader[];
  readonly #boots = new BootCounter();
  readonly #found: Observation[] = [];
  #taken = false;
  #functions = 0;
  #line = 0;

  /** `file`: the name to cite; where it ends in `SSSS:BB:DD.F/resource` it also says whose resources it holds. */
  constructor(readonly file: string) {
    // The kernel's log first: it may break into any other listing on a console.
    this.#readers = [
      new DmesgReader(file),
      new IommuGroupsReader(file),
      new SysfsReader(file),
      new ProcResourcesReader(file),
      new LspciReader(file),
      new LspciTreeReader(file),
      new HwlocReader(file),
    ];
  }

  /** Words of which one is in every line that counts while the reader is {@link idle}. */
  get openers(): string[] {
    return [...new Set(this.#readers.flatMap(({ openers }) => openers))];
  }

  /** Whether no listing is open: nearly always, in a long log. */
  get idle(): boolean {
    return this.#readers.every(({ idle }) => idle);
  }

  /** One line, without its line feed. */
  push(raw: string): void {
    const line = cleanLine(raw, { file: this.file, line: ++this.#line });
    if (this.#boots.startsWith(line)) {
      this.#flush(this.#boots.count);
      this.#boots.count++;
    }
    for (const reader of this.#readers) {
      if (!reader.take(line)) continue;
      this.#taken = true;
      return;
    }
  }

  /** Passes over a line that the caller knows to be of no interest here. */
  skip(): void {
    this.#line++;
  }

  /** Everything that was found, in the order of boots, then of kinds. */
  finish(): Observation[] {
    this.#flush(this.#boots.count);
    return this.#found;
  }

  #flush(boot: number) {
    const found = this.#taken ? this.#readers.flatMap((reader) => reader.finish(boot)) : [];
    this.#taken = false;
    // A boot that shows nothing is told from one that did not happen.
    if (found.length === 0 && boot > 0) found.push({ ...emptyObservation, kind: 'dmesg', file: this.file, boot });
    for (const seen of found) {
      this.#found.push(seen);
      this.#functions += seen.functions.length;
    }
    if (this.#found.length > 2 * MOST_OBSERVATIONS || this.#functions > 8 * MOST_FUNCTIONS) this.#forgetFirst();
  }

  #forgetFirst() {
    let kept = 0;
    let from = this.#found.length;
    while (from > 0 && this.#found.length - from < MOST_OBSERVATIONS) {
      const functions = this.#found[from - 1]?.functions.length ?? 0;
      if (kept > 0 && kept + functions > 4 * MOST_FUNCTIONS) break;
      kept += functions;
      from--;
    }
    this.#found.splice(0, from);
    this.#functions = kept;
  }
}

/**
 * Reads a whole text as {@link GuestTextReader} does.
 * @throws Problem `guest-text-too-large`
 */
export function readGuestText(file: string, text: string): Observation[] {
  if (text.length > MAX_GUEST_TEXT) {
    throw new Problem(
      'guest-text-too-large',
      `${file} holds ${text.length} characters; at most ${MAX_GUEST_TEXT} are read`,
      {
        where: { file },
        hint: 'cut the file to the last boot, or to the lines of lspci -vvv and the kernel lines that name pci',
        facts: { characters: text.length, limit: MAX_GUEST_TEXT },
      },
    );
  }
  const reader = new GuestTextReader(file);
  for (const line of linesOf(text)) reader.push(line);
  return reader.finish();
}

/** Counts boots by the two lines with which kernels begin; arm64 prints both, other architectures the second only. */
class BootCounter {
  count = 0;
  #first: GuestLine | undefined;
  #stamped = false;

  startsWith(line: GuestLine): boolean {
    const early = line.text.startsWith('Booting Linux on ');
    if (!early && !(line.text.startsWith('Linux version ') && /^Linux version \d/.test(line.text))) return false;
    // /proc/version in a script's output looks the same, without the time stamps that this log has.
    if (this.#stamped && line.time === undefined) return false;
    this.#stamped ||= line.time !== undefined;
    const sameBoot = !early && this.#first !== undefined;
    this.#first = early ? line : undefined;
    return !sameBoot;
  }
}
