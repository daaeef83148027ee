import { rule } from './rule.js';

/** VMMs, firmware and boot loaders. */
export const vmmRules = [
  // hw/i386/pc.c, target/i386/cpu.c, hw/arm/virt.c
  rule(
    'phys-bits',
    /Address space limit 0x(?<limit>[0-9a-f]{1,16}) < 0x(?<need>[0-9a-f]{1,16}) phys-bits too low \((?<bits>\d+)\)/,
    'phys-bits too low',
  ),
  rule(
    'pa-range',
    /(?:IPA|PA|physical address|address)[ -](?:range|space|size|width|bits)[^\n]{0,30}\((?<need>\d+) bits\)[^\n]{0,80}\((?<bits>\d+) bits\)|requires? (?<need2>\d+) bits of PA space[^\n]{0,60}?(?<bits2>\d+) bits|Addressing limited to (?<bits3>\d+) bits, but memory exceeds it/,
    'IPA',
    'PA space',
    'ddress',
  ),
  // Hyper-V, VM worker process
  rule(
    'mmio-above-width',
    /MMIO region \(0x(?<need>[0-9a-f]{1,16})\) is above the (?:the )?supported physical address range[^\n]*below 0x(?<end>[0-9a-f]{1,16})/,
    'MMIO region (',
  ),
  // drivers/pci/controller/pci-hyperv.c, hv_pci_allocate_bridge_windows
  rule('hyperv-mmio', /Need 0x(?<need>[0-9a-f]{1,16}) of (?<which>low|high) MMIO space/, 'MMIO space. Consider'),
  rule(
    'phys-bits-differ',
    /Host physical bits \((?<host>\d+)\) does not match phys-bits property \((?<guest>\d+)\)/,
    'phys-bits property',
  ),
  rule(
    'ram-above-width',
    /(?:memory|RAM|maxmem|address)[^\n]{0,80}(?:exceeds?|beyond|above|larger than|does not fit|do(?:es)? not fit in)[^\n]{0,40}(?:physical address|phys(?:ical)?[- ](?:bits|address)|PA (?:space|range)|addressable)/i,
    'physical',
    'phys-bits',
    'phys bits',
    'PA space',
    'PA range',
    'addressable',
  ),
  rule(
    'mmap-slow',
    /Failed to mmap (?<device>\S+) BAR (?<bar>\d+)\. Performance may be slow/,
    'Performance may be slow',
  ),
  rule('peer-unsupported', /PCI peer-to-peer transactions on BARs are not supported/, 'peer-to-peer transactions'),
  rule(
    'unaligned-region',
    /received unaligned region|(?:not|no|un)[- ]?page[ -](?:size )?aligned|not aligned to (?:the )?(?:host )?page/i,
    'aligned',
  ),
  rule(
    'slot-refused',
    /KVM_SET_USER_MEMORY_REGION[^\n]{0,80}(?:Invalid argument|failed|22)|[Ss]et_?[Uu]ser_?[Mm]emory_?[Rr]egion[^\n]{0,80}(?:Invalid argument|os error 22|failed|EINVAL)|kvm_set_(?:user_memory_region|phys_mem)[^\n]{0,60}(?:failed|Invalid)/,
    'MEMORY_REGION',
    'emory_region',
    'emoryRegion',
    'phys_mem',
  ),
  rule(
    'mmap-einval',
    /\bmmap\w*\b[^\n]{0,80}(?:Invalid argument|os error 22|EINVAL|Errno 22)/i,
    'mmap',
    'MMAP',
    'Mmap',
  ),
  rule(
    'page-size',
    /\b(?:64|16) ?[Kk](?:i?B)?[ -](?:host )?pages?\b|PAGE_?SIZE\D{0,12}(?:65536|16384|64[Kk])|_64K_PAGES=y|page size[^\n]{0,12}(?:65536|64 ?[Kk])/,
    'page',
    'PAGE',
  ),
  rule('region-info', /Could not get region #(?<region>\d+) info/, 'Could not get region'),
  // cloud-hypervisor pci/src/bus.rs; crosvm and others in their own words
  rule('rom-reprogrammed', /ROM BAR reprogramming/, 'ROM BAR reprogramming'),
  rule('bar-move-failed', /Failed moving device BAR/, 'Failed moving device BAR'),
  rule(
    'bar-move',
    /(?:^|[^\w.])0x(?<from>[0-9a-f]{1,16}) ?-> ?0x(?<to>[0-9a-f]{1,16}) ?\(0x(?<size>[0-9a-f]{1,16})\)/,
    '->',
  ),
  rule(
    'bar-move-refused',
    /(?:fail\w*|refus\w*|reject\w*|unsupported|cannot|can't|unable|not supported|invalid|ignor\w*)[^\n]{0,40}\b(?:re-?program\w*|relocat\w*|mov(?:e|ing)|re-?mapp?\w*)\b[^\n]{0,30}\bBARs?\b|\bBARs?\b[^\n]{0,20}(?:re-?program\w*|relocat\w*|mov(?:e|ing)\b|re-?mapp?(?:ed|ing))[^\n]{0,60}(?:fail|refus|reject|not support|unsupported|ignor|invalid|denied)/i,
    'BAR',
    'bar',
  ),
  rule(
    'vmm-no-mmio',
    /IoRegistrationFailed|IoAllocationFailed|[Ff]ailed (?:to )?allocat\w*[^\n]{0,30}(?:MMIO|mmio|BAR)|MmioRangeAllocat\w+|[Oo]ut of (?:MMIO|mmio|address) space/,
    'Failed',
    'ailed',
    'Mmio',
    'ut of',
  ),
  rule(
    'slot-missing',
    /Bus '\S+' does not support hotplugging|PCI: (?:no slot\/function|slot \d+ function \d+) (?:available|not available)|No more available PCI slots|Attempted double use of PCI/,
    'hotplugging',
    'PCI: ',
    'PCI slots',
    'double use',
  ),
  // U-Boot drivers/pci/pci_auto*.c
  rule('uboot-no-bar', /PCI: Failed autoconfig bar (?<register>[0-9a-f]+)/, 'Failed autoconfig bar'),
  rule(
    'uboot-no-room',
    /No room in resource(?:, avail start=(?:0x)?(?<start>[0-9a-f]{1,16}) ?\/ ?size=(?:0x)?(?<size>[0-9a-f]{1,16}), ?need=(?:0x)?(?<need>[0-9a-f]{1,16}))?/,
    'No room in resource',
  ),
  // EDK2 MdeModulePkg/Bus/Pci/PciBusDxe, OvmfPkg/Library/PciHostBridgeUtilityLib
  rule(
    'edk2-rejected',
    /PciBus: \[?(?<device>[0-9A-Fa-f|:.]+)\]? was rejected due to resource confliction/,
    'resource confliction',
  ),
  rule(
    'edk2-conflict',
    /PciHostBridge: Resource conflict happens|(?:PciBus|PciHostBridge|PciBusDxe)[^\n]*Out of Resources|RejectedResource|HostBridge->NotifyPhase[^\n]*(?:Out of Resources|Not Found)/,
    'Resource conflict',
    'Out of Resources',
    'RejectedResource',
    'NotifyPhase',
  ),
  rule(
    'edk2-need',
    /^ *(?<type>Io|Mem|PMem|Mem64|PMem64|Mem32|PMem32): (?:Length\/Alignment = 0x(?<length>[0-9A-F]+) \/ 0x(?<alignment>[0-9A-F]+)|Base(?:\/Length\/Alignment)? = 0x)/i,
    'Length/Alignment',
  ),
  rule(
    'edk2-type',
    /Type = *(?<type>P?Mem(?:32|64)|Io(?:16|32)); (?:Base|Offset) = 0x(?<base>[0-9A-F]+);\s*Length = 0x(?<length>[0-9A-F]+);\s*Alignment = 0x(?<alignment>[0-9A-F]+)/i,
    'Alignment = 0x',
  ),
  rule(
    'edk2-window',
    /\b(?:PMem(?:Above4G)?|MemAbove4G|Mem|Io|PMem): *(?:0x)?(?<base>[0-9A-F]+) - (?:0x)?(?<limit>[0-9A-F]+)/i,
    'Mem: ',
    'Above4G: ',
    'Io: ',
  ),
  rule(
    'edk2-enumerated',
    /PciBus: (?:Discovered PCI|Resource Map|HostBridge->)|PciHostBridge: SubmitResources/,
    'PciBus: ',
    'PciHostBridge: ',
  ),
  rule('edk2-mmio-space', /PlatformDynamicMmioWindow: +MMIO Space 0x(?<size>[0-9A-F]+)/i, 'MMIO Space'),
  rule('edk2-mmio64', /Pci64Base=0x(?<base>[0-9A-F]+) Pci64Size=0x(?<size>[0-9A-F]+)/i, 'Pci64Size'),
  // SeaBIOS src/fw/pciinit.c, Xen hvmloader
  rule('seabios-no-space', /PCI: (?:out of|no) [^\n]{0,30}(?:space|resource)|PCI: no space for/i, 'PCI: '),
  rule(
    'hvmloader-hole',
    /[Ll]ow MMIO hole not large enough|no space for (?:resource|BAR)|[Oo]ut of (?:MMIO|mmio) (?:resource|space)/,
    'MMIO hole',
    'no space for',
    'ut of',
  ),
  // VMware
  rule(
    'vmware-pages',
    /PCIPassthru[^\n]*?(?:pages needed \((?<need>\d{1,12})\) exceeds limit \((?<limit>\d{1,12})\)|exceeds limit|cannot|failed|no space|unable)|pciPassthru[^\n]*(?:fail|exceed)/i,
    'assthru',
  ),
  // hw/vfio: errors that name the device
  rule(
    'vfio-error',
    /(?:-device vfio-pci\S*: |\bvfio [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]: )(?!warning)[^\n]*\b(?:fail|error|cannot|could not|unable|not )/i,
    'vfio-pci',
    'vfio 0',
  ),
  // util/error-report.c: the program's name, the option where there is one, and what is wrong
  rule(
    'qemu-error',
    /(?:^|[\s/'"])(?:qemu-system-[a-z0-9_]+|qemu-kvm|kvm(?=: -\w)): (?!.*\b(?:warning|info): )(?!terminating on signal)(?<text>\S[^\n]*)/,
    'qemu-system-',
    'qemu-kvm: ',
    'kvm: -',
  ),
] as const;
