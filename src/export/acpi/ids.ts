/** EisaId ("PNP0A08") and ("PNP0A03") as integers: a PCI Express and a PCI host bridge. ACPI 6.5 §19.3.4. */
export const PCI_HOST_HID = 0x080a_d041n;
export const PCI_HOST_CID = 0x030a_d041n;
