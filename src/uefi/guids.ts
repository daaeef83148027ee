/** UEFI 2.10 and PI 1.8, and the one event of EDK2's OvmfPkg. */
export const guid = {
  pciRootBridgeIo: '2f707ebb-4a1a-11d4-9a38-0090273fc14d',
  /** PI 1.8 volume 2, §13.2 */
  cpuIo2: 'ad61f191-ae5f-4c0e-b9fa-e869d288c64f',
  /** Installed once PCI is enumerated and the firmware's own drivers are all there. OVMF starts option ROMs after it. */
  dxeSmmReadyToLock: '60ff8964-e906-41d0-afed-f241e974e08e',
  /** EDK2 OvmfPkg/Include/Guid/RootBridgesConnectedEventGroup.h: PCI is enumerated; the ACPI tables are fetched now. */
  rootBridgesConnected: '24a2d66f-eedd-4086-9042-f26e4797ee69',
  acpi20Table: '8868e871-e4f1-11d3-bc22-0080c73c8881',
  smbiosTable: 'eb9d2d31-2d88-11d3-9a16-0090273fc14d',
  smbios3Table: 'f2fd1544-9794-4a2c-992e-e5bbcf20e394',
} as const;
