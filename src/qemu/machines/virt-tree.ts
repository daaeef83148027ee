import { AddressRange } from '../../address/range.js';
import { hex } from '../../address/format.js';
import { keepPciSetup } from '../../devicetree/keep.js';
import { RangeSet } from '../../address/range-set.js';
import { addMemory, memoryRanges } from '../../devicetree/memory.js';
import { pciHostBridges, type PciHostBridge, type PciWindow } from '../../devicetree/pci.js';
import type { DeviceTree } from '../../devicetree/tree.js';
import type { MachineBase } from '../../enumerate/to-machine.js';
import type { HostToScan } from '../../enumerate/topology.js';
import type { Machine } from '../../machine/model.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { EcamWindow } from '../../pci/ecam.js';
import type { QemuVersion } from '../qmp.js';

/** A machine as its own device tree describes it, ready to be enumerated and placed. */
export interface VirtMachine {
  readonly tree: DeviceTree;
  readonly hosts: readonly HostToScan[];
  readonly ecam: readonly EcamWindow[];
  readonly base: MachineBase;
  /** The tree with what makes firmware and guest keep the plan. */
  readonly keep: (tree: DeviceTree) => DeviceTree;
}

export interface VirtOptions {
  readonly arch: MachineBase['arch'];
  /** Only this part of the 64-bit window may be used, and the guest is told of no more (`pcie-mmio-window`). */
  readonly mmioWindow?: { readonly base: bigint; readonly size: bigint } | undefined;
  /** RAM beside the board's own, CPU addresses: the guest is told of it, and nothing is placed there. */
  readonly moreRam?: readonly AddressRange[];
  /** Something is pinned to I/O ports below 0x1000, which are otherwise left alone. */
  readonly lowPorts: boolean;
  /** Root buses beside bus 0, as QEMU lists them: their numbers are not bus 0's to give. */
  readonly otherRootBuses: readonly number[];
  readonly properties?: Machine['properties'] | undefined;
  readonly qemu: QemuVersion;
}

/**
 * Reads a `virt` board's device tree.
 * @throws Problem `devicetree-no-host-bridge`, `window-not-there`, exit 3
 */
export function virtMachine(tree: DeviceTree, options: VirtOptions): VirtMachine {
  const bridges = pciHostBridges(tree).filter(({ compatible }) => compatible === 'pci-host-ecam-generic');
  if (bridges.length === 0) {
    throw new Problem(
      'devicetree-no-host-bridge',
      'this machine has no PCI Express: its device tree has no pci-host-ecam-generic node',
      {
        exit: Exit.badInput,
        hint: 'use a board with PCI Express, such as -machine virt',
      },
    );
  }
  const ids = new Map(bridges.map((bridge, i) => [bridge, `pcie.${i}`]));
  const id = (bridge: PciHostBridge) => ids.get(bridge) ?? bridge.path;
  const { moreRam = [] } = options;
  const windows = new Map(bridges.map((bridge) => [bridge, cutOut(windowsOf(bridge, options), moreRam)]));
  const lastBus = (bridge: PciHostBridge) =>
    Math.min(bridge.buses[1], ...options.otherRootBuses.filter((bus) => bus > bridge.buses[0]).map((bus) => bus - 1));
  return {
    tree,
    hosts: bridges.map((bridge) => ({
      id: id(bridge),
      segment: bridge.segment ?? 0,
      buses: [bridge.buses[0], lastBus(bridge)],
    })),
    ecam: bridges.map((bridge) => ({
      segment: bridge.segment ?? 0,
      base: bridge.config.base,
      firstBus: bridge.buses[0],
      lastBus: bridge.buses[1],
    })),
    base: {
      arch: options.arch,
      board: 'virt',
      ram: memoryRanges(tree).ram.union(moreRam).ranges,
      physicalAddressBits: undefined,
      properties: options.properties ?? {},
      qemu: [options.qemu.major, options.qemu.minor],
      windows: Object.fromEntries(bridges.map((bridge) => [id(bridge), usable(windows.get(bridge) ?? [], options)])),
    },
    keep: (current) =>
      keepPciSetup(moreRam.length > 0 ? addMemory(current, moreRam) : current, {
        windows: new Map(
          bridges
            .filter(() => options.mmioWindow ?? moreRam.length > 0)
            .map((bridge) => [bridge.path, windows.get(bridge) ?? []]),
        ),
      }),
  };
}

/**
 * Ports below this are not handed out: Linux does not either (arch/arm64 and arch/riscv, PCIBIOS_MIN_IO), and a BAR at
 * port 0 looks unset to drivers.
 */
const FIRST_PORT = 0x1000n;

/** Where BARs may go: the host bridge's windows without the lowest ports. */
function usable(windows: readonly PciWindow[], { lowPorts }: VirtOptions): PciWindow[] {
  return windows.map((window) => {
    const skip = FIRST_PORT - window.base;
    if (lowPorts || window.type !== 'io' || skip <= 0n || skip >= window.size) return window;
    return { ...window, base: window.base + skip, cpuBase: window.cpuBase + skip, size: window.size - skip };
  });
}

/** The windows without these CPU addresses: RAM there is no PCI memory for the guest, although it is for QEMU. */
function cutOut(windows: readonly PciWindow[], ram: readonly AddressRange[]): PciWindow[] {
  return windows.flatMap((window) =>
    window.type === 'io'
      ? [window]
      : RangeSet.of([AddressRange.sized(window.cpuBase, window.size)])
          .subtract(ram)
          .ranges.map(({ base, size }) => ({
            ...window,
            base: base - window.cpuBase + window.base,
            size,
            cpuBase: base,
          })),
  );
}

/** The host bridge's windows, the 64-bit one cut down to what was asked for. */
function windowsOf(bridge: PciHostBridge, { arch, mmioWindow, qemu }: VirtOptions): readonly PciWindow[] {
  if (!mmioWindow) return bridge.windows;
  const asked = AddressRange.sized(mmioWindow.base, mmioWindow.size);
  const high = bridge.windows.filter(({ type }) => type === 'mem64');
  const around = high.find(({ base, size }) => AddressRange.sized(base, size).covers(asked));
  if (!around) {
    const has =
      high.map(({ base, size }) => AddressRange.sized(base, size).toString()).join(', ') || 'no 64-bit window at all';
    throw new Problem(
      'window-not-there',
      `pcie-mmio-window=${hex(mmioWindow.base)}:${hex(mmioWindow.size)} asks for ${asked.toString()}, and this machine has ${has} (QEMU ${qemu.text})`,
      {
        exit: Exit.outside,
        hint:
          arch === 'aarch64'
            ? 'QEMU 10.0 and later move the window with -machine highmem-mmio-size=SIZE: a power of two, and the window starts at the first multiple of it above RAM; the CPU’s physical address bits limit it'
            : 'on riscv64 the window is 16 GiB at the first multiple of 16 GiB above RAM: only the amount of RAM moves it',
        facts: { asked: asked.toString(), has },
      },
    );
  }
  return bridge.windows.map((window) =>
    window === around
      ? { ...window, base: asked.base, size: asked.size, cpuBase: window.cpuBase + (asked.base - window.base) }
      : window,
  );
}
