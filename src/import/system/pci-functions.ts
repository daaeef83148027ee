import { headerLayout, common, statusBits, type0 } from '../../pci/header.js';
import { bit } from '../../pci/layout.js';
import { ConfigBytes } from '../../pci/config-bytes.js';
import { parseBdf, type Bdf } from '../../pci/bdf.js';
import type { ResizableFacts } from '../function-facts.js';
import type { SeenRootBus } from '../host-facts.js';
import { MOST_FUNCTIONS, type Draft, type FunctionDraft, type SeenFunction } from '../observation.js';
import { resourcesOfFile } from '../sysfs/resource-file.js';
import { baseName, numberOf, textOf, type SystemTree } from './tree.js';

/** What sysfs shows of PCI. */
export interface SeenPci {
  readonly functions: readonly SeenFunction[];
  readonly rootBuses: readonly SeenRootBus[];
  /** Functions of which only the first 64 bytes of config space could be read, though they have more. */
  readonly headersOnly: number;
}

const bdf = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;
const rootBus = /^pci([0-9a-f]{4,8}):([0-9a-f]{2})$/;
/** More folders deep than PCI has buses. */
const DEEPEST = 300;

/** Every function in the tree, from /sys/bus/pci/devices, or where that was not copied from the folders of /sys/devices. */
export function readPci(tree: SystemTree): SeenPci {
  const roots = new Map<string, SeenRootBus>();
  const functions: SeenFunction[] = [];
  let headersOnly = 0;
  for (const path of functionFolders(tree)) {
    if (functions.length >= MOST_FUNCTIONS) break;
    const { parent, root } = placeOf(path);
    if (root && !roots.has(root.name)) {
      roots.set(root.name, { segment: root.segment, bus: root.bus, source: { file: root.path, line: 0 } });
    }
    const { fn, headerOnly } = readFunction(tree, path, parent);
    functions.push(fn);
    if (headerOnly) headersOnly++;
  }
  return { functions, rootBuses: [...roots.values()], headersOnly };
}

function functionFolders(tree: SystemTree): string[] {
  const folder = '/sys/bus/pci/devices';
  const listed = tree.list(folder).filter((name) => bdf.test(name));
  if (listed.length > 0) return listed.flatMap((name) => tree.resolve(`${folder}/${name}`) ?? []);
  return foldersBelow(tree, '/sys/devices', 0);
}

function foldersBelow(tree: SystemTree, path: string, depth: number): string[] {
  if (depth > DEEPEST) return [];
  const found: string[] = [];
  for (const name of tree.list(path)) {
    const own = bdf.test(name);
    // Outside of host bridges, functions lie below the folders of platform devices.
    if (!own && !rootBus.test(name) && (depth > 6 || path.includes('/pci'))) continue;
    const below = `${path}/${name}`;
    if (tree.link(below) !== undefined) continue;
    if (own) found.push(below);
    found.push(...foldersBelow(tree, below, depth + 1));
  }
  return found;
}

/** What a folder's path says: the bridge above, null on a root bus, and which root bus that is. */
function placeOf(path: string): {
  readonly parent?: Bdf | null;
  readonly root?: { name: string; path: string; segment: number; bus: number };
} {
  const parts = path.split('/');
  const at = parts.findIndex((part) => rootBus.test(part));
  const match = rootBus.exec(parts[at] ?? '');
  if (!match?.[1] || !match[2]) return {};
  const above = parts.slice(at + 1, -1).findLast((part) => bdf.test(part));
  const root = {
    name: match[0],
    path: parts.slice(0, at + 1).join('/'),
    segment: parseInt(match[1], 16),
    bus: parseInt(match[2], 16),
  };
  return { parent: above === undefined ? null : parseBdf(above), root };
}

function readFunction(tree: SystemTree, path: string, parent: Bdf | null | undefined) {
  const address = parseBdf(baseName(path));
  const names = new Set(tree.list(path));
  const { config, headerOnly } = readConfig(tree, path);
  const resource = names.has('resource') ? textOf(tree, `${path}/resource`) : undefined;
  const fn: FunctionDraft = {
    address,
    source: { file: path, line: 0 },
    ...(parent === undefined ? {} : { parent }),
    resources: resource === undefined ? [] : resourcesOfFile(resource, `${path}/resource`),
    // A driver's link is there as long as one is bound.
    ...(names.has('driver') ? { driver: baseName(tree.link(`${path}/driver`) ?? '') || 'unknown' } : {}),
    ...(!names.has('driver') && names.has('driver_override') ? { driver: null } : {}),
    ...(config ? { config } : {}),
  };
  const group = names.has('iommu_group') ? Number(baseName(tree.link(`${path}/iommu_group`) ?? '')) : NaN;
  if (Number.isInteger(group)) fn.iommuGroup = group;
  const physical = names.has('physfn') ? baseName(tree.link(`${path}/physfn`) ?? '') : '';
  if (bdf.test(physical)) fn.physicalFunction = parseBdf(physical);
  const numa = names.has('numa_node') ? numberOf(tree, `${path}/numa_node`) : undefined;
  if (numa !== undefined) fn.numaNode = numa < 0 ? null : numa;
  // The registers say the same, but for virtual functions and what is asleep.
  if (!config || config.u16(0) === 0xffff) readIds(tree, path, fn);
  const capabilities = { ...readSriov(tree, path, names), ...readResizable(tree, path, names) };
  if (Object.keys(capabilities).length > 0) fn.capabilities = capabilities;
  return { fn, headerOnly };
}

function readConfig(tree: SystemTree, path: string): { config?: ConfigBytes; headerOnly: boolean } {
  const bytes = tree.read(`${path}/config`, 0x1000);
  if (typeof bytes === 'string' || bytes.length < 64) return { headerOnly: false };
  const whole = ConfigBytes.of(bytes);
  if (headerLayout(whole.field(common.headerType)) > 2 || whole.u32(0) === 0xffff_ffff) {
    return { config: whole, headerOnly: false };
  }
  const pointer = whole.u8(type0.capabilitiesPointer.offset) & ~3;
  const hasMore = bit(whole.field(common.status), statusBits.capabilityList) && pointer >= 0x40;
  // An ordinary user gets 64 bytes (drivers/pci/pci-sysfs.c, pci_read_config). `tar` fills them up with zeros to the size
  // that the file claims to have; a capability list cannot be in zeros.
  const filled = bytes.length > 64 && hasMore && bytes.subarray(64).every((byte) => byte === 0);
  if (!filled) return { config: whole, headerOnly: hasMore && bytes.length <= 64 };
  return { config: ConfigBytes.of(bytes.subarray(0, 64)), headerOnly: true };
}

function readIds(tree: SystemTree, path: string, fn: FunctionDraft) {
  const value = (name: string) => numberOf(tree, `${path}/${name}`);
  const ids: Draft<Partial<SeenFunction>> = {};
  for (const key of ['vendor', 'device', 'class', 'revision'] as const) {
    const found = value(key);
    if (found !== undefined) ids[key] = found;
  }
  const [vendor, device] = [value('subsystem_vendor'), value('subsystem_device')];
  if (vendor && device !== undefined) ids.subsystem = { vendor, device };
  Object.assign(fn, ids);
}

/** drivers/pci/iov.c: these are there only where the function has the capability, and anybody may read them. */
function readSriov(tree: SystemTree, path: string, names: ReadonlySet<string>) {
  const totalVfs = names.has('sriov_totalvfs') ? numberOf(tree, `${path}/sriov_totalvfs`) : undefined;
  if (totalVfs === undefined) return {};
  const sriov: Record<string, number> = { totalVfs };
  for (const [key, name] of [
    ['numVfs', 'sriov_numvfs'],
    ['firstVfOffset', 'sriov_offset'],
    ['vfStride', 'sriov_stride'],
  ] as const) {
    const value = names.has(name) ? numberOf(tree, `${path}/${name}`) : undefined;
    if (value !== undefined) sriov[key] = value;
  }
  // Written in hexadecimal without `0x`.
  const vfDevice = parseInt(textOf(tree, `${path}/sriov_vf_device`, 16) ?? '', 16);
  if (vfDevice >= 0 && vfDevice <= 0xffff) sriov['vfDevice'] = vfDevice;
  return { sriov: sriov as { totalVfs: number } & Record<string, number> };
}

/** `resource2_resize` (drivers/pci/pci-sysfs.c): bit n is a size of 1 MiB << n, in hexadecimal. */
function readResizable(tree: SystemTree, path: string, names: ReadonlySet<string>) {
  const resizable = [0, 1, 2, 3, 4, 5].flatMap((index): ResizableFacts[] => {
    const name = `resource${index}_resize`;
    const text = names.has(name) ? textOf(tree, `${path}/${name}`, 64)?.trim() : undefined;
    if (text === undefined || !/^[0-9a-f]{1,16}$/i.test(text)) return [];
    const mask = BigInt(`0x${text}`);
    const sizes = Array.from({ length: 44 }, (_, n) => BigInt(n)).filter((n) => (mask >> n) & 1n);
    return [{ index, sizes: sizes.map((n) => 1n << (n + 20n)) }];
  });
  return resizable.length > 0 ? { resizable } : {};
}
