/** Class codes that hosts with passthrough have, upper 16 bits. PCI Code and ID Assignment Specification 1.16, §1. */
const names: Readonly<Record<number, string>> = {
  0x0100: 'SCSI',
  0x0101: 'IDE',
  0x0104: 'RAID',
  0x0106: 'SATA',
  0x0107: 'SAS',
  0x0108: 'NVMe',
  0x0180: 'storage',
  0x0200: 'Ethernet',
  0x0207: 'InfiniBand',
  0x0280: 'network',
  0x0300: 'VGA',
  0x0302: '3D',
  0x0380: 'display',
  0x0401: 'audio',
  0x0403: 'audio',
  0x0500: 'RAM',
  0x0502: 'CXL',
  0x0580: 'memory',
  0x0600: 'host bridge',
  0x0601: 'ISA bridge',
  0x0604: 'bridge',
  0x0607: 'CardBus',
  0x0680: 'other bridge',
  0x0700: 'serial',
  0x0703: 'modem',
  0x0780: 'communication',
  0x0800: 'PIC',
  0x0806: 'IOMMU',
  0x0880: 'system',
  0x0c00: 'FireWire',
  0x0c03: 'USB',
  0x0c05: 'SMBus',
  0x1000: 'encryption',
  0x1080: 'encryption',
  0x1101: 'counters',
  0x1180: 'signal',
  0x1200: 'accelerator',
  0x1300: 'instrumentation',
};

/** A class in a word or two, or its code where it has no usual name here. */
export function className(code: number | undefined): string {
  if (code === undefined) return '';
  return names[code >> 8] ?? (code >> 8).toString(16).padStart(4, '0');
}
