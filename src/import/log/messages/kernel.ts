import { rule } from './rule.js';

/** The kernel's PCI core, ACPI and x86 code, apart from what it says of single resources. */
export const kernelRules = [
  rule('linux-version', /Linux version (?<version>\d+\.\d+[\w.+~-]*)/, 'Linux version'),
  rule('kernel-option', /(?:^|[\s"'`=,])pci=(?<options>[\w,=:@.-]{3,200})/, 'pci='),
  rule('hypervisor', /Hypervisor detected: (?<name>[\w -]{2,40})/, 'Hypervisor detected'),
  rule('dmi', /DMI: (?<name>[^\n]{3,200})/, 'DMI: '),
  rule(
    'realloc-hint',
    /Some PCI device resources are unassigned, try booting with pci=realloc/,
    'resources are unassigned',
  ),
  rule('realloc-auto', /Automatically enabled pci realloc/, 'Automatically enabled pci realloc'),
  rule('ignores-crs', /Ignoring host bridge windows from ACPI|not using host bridge windows/i, 'host bridge windows'),
  rule('uses-e820', /Using E820 reservations for host bridge windows/, 'E820 reservations'),
  // drivers/pci/probe.c
  rule('no-bus-number', /No bus number available for hot-added bridge/, 'No bus number available'),
  rule(
    'bus-unusable',
    /devices behind bridge are unusable because \[bus (?<buses>[0-9a-f-]+)\] cannot be assigned/,
    'are unusable because',
  ),
  rule(
    'bus-conflict',
    /busn_res: can ?not insert \[bus (?<buses>[0-9a-f-]+)\] under [^\n]*\[bus (?<above>[0-9a-f-]+)\]/,
    'not insert [bus',
  ),
  rule('bus-short', /bridge has subordinate (?<subordinate>[0-9a-f]+) but max busn (?<most>[0-9a-f]+)/, 'but max busn'),
  rule(
    'bus-end-stuck',
    /busn_res: \[bus (?<buses>[0-9a-f-]+)\] end can not be updated to (?<end>[0-9a-f]{1,16})/,
    'can not be updated',
  ),
  rule('bus-hidden', /\[bus (?<buses>[0-9a-f-]+)\] (?:is )?(?:partially )?hidden behind/, 'hidden behind'),
  rule(
    'bus-exhausted',
    /(?:no (?:more |free |spare )|not enough |ran out of |run out of |out of |insufficient )(?:PCI )?bus(?:es\b| numbers?)/i,
    'bus',
  ),
  rule(
    'bridge-renumbered',
    /bridge configuration invalid \(\[bus (?<buses>[0-9a-f-]+)\]\), reconfiguring/,
    'configuration invalid',
  ),
  // drivers/pci/iov.c
  rule(
    'vf-bus-range',
    /SR-IOV: bus number out of range|can't enable (?<vfs>\d+) VFs \(bus (?<bus>[0-9a-f]+) out of range/,
    'out of range',
  ),
  rule('vf-no-mmio', /not enough MMIO resources for SR-IOV/, 'resources for SR-IOV'),
  rule(
    'vf-enable-failed',
    /(?:[Ff]ail(?:ed|ure)?|[Ee]rror|[Cc]annot|[Uu]nable|can't)[^\n]{0,30}(?:enab|creat|allocat)\w*[^\n]{0,20}(?:\b\d+ )?(?:VFs?\b|SR-?IOV|sriov|virtual functions?)/i,
    'VF',
    'SR-IOV',
    'SRIOV',
    'sriov',
    'irtual function',
  ),
  rule('numvfs', /sriov_numvfs/, 'sriov_numvfs'),
  // drivers/pnp/quirks.c
  rule(
    'pnp-overlap',
    /disabling \[mem (?<range>[^\]]*)\] because it overlaps (?<device>\S+) BAR (?<bar>\d+) \[mem 0x(?<base>[0-9a-f]{1,16})-0x(?<limit>[0-9a-f]{1,16})/,
    'because it overlaps',
  ),
  rule('pnp-unreserved', /system \S+: \[(?:mem|io) [^\]]+\] could not be reserved/, 'could not be reserved'),
  rule('sanity-check', /resource sanity check: requesting \[mem (?<range>[^\]]+)\]/, 'resource sanity check'),
  // arch/x86/pci/mmconfig-shared.c, drivers/acpi/pci_mcfg.c, drivers/pci/ecam.c
  rule(
    'ecam-unreserved',
    /(?:MMCONFIG|ECAM|MCFG)(?: area)?(?: at)? \[?(?:mem )?(?:0x)?(?<base>[0-9a-f]{6,16})(?:-(?:0x)?(?<limit>[0-9a-f]{1,16}))?\]? ?(?:is )?not (?:E820-)?reserved(?! as E820| in E820)/,
    'MMCONFIG',
    'ECAM',
    'MCFG',
  ),
  rule('ecam-unused', /[Nn]ot using (?:MMCONFIG|ECAM|mmconfig)/, 'sing MMCONFIG', 'sing ECAM', 'sing mmconfig'),
  rule(
    'ecam-partial',
    /(?:MMCONFIG|ECAM)[^\n]*\[bus (?<first>[0-9a-f]{2})-(?<last>[0-9a-f]{2})\][^\n]*only partially covers this bridge/,
    'partially covers',
  ),
  rule('ecam-lost', /fail(?:ed)? to add (?:MMCONFIG|ECAM) information/, 'to add MMCONFIG', 'to add ECAM'),
  rule(
    'ecam-kept',
    /(?:MMCONFIG|ECAM)[^\n]*\] (?:(?:is )?reserved (?:in|as|by|to)|is EfiMemoryMappedIO|[^\n]*assuming valid)/,
    'MMCONFIG',
    'ECAM',
  ),
  rule(
    'ecam-taken',
    /(?:can't|cannot|could not|failed to|unable to) (?:claim|request|reserve|map|ioremap)[^\n]{0,20}(?:ECAM|MMCONFIG|config(?:uration)? space)/i,
    'ECAM',
    'MMCONFIG',
    'onfig',
  ),
  rule(
    'ecam-short',
    /ECAM area \[mem (?<range>[^\]]+)\] can only accommodate \[bus (?<buses>[^\]]+)\]/,
    'can only accommodate',
  ),
  rule(
    'ecam',
    /PCI: (?:MMCONFIG|ECAM)[^\n]*\[mem 0x(?<base>[0-9a-f]{1,16})-0x(?<limit>[0-9a-f]{1,16})\] ?\(base 0x/,
    'MMCONFIG for',
    'PCI: ECAM',
  ),
  rule(
    'no-config',
    /No config space access function found|PCI: System does not support PCI/,
    'config space access',
    'does not support PCI',
  ),
  rule('probe-only', /PROBE_ONLY|pci-probe-only/, 'PROBE_ONLY', 'probe-only'),
  // arch/x86/mm/ioremap.c, arch/x86/mm/pat
  rule('ioremap-width', /ioremap: invalid physical address (?<address>[0-9a-f]{1,16})/, 'invalid physical address'),
  rule(
    'pat-conflict',
    /conflicting memory types (?<base>[0-9a-f]{1,16})-(?<limit>[0-9a-f]{1,16})/,
    'conflicting memory types',
  ),
  rule(
    'memtype-refused',
    /memtype_reserve failed|reserve_memtype failed|reserve_ram_pages_type failed/,
    'memtype',
    'reserve_ram_pages_type',
  ),
  rule('bar-write-lost', /error updating \((?:high )?(?:0x)?[0-9a-f]+ != (?:0x)?[0-9a-f]+\)/, 'error updating'),
  rule(
    'framebuffer',
    /(?:efifb|vesafb|simplefb|simple-framebuffer|sysfb|BOOTFB|simpledrm|EFI VGA)\b/,
    'efifb',
    'vesafb',
    'simplefb',
    'simple-framebuffer',
    'BOOTFB',
    'simpledrm',
    'EFI VGA',
  ),
  rule(
    'hotplug',
    /(?:pciehp|shpchp|acpiphp)\b[^\n]*(?:Card present|Link Up|Slot\(|slot)|thunderbolt [^\n]*new device/,
    'pciehp',
    'shpchp',
    'acpiphp',
    'thunderbolt',
  ),
  // drivers/pci/hotplug/pciehp_hpc.c
  rule('hotplug-slot', /pciehp: Slot #\d+ [^\n]{0,80}HotPlug\+/, 'pciehp: Slot #'),
] as const;
