import type { LogLine } from './line.js';

/** A start tag of a libvirt domain or of an NCCL topology file. */
export interface Tag {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Text that follows on the same line. */
  readonly content: string;
  readonly line: LogLine;
}

const tag = /<([a-zA-Z][\w:-]{0,40})((?:\s+[\w:-]{1,40}\s*=\s*(?:'[^']{0,400}'|"[^"]{0,400}"))*)\s*\/?>([^<]{0,200})/g;
const attribute = /([\w:-]{1,40})\s*=\s*(?:'([^']*)'|"([^"]*)")/g;

/** Tags that say something of placement, NUMA, CPUs or devices; others are passed over. */
const wanted = new Set([
  ...['domain', 'type', 'memory', 'cpu', 'maxphysaddr', 'hostdev', 'address', 'controller', 'pcihole64', 'target'],
  ...['hard_limit', 'loader', 'iommu', 'driver', 'shmem', 'qemu:arg', 'model', 'locked', 'memoryBacking', 'os'],
  ...['system', 'pci', 'gpu', 'nic', 'net', 'nvlink'],
]);

/** The start tags on a line. */
export function tagsIn(line: LogLine): Tag[] {
  const { text } = line;
  if (!text.includes('<')) return [];
  return [...text.matchAll(tag)].flatMap(([, name, inside, content]) => {
    if (name === undefined || !wanted.has(name)) return [];
    const attributes: Record<string, string> = {};
    for (const [, key, single, double] of (inside ?? '').matchAll(attribute)) {
      if (key !== undefined) attributes[key] = single ?? double ?? '';
    }
    return [{ name, attributes, content: (content ?? '').trim(), line }];
  });
}
