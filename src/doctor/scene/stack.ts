import type { Evidence } from '../evidence.js';
import { said } from '../evidence.js';

export type Vmm =
  'qemu' | 'libvirt' | 'kubevirt' | 'kata' | 'cloud-hypervisor' | 'crosvm' | 'proxmox' | 'xen' | 'vmware' | 'hyper-v';

/** What the report was made on, as far as its text shows. */
export interface Stack {
  /** The kernel log is a guest's (true), a host's or a plain machine's (false). */
  readonly isGuest: boolean | undefined;
  readonly vmm: Vmm | undefined;
  /** Windows come from a device tree, not from ACPI. */
  readonly deviceTree: boolean;
  readonly arch: 'x86_64' | 'aarch64' | 'riscv64' | 'ppc64' | undefined;
  readonly kernel: { readonly major: number; readonly minor: number; readonly text: string } | undefined;
  /** The words of `pci=` on the kernel's command line. */
  readonly pciOptions: ReadonlySet<string>;
  readonly firmware: 'ovmf' | 'seabios' | 'u-boot' | undefined;
}

const vmmWords: readonly (readonly [RegExp, Vmm])[] = [
  [/kubevirt|virt-launcher|harvester/i, 'kubevirt'],
  [/\bkata\b|kata-(?:proxy|runtime|agent|shim)|virtcontainers/i, 'kata'],
  [/cloud-hypervisor|cloud_hypervisor|\bvmm::|pci\/src\/bus\.rs|vfio-ioctls/i, 'cloud-hypervisor'],
  [/\bcrosvm\b/i, 'crosvm'],
  [/proxmox|pve-(?:kernel|manager)|-pve\b|\/etc\/pve\b|qm (?:start|set)\b/i, 'proxmox'],
  [/\(XEN\)|\blibxl\b|hvmloader|\bxl (?:create|pci)|xen-pciback|pciback/i, 'xen'],
  [/\bvmx\||VMware|PCIPassthru|pciPassthru|vmkernel/i, 'vmware'],
  [/Hyper-V|hv_pci|pci-hyperv/i, 'hyper-v'],
  [/libvirt|<domain\b|<hostdev\b|virsh\b/i, 'libvirt'],
  [/qemu|\[1b36:|Red Hat, Inc\. (?:QEMU|Virtio)|vfio_(?:container_)?dma_map|\$Q -machine/i, 'qemu'],
];

/** Lines that are searched for words; the first ones of a log say where it is from. */
const SEARCHED = 4000;

export function stackOf(all: Evidence): Stack {
  const evidence = {
    ...all,
    lines:
      all.lines.length > SEARCHED
        ? [...all.lines.slice(0, SEARCHED / 2), ...all.lines.slice(-SEARCHED / 2)]
        : all.lines,
  };
  const options = said(evidence, 'kernel-option').flatMap(({ line }) =>
    [...line.text.matchAll(/\bpci=([\w,=:@.-]{3,200})/g)].flatMap(([, words]) => words?.split(',') ?? []),
  );
  const vmm =
    vmmWords.find(([pattern]) => evidence.lines.some(({ raw }) => pattern.test(raw)))?.[1] ??
    (evidence.commands.length > 0 ? 'qemu' : undefined);
  const version = said(evidence, 'linux-version')[0]?.values['version'];
  const parts = /^(\d+)\.(\d+)/.exec(version ?? '');
  return {
    isGuest: isGuest(evidence),
    vmm,
    deviceTree: evidence.hosts.some((fact) => fact.kind === 'root-window' && fact.from === 'ranges'),
    arch: archOf(evidence),
    kernel: parts ? { major: Number(parts[1]), minor: Number(parts[2]), text: version ?? '' } : undefined,
    pciOptions: new Set(options),
    firmware: firmwareOf(evidence),
  };
}

/** Signs of a virtual machine in a kernel log or a listing: a hypervisor's own devices and words. */
const guestSign =
  /\[1b36:|\[1af4:|\[15ad:|Hypervisor detected|DMI: (?:QEMU|VMware|Red Hat KVM|.*Virtual Machine)|Red Hat, Inc\.|Virtio|VMware PCI Express Root Port|kata-(?:agent|proxy)|Q35\/ICH9|acpiphp|pci-host-generic [0-9a-f]*3f000000|4010000000\.pcie/;
const hostSign = /vfio-pci [0-9a-f:.]+|vfio_ecap_init|qemu-system-|qemu-kvm|Bluetooth|thunderbolt|Smart Array/;

function isGuest({ lines }: Evidence): boolean | undefined {
  if (lines.some(({ raw }) => guestSign.test(raw))) return true;
  return lines.some(({ raw }) => hostSign.test(raw)) ? false : undefined;
}

const archWords: readonly (readonly [RegExp, NonNullable<Stack['arch']>])[] = [
  [/qemu-system-riscv64|riscv64|pci-host-generic 30000000/, 'riscv64'],
  [
    /qemu-system-aarch64|aarch64|arm64|rockchip|brcm-pcie|raspberry|Booting Linux on physical CPU|pci-host-generic (?:3f000000|4010000000)/i,
    'aarch64',
  ],
  [/ppc64|powerpc|POWER\d|opal/i, 'ppc64'],
  [/qemu-system-x86_64|x86_64|x86\/|BIOS-e820|PNP0A0[38]|DMAR|AMD-Vi|q35|i440fx/i, 'x86_64'],
];

function archOf({ lines, commands }: Evidence): Stack['arch'] {
  const named = commands.map(({ arch }) => arch).find((arch) => arch !== undefined);
  const known = archWords.find(([, arch]) => arch === named)?.[1];
  return known ?? archWords.find(([pattern]) => lines.some(({ raw }) => pattern.test(raw)))?.[1];
}

function firmwareOf({ lines, messages }: Evidence): Stack['firmware'] {
  if (
    messages.has('uboot-no-bar') ||
    messages.has('uboot-no-room') ||
    lines.some(({ raw }) => /U-Boot \d{4}/.test(raw))
  )
    return 'u-boot';
  if (lines.some(({ raw }) => /OVMF|EDK ?II|EDK2|PciHostBridge|PciBus:/.test(raw))) return 'ovmf';
  return lines.some(({ raw }) => /SeaBIOS|DMI: QEMU .*\bBIOS (?:rel-)?1\.\d{1,2}\.\d/.test(raw))
    ? 'seabios'
    : undefined;
}
