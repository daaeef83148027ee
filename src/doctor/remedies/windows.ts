import { formatQemuSize, formatSize } from '../../address/format.js';
import { alignUp } from '../../address/align.js';
import { MiB } from '../../address/kinds.js';
import type { Remedy } from '../finding.js';
import type { Stack } from '../scene/stack.js';

const nextPowerOfTwo = (size: bigint): bigint => {
  let power = 1n;
  while (power < size) power *= 2n;
  return power;
};

const isQemuLike = ({ vmm }: Stack) =>
  vmm === 'qemu' || vmm === 'libvirt' || vmm === 'kubevirt' || vmm === 'proxmox' || vmm === 'kata';

const TiB = 1n << 40n;

/** hw/riscv/virt.c, virt_memmap: 16 GiB, at a multiple of 16 GiB. */
const riscvWindow: Remedy = {
  change: 'smaller or fewer 64-bit BARs',
  where: 'hardware',
  why: 'the 64-bit window of QEMU’s riscv64 virt machine is 16 GiB, and no option makes it larger',
};

const GiB = 1n << 30n;
/** What OVMF opens by itself; a smaller value would take room away. */
const OVMF_APERTURE = 32n * GiB;

/** More room above 4 GiB, for `need` bytes; 0 where the input does not say how many. */
export function moreRoomAbove(stack: Stack, need: bigint): Remedy[] {
  const { vmm, isGuest, deviceTree, arch } = stack;
  const aperture = nextPowerOfTwo(need * 2n);
  const ovmf = aperture > OVMF_APERTURE ? aperture : 2n * OVMF_APERTURE;
  const asked = need > 0n ? formatSize(need) : 'all BARs above 4 GiB';
  if (deviceTree && arch === 'riscv64' && isGuest === true) return [riscvWindow];
  const remedies: Remedy[] = [];
  if (isGuest === true || isQemuLike(stack)) {
    if (arch === 'aarch64' && deviceTree) {
      remedies.push({
        change: `-machine virt,highmem-mmio-size=${formatQemuSize(aperture > TiB ? aperture : TiB)} (QEMU 10.0 and later)`,
        where: 'qemu',
        why: `the 64-bit PCI window of the virt machine is 512 GiB, and this makes it larger (a power of two); ${asked} and their alignment have to fit`,
      });
    } else if (vmm === 'vmware') {
      const gib = aperture >> 30n;
      remedies.push({
        change: `pciPassthru.use64bitMMIO = "TRUE" and pciPassthru.64bitMMIOSizeGB = "${gib > 0n ? gib : 1n}" in the .vmx, with EFI firmware`,
        where: 'vmware',
        why: 'BARs of 1 GiB and more need the 64-bit window, whose size this sets',
      });
    } else if (vmm === 'cloud-hypervisor') {
      remedies.push({
        change:
          '--cpus max_phys_bits=46 (or as many as the host has) and, with several segments, --platform num_pci_segments',
        where: 'cloud-hypervisor',
        why: 'the 64-bit device area ends where the guest CPU’s physical addresses do',
      });
    } else {
      const qemu = vmm === 'libvirt' || vmm === 'kubevirt' ? 'libvirt' : 'qemu';
      if (stack.firmware !== 'seabios') {
        remedies.push(
          {
            change: `-fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=${ovmf >> 20n}`,
            where: qemu,
            why: `OVMF opens a 64-bit aperture of 32 GiB, or what the CPU's address bits suggest in newer builds; ${formatSize(ovmf)} are more, and ${need > 0n ? `hold ${formatSize(need)} with their alignment` : 'have to hold all BARs above 4 GiB with their alignment'}`,
          },
          {
            change:
              '-cpu host,host-phys-bits=on (libvirt: <cpu mode="host-passthrough"><maxphysaddr mode="passthrough"/>)',
            where: qemu,
            why: 'OVMF since edk2-stable202211 sizes the 64-bit aperture from the physical address bits that the guest CPU shows (an eighth of the space)',
          },
        );
      }
      if (stack.firmware !== 'ovmf' && need > 0n) {
        remedies.push({
          change: `-global q35-pcihost.pci-hole64-size=${formatQemuSize(aperture)} (i440FX-pcihost for pc; libvirt: <pcihole64>)`,
          where: 'qemu',
          why: 'with SeaBIOS the guest takes the 64-bit window that the ACPI tables offer',
        });
      }
    }
    return remedies;
  }
  if (deviceTree) {
    remedies.push({
      change: 'widen the 64-bit memory range in the PCIe node’s "ranges" as far as the SoC’s map allows',
      where: 'device-tree',
      why: `the kernel places BARs in these ranges alone, and ${asked} have to fit`,
    });
  } else {
    remedies.push({
      change:
        'turn on “Above 4G Decoding”, and raise “MMIO High Size” / “MMIO High Granularity Size” where the setup has them',
      where: 'bios',
      why: `the firmware decides how large the window above 4 GiB is; ${asked} have to fit`,
    });
    remedies.push({
      change: 'pci=realloc (on the kernel command line)',
      where: 'kernel',
      why: 'lets the kernel size bridge windows anew where the host bridge has room that the firmware did not hand out; it cannot enlarge the host bridge’s own window',
    });
  }
  return remedies;
}

/** A 64-bit window where there is none. */
export function open64(stack: Stack, need: bigint, hotplugged: boolean): Remedy[] {
  const remedies: Remedy[] = [];
  if (stack.isGuest === true && stack.deviceTree && stack.arch === 'aarch64') {
    return [
      {
        change: '-machine virt without highmem=off and highmem-mmio=off (both are on by default)',
        where: 'qemu',
        why: 'the virt machine then has a 64-bit window of 512 GiB',
      },
    ];
  }
  if (stack.isGuest === true || isQemuLike(stack)) {
    if (hotplugged || stack.vmm === 'kata') {
      remedies.push({
        change: `plug the device in before boot, or put it behind a pcie-root-port with pref64-reserve=${formatQemuSize(nextPowerOfTwo(need))}`,
        where: stack.vmm === 'kata' ? 'kata' : 'qemu',
        why: 'firmware opens the 64-bit window for what it sees at boot and for what ports reserve; a device that comes later cannot widen it',
      });
    }
    remedies.push(...moreRoomAbove(stack, need));
    return remedies;
  }
  if (stack.deviceTree) {
    return [
      {
        change:
          'add a 64-bit prefetchable range (0x43000000) above 4 GiB to the PCIe node’s "ranges", if the SoC has an outbound window there',
        where: 'device-tree',
        why: 'a BAR of this size cannot lie below 4 GiB, and the kernel uses the listed ranges alone',
      },
    ];
  }
  return [
    {
      change:
        'turn on “Above 4G Decoding” (also “64-bit BAR”, “Memory mapped I/O above 4 GB”) in the firmware setup; update the firmware if it has no such entry',
      where: 'bios',
      why: 'without it the firmware tells the kernel of no window above 4 GiB, and the BAR is too large to lie below',
    },
    {
      change: 'boot in UEFI mode without CSM',
      where: 'bios',
      why: 'many firmwares open the window only then',
    },
  ];
}

/** QEMU's virt machines: hw/arm/virt.c, base_memmap; hw/riscv/virt.c, virt_memmap. */
const virtWindows = { aarch64: '0x10000000-0x3efeffff', riscv64: '0x40000000-0x7fffffff' } as const;

function virtWindow(arch: 'aarch64' | 'riscv64'): Remedy[] {
  return [
    {
      change: 'a 64-bit prefetchable BAR, or a smaller one',
      where: 'hardware',
      why: `the 32-bit window of QEMU’s virt machine is ${virtWindows[arch]} and no option moves or enlarges it; the window above 4 GiB has room`,
    },
  ];
}

/** More room below 4 GiB, for `need` bytes. */
export function moreRoomBelow(stack: Stack, need: bigint): Remedy[] {
  const { deviceTree, isGuest, vmm, arch } = stack;
  if (isGuest === true && deviceTree && (arch === 'aarch64' || arch === 'riscv64')) return virtWindow(arch);
  if (deviceTree && isGuest !== true) {
    return [
      {
        change: `make the 32-bit non-prefetchable range in the PCIe node's "ranges" at least ${formatSize(nextPowerOfTwo(need))}, with a bus address below 4 GiB (a CPU address above is fine)`,
        where: 'device-tree',
        why: '32-bit BARs, ROMs and non-prefetchable bridge windows have no upper address bits and can lie nowhere else',
      },
      {
        change: 'a device, or a setting of it, with smaller or 64-bit prefetchable BARs',
        where: 'hardware',
        why: 'these could use a window above 4 GiB',
      },
    ];
  }
  if (isGuest === true || isQemuLike(stack)) {
    return [
      {
        change: 'less RAM below 4 GiB: -machine pc,max-ram-below-4g=2G (or q35), or fewer devices with 32-bit BARs',
        where: vmm === 'libvirt' || vmm === 'kubevirt' ? 'libvirt' : 'qemu',
        why: 'RAM and the 32-bit PCI window share the space below 4 GiB; on the aarch64 and riscv64 virt machines the window is fixed',
      },
      {
        change: 'a device model or firmware of the device with 64-bit prefetchable BARs',
        where: 'hardware',
        why: 'these lie above 4 GiB, where room is plenty',
      },
    ];
  }
  return [
    {
      change: 'lower “TOLUD” / “Max TOLUD” (MMIO size below 4 GiB) or turn on “Above 4G Decoding”',
      where: 'bios',
      why: 'the first makes the window below 4 GiB larger, the second moves 64-bit BARs out of it',
    },
    {
      change: 'pci=realloc (on the kernel command line)',
      where: 'kernel',
      why: 'the kernel then gives up the firmware’s placement and packs all BARs anew; it helps where the bytes suffice',
    },
  ];
}

/** A window below 4 GiB where there is none, for `need` bytes. */
export function open32(stack: Stack, need: bigint): Remedy[] {
  if (!stack.deviceTree) return moreRoomBelow(stack, need);
  const own =
    stack.isGuest === true && (stack.arch === 'aarch64' || stack.arch === 'riscv64')
      ? ` (QEMU’s own tree for the virt machine has one: ${virtWindows[stack.arch]})`
      : '';
  return [
    {
      change: `a 32-bit non-prefetchable range (0x02000000) below 4 GiB in the PCIe node’s "ranges"${own}`,
      where: 'device-tree',
      why: '32-bit BARs, ROMs and non-prefetchable bridge windows have no upper address bits, and the kernel uses the listed ranges alone',
    },
  ];
}

/** More room in a bridge's window, for `need` bytes; 0 where the input does not say how many. */
export function widerBridge(stack: Stack, need: bigint, prefetchable: boolean, hotplugged: boolean): Remedy[] {
  const remedies: Remedy[] = [];
  // A BAR lies at a multiple of its size, and a window starts at any multiple of 1 or 2 MiB: as much again as the largest has.
  const known = need > 0n;
  const reserve = known ? formatQemuSize(alignUp(need + nextPowerOfTwo(need / 2n + 1n), MiB)) : 'SIZE';
  const option = prefetchable ? 'hpmmioprefsize' : 'hpmmiosize';
  if (stack.isGuest === true || isQemuLike(stack)) {
    if (stack.deviceTree && hotplugged) {
      remedies.push({
        change: `pci=${option}=${reserve} (on the guest’s kernel command line)`,
        where: 'guest-kernel',
        why: 'where no firmware has opened the windows, the kernel does, with this much room (twice the largest BAR) at every hot-plug port; 2 MiB is its default',
      });
    }
    remedies.push({
      change: `-device pcie-root-port,…,${prefetchable ? 'pref64-reserve' : 'mem-reserve'}=${reserve}`,
      where: stack.vmm === 'kata' ? 'kata' : 'qemu',
      why: `${stack.deviceTree ? 'EDK2, where it is there,' : 'the firmware'} then keeps this much room in the port’s window, also for a device that is plugged in later; ${known ? 'less does where the window starts at a multiple of the BAR' : 'twice the largest BAR behind the port always has a place for it'}`,
    });
    if (!stack.deviceTree && !hotplugged) {
      remedies.push({
        change: 'pci=realloc (on the guest’s kernel command line)',
        where: 'guest-kernel',
        why: 'lets the guest’s kernel size bridge windows anew where firmware made them too small and the host bridge has room',
      });
    }
    if (stack.vmm === 'kata') {
      remedies.push({
        change:
          'hotplug_vfio_on_root_bus = true (hot_plug_vfio = "root-port" in newer versions) with pcie_root_port set, or cold_plug_vfio = "root-port"',
        where: 'kata',
        why: 'the runtime then computes the port’s reserve from the device’s BARs instead of using the small default bridge',
      });
    }
    return remedies;
  }
  if (hotplugged) {
    remedies.push({
      change: `pci=${option}=${reserve},realloc`,
      where: 'kernel',
      why: 'the kernel keeps this much room in the window of every hot-plug port; 2 MiB is its default',
    });
  }
  remedies.push(
    {
      change: 'pci=realloc (on the kernel command line)',
      where: 'kernel',
      why: 'lets the kernel widen bridge windows that the firmware made too small, as far as the host bridge has room',
    },
    {
      change:
        'a firmware update, or “Above 4G Decoding” and “Resizable BAR” / hot-plug MMIO reserve settings for this slot or Thunderbolt port',
      where: 'bios',
      why: 'it is the firmware that sizes bridge windows at boot',
    },
  );
  return remedies;
}
