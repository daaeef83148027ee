import { rule } from './rule.js';

/** IOMMU drivers, vfio and libvirt on groups, reserved ranges, widths and limits. */
export const iommuRules = [
  // hw/vfio/container.c, and libvirt's wording of it
  rule('group-not-viable', /group (?<group>\d+) is not viable/, 'not viable'),
  rule('group-two-spaces', /group (?<group>\d+) used in multiple address spaces/, 'multiple address spaces'),
  rule(
    'group-bind-hint',
    /(?:ensure|[Vv]erify) all devices (?:within the iommu_group|in group \d+) are bound/,
    'all devices within the iommu_group',
    'all devices in group',
  ),
  rule('group-busy', /\/dev\/vfio\/(?<group>\d+): (?:Device or resource busy|.*\bbusy)/, '/dev/vfio/'),
  rule('group-acs', /is behind a switch lacking ACS/, 'lacking ACS'),
  rule('group-taken', /(?:iommu|IOMMU) group.{0,40}(?:already|also) (?:in use|assigned|owned|attached)/, 'roup'),
  rule(
    'no-group',
    /no iommu_group found|failed to get group|[Nn]o IOMMU group/,
    'iommu_group',
    'IOMMU group',
    'get group',
  ),
  rule(
    'no-interrupt-remapping',
    /No interrupt remapping (?:support|for)|allow_unsafe_interrupts/,
    'interrupt remapping',
    'allow_unsafe_interrupts',
  ),
  // drivers/iommu/intel/iommu.c
  rule('rmrr-refused', /ineligible for IOMMU domain attach due to platform RMRR/, 'RMRR'),
  // drivers/iommu/iommu.c, Linux 6.6 and later
  rule('direct-refused', /requested this device have a 1:1 IOMMU mapping/, '1:1 IOMMU mapping'),
  rule('rmrr-range', /RMRR base: ?0x0*(?<base>[0-9a-f]{1,16}) end: ?0x0*(?<limit>[0-9a-f]{1,16})/i, 'RMRR base'),
  // xen/drivers/passthrough/vtd/iommu.c; libxl
  rule(
    'xen-rmrr',
    /(?:cannot|can't|can not|not|risky|refus|reject|fail|conflict)[^\n]{0,60}\b(?:RMRR|RDM)\b|\b(?:RMRR|RDM)\b[^\n]{0,60}(?:conflict|cannot|can't|can not|refus|reject|fail)/i,
    'RMRR',
    'RDM',
    'rdm',
  ),
  rule(
    'set-iommu-denied',
    /failed to set(?:up)? (?:iommu|container)[^\n]*Operation not permitted|VFIO_SET_IOMMU[^\n]*(?:not permitted|-1\b)/,
    'Operation not permitted',
    'VFIO_SET_IOMMU',
  ),
  // `cat /sys/kernel/iommu_groups/N/reserved_regions`
  rule(
    'reserved-region',
    /\b0x(?<base>[0-9a-f]{8,16}) 0x(?<limit>[0-9a-f]{8,16}) (?<type>msi|reserved|direct|direct-relaxable)\b/,
    ' msi',
    ' reserved',
    ' direct',
  ),
  rule(
    'iommu-width',
    /iommu width \((?<bits>\d+)\) is not sufficient for the mapped address \((?<address>[0-9a-f]{1,16})\)/,
    'iommu width',
  ),
  rule(
    'aw-bits',
    /aw[-_ ]bits? \(?(?<want>\d+)\)?[^\n]{0,40}(?:>|exceed|larger)[^\n]{0,40}?(?<bits>\d+)/i,
    'aw-bits',
    'aw_bits',
  ),
  rule(
    'iova-unmappable',
    /can't map (?:guest )?IOVA region 0x(?<base>[0-9a-f]{1,16})\.\.0x(?<limit>[0-9a-f]{1,16})/,
    'IOVA region',
  ),
  // What debuggers and traces show of the memory region that is being mapped
  rule(
    'region-address',
    /(?:offset_within_address_space|Memory region addr|\bgpa|guest physical address|region_add[^\n]{0,40}?)[\s:=]{1,3}0x(?<address>[0-9a-f]{3,16})/i,
    'offset_within_address_space',
    'Memory region addr',
    'gpa',
    'hysical address',
    'region_add',
  ),
  rule('region-size', /Memory region size[\s:=]{1,3}0x(?<size>[0-9a-f]{1,16})/i, 'Memory region size'),
  rule('dmar-width', /DMAR: Host address width (?<bits>\d+)/, 'Host address width'),
  rule('dmar-cap', /reg_base_addr [0-9a-f]+ ver [\d:]+ cap (?<cap>[0-9a-f]{6,16}) ecap/, 'reg_base_addr'),
  rule('cpu-width', /address sizes\s*: (?<bits>\d+) bits physical/, 'bits physical'),
  rule('cpu-width', /Address sizes:\s*(?<bits>\d+) bits physical/, 'bits physical'),
  rule(
    'memlock',
    /RLIMIT_MEMLOCK(?: \((?<limit>\d+)\))? exceeded|exceed\w* RLIMIT_MEMLOCK|cannot limit locked memory of process|(?:mlock|lock(?:ed)? memory)[^\n]{0,60}(?:Cannot allocate memory|ENOMEM|limit (?:exceeded|too low))/,
    'RLIMIT_MEMLOCK',
    'mlock',
    'lock memory',
    'locked memory',
  ),
  rule(
    'memlock-limit',
    /(?:Max locked memory|max locked memory|MEMLOCK)\D{1,40}(?<limit>\d+|unlimited)/,
    'locked memory',
    'MEMLOCK',
  ),
  // drivers/iommu/intel/dmar.c, drivers/iommu/amd/iommu.c, drivers/iommu/arm/arm-smmu-v3
  rule(
    'iommu-fault',
    /DMAR:? ?\[(?:DMA |INTR-REMAP)[^\]]*\] Request device \[(?<device>[0-9a-f:.]+)\] (?:PASID \S+ )?fault addr (?:0x)?(?<address>[0-9a-f]{1,16})/i,
    'fault addr',
  ),
  rule(
    'iommu-fault',
    /IO_PAGE_FAULT (?:device=(?<device>[0-9a-f:.]+) )?[^\]]*?address=(?:0x)?(?<address>[0-9a-f]{1,16})/,
    'IO_PAGE_FAULT',
  ),
  rule(
    'iommu-fault',
    /(?:arm-smmu|smmu)[^\n]*(?:iova[=:]\s?0x(?<address>[0-9a-f]{1,16})|F_TRANSLATION|event 0x10 received)/i,
    'smmu',
    'SMMU',
  ),
] as const;
