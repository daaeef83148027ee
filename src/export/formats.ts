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
];
