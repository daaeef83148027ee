import type { Exported, ExportSource } from './exported.js';

/** A format that a plan can be written in. Its code is loaded when it is asked for. */
export interface ExportFormat {
  readonly name: string;
  /** What it is for, in a few words. */
  readonly brief: string;
  readonly binary?: true;
  readonly load: () => Promise<(source: ExportSource) => Exported>;
}

const qemu = async () => (await import('./qemu/qemu.js')).exportQemu;

export const formats: readonly ExportFormat[] = [
  {
    name: 'qemu',
    brief: 'a QEMU command, as any QEMU takes it',
    load: async () => {
      const write = await qemu();
      return (source) => write(source, 'stock');
    },
  },
  {
    name: 'run',
    brief: 'the same behind pinbar run, with the pins',
    load: async () => {
      const write = await qemu();
      return (source) => write(source, 'run');
    },
  },
  {
    name: 'qemu-rfc',
    brief: 'the same with the options of the proposed series (fixed-bars)',
    load: async () => {
      const write = await qemu();
      return (source) => write(source, 'rfc');
    },
  },
  {
    name: 'qemu-pci-bars',
    brief: 'the same with the options of its successor (pci-bars)',
    load: async () => {
      const write = await qemu();
      return (source) => write(source, 'pci-bars');
    },
  },
  {
    name: 'dts',
    brief: 'device tree source',
    load: async () => (await import('./device-tree/device-tree.js')).exportDts,
  },
  {
    name: 'dtb',
    brief: 'device tree blob',
    binary: true,
    load: async () => (await import('./device-tree/device-tree.js')).exportDtb,
  },
  {
    name: 'libvirt',
    brief: 'a libvirt domain',
    load: async () => (await import('./libvirt/libvirt.js')).exportLibvirt,
  },
  {
    name: 'kubevirt',
    brief: 'a KubeVirt fragment: host devices, and a hook that gives them their ports',
    load: async () => (await import('./kubevirt/kubevirt.js')).exportKubevirt,
  },
  {
    name: 'asl',
    brief: 'ACPI source: an SSDT with the host bridges, their windows, and what makes a guest keep BARs',
    load: async () => (await import('./acpi/asl.js')).exportAsl,
  },
  {
    name: 'aml',
    brief: 'the same, compiled',
    binary: true,
    load: async () => (await import('./acpi/aml.js')).exportAml,
  },
  {
    name: 'fixed-bars',
    brief: 'the fw_cfg file etc/fixed-bars of the proposed series',
    binary: true,
    load: async () => (await import('./fixed-bars.js')).exportFixedBars,
  },
  {
    name: 'uefi-shell',
    brief: 'a script for EDK2’s shell (startup.nsh) that writes the registers',
    load: async () => (await import('./registers/uefi-shell.js')).exportUefiShell,
  },
  {
    name: 'setpci',
    brief: 'a script of setpci commands that write the registers',
    load: async () => (await import('./registers/setpci.js')).exportSetpci,
  },
  {
    name: 'xen',
    brief: 'the partial device tree of a Xen guest on Arm',
    load: async () => (await import('./xen/dom0less.js')).exportXen,
  },
  {
    name: 'xen-domain',
    brief: 'the node of a dom0less domain, with background regions',
    load: async () => (await import('./xen/dom0less.js')).exportXenDomain,
  },
  {
    name: 'xl',
    brief: 'a guest’s configuration for Xen’s xl',
    load: async () => (await import('./xen/xl.js')).exportXl,
  },
  {
    name: 'dot',
    brief: 'the tree, for Graphviz',
    load: async () => (await import('./picture/graphviz.js')).exportDot,
  },
  {
    name: 'svg',
    brief: 'the address map as a picture',
    load: async () => (await import('./picture/svg.js')).exportSvg,
  },
  {
    name: 'markdown',
    brief: 'a report: windows, bridges, BARs',
    load: async () => (await import('./picture/markdown.js')).exportMarkdown,
  },
];
