import { ConfigBytes } from '../../pci/config-bytes.js';
import { common, headerLayout, statusBits, type0 } from '../../pci/header.js';
import { extendedById, standardById } from '../../pci/capabilities/index.js';
import { bit } from '../../pci/layout.js';
import { UnreadRegister } from '../../pci/config-bytes.js';
import type { SeenMapLine } from '../host-facts.js';
import type { Capture, CapturedFunction, CapturedHost } from './model.js';

/** Device Serial Number (PCI Express Base 6.0 §7.9.3): network cards make it of their MAC address. */
const DEVICE_SERIAL_NUMBER = 0x0003;

/**
 * The capture without what tells this machine from another of its kind: serial numbers, registers that pinbar does not
 * know (they may hold any), names of files, values of kernel parameters that have nothing to do with PCI, where the kernel's
 * own memory lies. Addresses, ids and topology stay: they are what a capture is for.
 */
export function withoutIdentity(capture: Capture): Capture {
  return {
    ...capture,
    sources: capture.sources.map(({ kind }, i) => ({ name: `file ${i + 1}`, kind })),
    host: anonymousHost(capture.host),
    functions: capture.functions.map(anonymousFunction),
    iomem: capture.iomem.filter(({ name }) => !name.startsWith('Kernel ')).map(anonymousLine),
    ioports: capture.ioports.map(anonymousLine),
    // They cite files, and what they cite may be what was taken out.
    conflicts: [],
  };
}

function anonymousFunction(fn: CapturedFunction): CapturedFunction {
  const { config, ...rest } = fn;
  const kept = { ...rest, ...(config ? { config: withoutUnknown(config) } : {}) };
  return Object.fromEntries(Object.entries(kept).filter(([key]) => key !== 'serial')) as unknown as CapturedFunction;
}

/** A number of twelve or sixteen digits may be a MAC address or a serial number. */
const anonymousLine = (line: SeenMapLine): SeenMapLine => ({
  ...line,
  name: line.name.replace(/[0-9a-f]{12,}|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}/gi, 'removed'),
});

/** `6.8.0-45-generic`: what a builder appended to it goes. */
const release = /^\d+\.\d+(?:\.\d+)?(?:-\d+)?(?:-(?:generic|amd64|arm64|riscv64|cloud-amd64|cloud-arm64|lts|rt))?/;

function anonymousHost({ kernel, commandLine, ...host }: CapturedHost): CapturedHost {
  const version = kernel && release.exec(kernel)?.[0];
  return {
    ...host,
    ...(version ? { kernel: version } : {}),
    ...(commandLine === undefined ? {} : { commandLine: withoutValues(commandLine) }),
  };
}

/** Parameters whose values say how PCI, memory and interrupts are set up (Linux, admin-guide/kernel-parameters.txt). */
const harmless =
  /^(?:pci|pcie\w*|pciehp\w*|iommu(?:\.\w+)?|intel_iommu|amd_iommu|arm-smmu[\w.-]*|vfio[\w.-]*|kvm[\w.-]*|mem|memmap|memory_corruption_check|hugepages|hugepagesz|default_hugepagesz|efi|acpi|acpi_\w+|noapic|nolapic|apic|mmio\w*|movable_node|kernelcore|movablecore|numa\w*|isolcpus|nohz_full|swiotlb|cma|crashkernel|nokaslr|quiet|ro|rw)$/;

/** Kernel parameters by name, values only of those that are known to say nothing else; nothing after `--`. */
function withoutValues(commandLine: string): string {
  const words = commandLine.split(/\s+/).filter((word) => word !== '');
  const end = words.indexOf('--');
  return (end < 0 ? words : words.slice(0, end))
    .map((word) => {
      const equals = word.indexOf('=');
      const name = equals < 0 ? word : word.slice(0, equals);
      if (harmless.test(name)) return withoutUuids(word);
      // A word without a value may itself be one.
      return equals < 0 ? 'removed' : `${/^[\w.-]{1,40}$/.test(name) ? name : 'removed'}=removed`;
    })
    .join(' ');
}

const withoutUuids = (word: string): string =>
  word.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}/gi, 'removed');

/** Only what pinbar can name is left: the header, and known capabilities other than the serial number. */
function withoutUnknown(config: ConfigBytes): ConfigBytes {
  const kept = new ConfigBytes();
  const keep = (start: number, size: number) => {
    for (let at = start & ~3; at < start + size; at += 4) if (config.has(at)) kept.set(at, config.u32(at));
  };
  keep(0, 0x40);
  for (const [at, size] of knownCapabilities(config)) keep(at, size);
  return kept;
}

/** Where capabilities lie that are known to hold no identity, with the bytes that their decoders look at. */
function* knownCapabilities(config: ConfigBytes): Generator<readonly [number, number]> {
  const seen = new Set<number>();
  try {
    if (headerLayout(config.field(common.headerType)) > 1) return;
    if (bit(config.field(common.status), statusBits.capabilityList)) {
      for (
        let at = config.u8(type0.capabilitiesPointer.offset) & ~3;
        at >= 0x40 && !seen.has(at);
        at = config.u8(at + 1) & ~3
      ) {
        seen.add(at);
        const known = standardById.get(config.u8(at));
        // A vendor's own bytes may hold anything.
        const size = known && known.kind !== 'vendorSpecific' ? known.decoder.size : 4;
        yield [at, size];
      }
    }
    for (let at = 0x100; at >= 0x100 && !seen.has(at); at = (config.u32(at) >>> 20) & ~3) {
      if (config.u32(at) === 0 || config.u32(at) === 0xffff_ffff) return;
      seen.add(at);
      const id = config.u32(at) & 0xffff;
      const known = id === DEVICE_SERIAL_NUMBER ? undefined : extendedById.get(id);
      const own = known?.kind === 'vendorSpecificExtended' || known?.kind === 'designatedVendorSpecific';
      yield [at, known && !own ? known.decoder.size : 4];
    }
  } catch (error) {
    if (!(error instanceof UnreadRegister)) throw error;
  }
}
