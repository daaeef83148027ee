import type { Missing } from './finding.js';

/** Commands that settle what logs leave open. */
export const ask = {
  windows: {
    command: "sudo dmesg | grep -E 'root bus resource|bridge window|BAR |reg 0x|BIOS-e820'",
    why: 'the sizes of the windows above the device, what firmware placed, and what it reserved',
  },
  bridges: {
    command: 'sudo lspci -vvv; lspci -tv',
    why: 'the windows of every bridge from the root to the device: which of them is too small',
  },
  /** Of all devices where the input does not say which one it is about. */
  device: (address?: string): Missing => ({
    command: `sudo lspci -vvv${address === undefined ? '' : ` -s ${address}`}`,
    why: `${address === undefined ? 'the device’s' : 'its'} BARs, whether memory decoding is on, and which driver is bound`,
  }),
  iomem: { command: 'sudo cat /proc/iomem', why: 'who holds which range: framebuffers, drivers, firmware' },
  iommuWidth: {
    command: `cat /sys/class/iommu/*/intel-iommu/cap; dmesg | grep -iE 'DMAR|AMD-Vi'; grep -m1 'address sizes' /proc/cpuinfo`,
    why: 'how many address bits the host IOMMU and CPU have',
  },
  reservedRegions: {
    command: 'cat /sys/kernel/iommu_groups/*/reserved_regions',
    why: 'the ranges that no guest memory may cover on this host',
  },
  groups: {
    command: "find /sys/kernel/iommu_groups -name '????:??:??.?' | sort -V; lspci -nnk",
    why: 'which functions share an IOMMU group, and which driver has each',
  },
  memlock: {
    command: 'dmesg | grep RLIMIT_MEMLOCK; prlimit --memlock -p QEMU_PID',
    why: 'the limit, and who ran into it',
  },
  peer: {
    command: "sudo lspci -vvv | grep -E '^[0-9a-f]|ACSCtl|ATSCtl|Region' (on the host and in the guest)",
    why: 'how the switches route peer traffic, and whether BARs have the same address on both sides',
  },
  command: {
    command: 'tr "\\0" " " </proc/QEMU_PID/cmdline',
    why: 'the machine, RAM, CPU and devices that QEMU was given',
  },
  firmwareLog: {
    command: '-debugcon file:ovmf.log -global isa-debugcon.iobase=0x402 (QEMU, with a DEBUG build of OVMF)',
    why: 'which windows the firmware has and which resource it could not place',
  },
  vmmLog: {
    command: 'the complete log of the VMM, with -v or the like',
    why: 'the BARs and windows that it gave the device',
  },
  wholeLog: {
    command: 'sudo dmesg; or sudo journalctl -k -b, where the beginning is lost',
    why: 'the whole log of the boot, from its first line: whether anything else than the kernel placed',
  },
  kernelLog: { command: 'sudo dmesg', why: 'the whole log of the boot: what was found, placed, refused' },
} as const;
