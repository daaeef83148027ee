import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { NotRead, SystemTree } from '../../src/import/system/tree.js';
import type { Machine } from '../../src/machine/model.js';
import { pin } from '../../src/pin/pin.js';
import type { Plan } from '../../src/place/plan.js';
import { formatBdf, type Bdf } from '../../src/pci/bdf.js';
import { readOp } from '../../src/pci/config-access.js';
import { simulate } from '../../src/sim/simulate.js';
import { proc, resourceRows } from './guest-listings.js';

/** A file's content, or where a link leads. */
export type TreeEntry = Uint8Array | string | { readonly link: string };
export type TreeFiles = ReadonlyMap<string, TreeEntry>;

export interface SystemOptions {
  /** False: as an ordinary user's copy has it, 64 bytes of config space and addresses of zero in /proc. */
  readonly root?: boolean;
  /** Bytes that `tar` would have made of each file: sysfs says that a text has 4096. */
  readonly padded?: boolean;
}

/**
 * sysfs and procfs of a host that has the machine's functions where a plan puts them: real folders and links, config space
 * as the simulated machine has it after it was programmed, `resource` files as Linux would write them.
 */
export async function systemOf(
  machine: Machine,
  options: SystemOptions = {},
): Promise<{ plan: Plan; files: TreeFiles }> {
  const simulated = simulate(machine);
  const { plan } = await pin(simulated.access, simulated.hosts, () => machine);
  const files = new Map<string, TreeEntry>();
  const text = (path: string, content: string) =>
    files.set(
      path,
      options.padded ? Buffer.concat([Buffer.from(content), Buffer.alloc(4096 - content.length)]) : content,
    );
  const folders = new Map<string, string>();
  for (const fn of plan.functions) {
    const folder = folderOf(plan, fn.address);
    folders.set(formatBdf(fn.address), folder);
    const bridge = plan.bridges.find(({ address }) => formatBdf(address) === formatBdf(fn.address));
    text(`${folder}/resource`, `${resourceRows(fn, bridge, true).join('\n')}\n`);
    files.set(`${folder}/config`, await configOf(fn.address));
    text(`${folder}/numa_node`, '-1\n');
    text(`${folder}/driver_override`, '(null)\n');
    const link = `/sys/bus/pci/devices/${formatBdf(fn.address)}`;
    files.set(link, { link: posix.relative(dirname(link), folder) });
  }
  text('/proc/version', 'Linux version 6.12.0-test (builder@example) #1 SMP\n');
  text('/proc/cmdline', 'root=UUID=0 pci=realloc\n');
  const map = (space: 'io' | 'memory') => {
    const lines = proc(plan, space);
    return options.root === false
      ? lines.replace(/[0-9a-f]+-[0-9a-f]+ :/g, (range) => range.replace(/[0-9a-f]/g, '0'))
      : lines;
  };
  files.set('/proc/iomem', `${map('memory')}\n`);
  files.set('/proc/ioports', `${map('io')}\n`);
  return { plan, files };

  async function configOf(at: Bdf): Promise<Uint8Array> {
    const registers = Array.from({ length: 1024 }, (_, i) => 4 * i);
    const values = await simulated.access.batch(registers.map((register) => readOp(at, register, 4)));
    const whole = Buffer.from(Uint32Array.from(values).buffer);
    const readable = options.root === false ? whole.subarray(0, 64) : whole;
    return options.padded ? Buffer.concat([readable, Buffer.alloc(4096 - readable.length)]) : readable;
  }
}

function folderOf(plan: Plan, { segment, bus, ...slot }: Bdf): string {
  const own = formatBdf({ segment, bus, ...slot });
  const above = plan.bridges.find((bridge) => bridge.address.segment === segment && bridge.secondary === bus);
  if (above) return `${folderOf(plan, above.address)}/${own}`;
  const root = `pci${segment.toString(16).padStart(4, '0')}:${bus.toString(16).padStart(2, '0')}`;
  return `/sys/devices/platform/4010000000.pcie/${root}/${own}`;
}

/** Writes files and links below a folder. */
export function writeTree(folder: string, files: TreeFiles): void {
  for (const [path, entry] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    if (typeof entry === 'object' && 'link' in entry) symlinkSync(entry.link, join(folder, path));
    else writeFileSync(join(folder, path), entry);
  }
}

/** The same in memory. Links are followed where a path names one, as the kernel would. */
export class MemoryTree implements SystemTree {
  readonly name = 'memory';
  readonly #folders = new Map<string, Set<string>>();

  constructor(
    readonly files: TreeFiles,
    readonly live = false,
  ) {
    for (const path of files.keys()) {
      for (let at = path; at !== '/'; at = dirname(at)) {
        const names = this.#folders.get(dirname(at)) ?? new Set();
        this.#folders.set(dirname(at), names.add(posix.basename(at)));
      }
    }
  }

  list(path: string): readonly string[] {
    return [...(this.#folders.get(this.resolve(path) ?? path) ?? [])].sort();
  }

  read(path: string, most: number): Uint8Array | NotRead {
    const entry = this.files.get(path);
    if (entry === undefined || (typeof entry === 'object' && 'link' in entry)) return 'absent';
    return Buffer.from(entry as Uint8Array).subarray(0, most);
  }

  link(path: string): string | undefined {
    const entry = this.files.get(path);
    return typeof entry === 'object' && 'link' in entry ? entry.link : undefined;
  }

  resolve(path: string): string | undefined {
    const target = this.link(path);
    if (target !== undefined) return this.resolve(posix.resolve(dirname(path), target));
    return this.files.has(path) || this.#folders.has(path) ? path : undefined;
  }
}
