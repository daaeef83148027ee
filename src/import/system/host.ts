import { AddressRange } from '../../address/range.js';
import { addressWidth } from '../dmesg-host.js';
import type { SeenGroup, SeenHost, SeenIommu } from '../host-facts.js';
import type { Draft } from '../observation.js';
import { textOf, type SystemTree } from './tree.js';

const MOST_GROUPS = 0x1_0000;
const MOST_REGIONS = 1024;

/** Kernel, architecture, command line, address bits of CPU and IOMMUs. */
export function readHost(tree: SystemTree): SeenHost {
  const host: Draft<SeenHost> = { source: { file: tree.live ? '/proc' : `${tree.name}/proc`, line: 0 } };
  const version = /^Linux version (\S{1,200})/.exec(textOf(tree, '/proc/version') ?? '')?.[1];
  const kernel = textOf(tree, '/proc/sys/kernel/osrelease', 256)?.trim() || version;
  if (kernel) host.kernel = kernel;
  const commandLine = textOf(tree, '/proc/cmdline', 0x1_0000)?.trim();
  if (commandLine) host.commandLine = commandLine;
  const cpu = textOf(tree, '/proc/cpuinfo', 0x2000) ?? '';
  const arch = textOf(tree, '/proc/sys/kernel/arch', 64)?.trim() || archOf(cpu);
  if (arch) host.arch = arch;
  const bits = Number(/^address sizes\s*: (\d{1,2}) bits physical/m.exec(cpu)?.[1]);
  if (bits > 0) host.physicalAddressBits = bits;
  const iommus = readIommus(tree);
  if (iommus.length > 0) host.iommus = iommus;
  return host;
}

/** /proc/cpuinfo has another form on each architecture; the file that names it is new in Linux 6.1. */
function archOf(cpuinfo: string): string | undefined {
  if (/^vendor_id\s*: \w*(?:Intel|AMD|Centaur|Hygon)/m.test(cpuinfo))
    return /^flags\s*:.* lm /m.test(cpuinfo) ? 'x86_64' : undefined;
  if (/^CPU implementer\s*:/m.test(cpuinfo)) return /^CPU architecture\s*: 8/m.test(cpuinfo) ? 'aarch64' : undefined;
  return /^isa\s*: rv64/m.test(cpuinfo) ? 'riscv64' : undefined;
}

function readIommus(tree: SystemTree): SeenIommu[] {
  return tree.list('/sys/class/iommu').map((name): SeenIommu => {
    const folder = tree.resolve(`/sys/class/iommu/${name}`) ?? `/sys/class/iommu/${name}`;
    const text = textOf(tree, `${folder}/intel-iommu/cap`, 64)?.trim();
    if (text === undefined || !/^[0-9a-f]{1,16}$/i.test(text)) return { name };
    return { name, addressBits: addressWidth(BigInt(`0x${text}`)) };
  });
}

/** `0x00000000fee00000 0x00000000feefffff msi` (drivers/iommu/iommu.c, iommu_group_show_resv_regions). */
const region = /^0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) ([a-z-]{1,40})$/;

export function readGroups(tree: SystemTree): SeenGroup[] {
  const folder = '/sys/kernel/iommu_groups';
  const names = tree.list(folder).filter((name) => /^\d{1,7}$/.test(name));
  return names.slice(0, MOST_GROUPS).map((name) => {
    const file = `${folder}/${name}/reserved_regions`;
    const lines = (textOf(tree, file, 0x1_0000) ?? '').split('\n', MOST_REGIONS);
    const reserved = lines.flatMap((line) => {
      const [, base, limit, type] = region.exec(line.trim()) ?? [];
      if (base === undefined || limit === undefined || type === undefined) return [];
      const [from, to] = [BigInt(`0x${base}`), BigInt(`0x${limit}`)];
      return from <= to ? [{ range: AddressRange.of(from, to), type }] : [];
    });
    return { number: Number(name), reserved, source: { file, line: 1 } };
  });
}
