import type { SeenHost, SeenIommu, SeenRootBus } from './host-facts.js';
import type { GuestLine } from './lines.js';
import type { Draft, Source } from './observation.js';

const MOST_ROOTS = 0x1_0000;
const MOST_IOMMUS = 1024;

const version = /^Linux version (\d\S{0,100})/;
const commandLine = /^(?:Kernel command line|Command line): (.{1,4000})$/;
/** drivers/acpi/pci_root.c, acpi_pci_root_add; a domain of four digits. */
const acpiRoot =
  /^ACPI: PCI Root Bridge \[\w{1,8}\] \(domain ([0-9a-f]{4,8}) \[bus ([0-9a-f]{2})(?:-([0-9a-f]{2}))?\]\)/;
/** drivers/iommu/intel/dmar.c. */
const dmar = /^DMAR: (dmar\d{1,4}): reg_base_addr [0-9a-f]{1,16} ver \d+:\d+ cap ([0-9a-f]{1,16}) ecap /;
const dmarWidth = /^DMAR: Host address width (\d{1,2})$/;

/** Machines by what only their kernels print. */
const arches: readonly (readonly [RegExp, string])[] = [
  [/^Booting Linux on physical CPU 0x[0-9a-f]{10}/, 'aarch64'],
  [/^Detected (?:VIPT|PIPT) I-cache on CPU0/, 'aarch64'],
  [/^riscv: base ISA extensions/, 'riscv64'],
  [/^BIOS-provided physical RAM map:/, 'x86_64'],
  [/^x86\/fpu: /, 'x86_64'],
];

/** What a kernel's log says of the machine as a whole. */
export class DmesgHost {
  /** One of these is in each of its lines. */
  static readonly openers = [
    ...['Linux version ', 'ommand line: ', 'ACPI: PCI Root Bridge', 'DMAR: ', 'Booting Linux on '],
    ...['I-cache on CPU0', 'riscv: base ISA', 'BIOS-provided', 'x86/fpu: '],
  ];
  #host: Draft<Omit<SeenHost, 'source'>> = {};
  #source: Source | undefined;
  #iommus: SeenIommu[] = [];
  #roots: SeenRootBus[] = [];

  take({ text, source }: GuestLine): boolean {
    const first = text.charCodeAt(0);
    // A, B, C, D, K, L, r or x begins all of these lines.
    if (!((first >= 65 && first <= 68) || first === 75 || first === 76 || first === 114 || first === 120)) return false;
    return this.#fact(text, source) || this.#root(text, source);
  }

  /** `root bus resource [bus 00-7e]` says the same as ACPI's line. */
  rootBus(segment: number, bus: number, lastBus: number | undefined, source: Source): void {
    const known = this.#roots.find((root) => root.segment === segment && root.bus === bus);
    if (known || this.#roots.length >= MOST_ROOTS) return;
    this.#roots.push({ segment, bus, ...(lastBus === undefined ? {} : { lastBus }), source });
  }

  finish(): { readonly host?: SeenHost; readonly rootBuses?: readonly SeenRootBus[] } {
    const iommus = this.#iommus;
    const roots = this.#roots;
    const source = this.#source;
    const host = { ...this.#host, ...(iommus.length > 0 ? { iommus } : {}) };
    this.#host = {};
    this.#iommus = [];
    this.#roots = [];
    this.#source = undefined;
    return { ...(source ? { host: { ...host, source } } : {}), ...(roots.length > 0 ? { rootBuses: roots } : {}) };
  }

  #fact(text: string, source: Source): boolean {
    const kernel = version.exec(text)?.[1];
    const command = commandLine.exec(text)?.[1];
    const arch = arches.find(([pattern]) => pattern.test(text))?.[1];
    if (kernel !== undefined) this.#host.kernel = kernel;
    if (command !== undefined) this.#host.commandLine = command.trim();
    if (arch !== undefined) this.#host.arch = arch;
    const iommu = iommuOf(text);
    if (iommu && this.#iommus.length < MOST_IOMMUS) this.#iommus.push(iommu);
    const found = kernel ?? command ?? arch ?? iommu;
    if (found !== undefined) this.#source ??= source;
    return found !== undefined;
  }

  #root(text: string, source: Source): boolean {
    const [, segment, bus, last] = acpiRoot.exec(text) ?? [];
    if (segment === undefined || bus === undefined) return false;
    this.rootBus(parseInt(segment, 16), parseInt(bus, 16), parseInt(last ?? bus, 16), source);
    return true;
  }
}

/** Intel VT-d 4.1 §11.4.2, Capability Register: bits 21:16 are the guest address width less one. */
export const addressWidth = (capability: bigint): number => Number((capability >> 16n) & 0x3fn) + 1;

function iommuOf(text: string): SeenIommu | undefined {
  const [, name, capability] = dmar.exec(text) ?? [];
  if (name !== undefined && capability !== undefined) {
    return { name, addressBits: addressWidth(BigInt(`0x${capability}`)) };
  }
  const width = dmarWidth.exec(text)?.[1];
  return width === undefined ? undefined : { name: 'DMAR', addressBits: Number(width) };
}
