import { bdfKey } from '../../import/observation.js';
import type { Bridge, BridgeKind } from '../../machine/model.js';
import type { LoggedBoot, LoggedFunction } from './logged-boot.js';

/** What a kernel log may leave open of a machine. */
export interface Traits {
  readonly hotplug: (bridge: LoggedFunction) => Bridge['hotplug'];
  /** Bits of a physical address; undefined: it does not matter. */
  readonly addressBits: number | undefined;
}

/** QEMU's bridges by vendor and device (hw/pci-bridge). */
const known: Readonly<Record<string, BridgeKind>> = {
  '1b36:000c': 'root-port',
  '8086:3420': 'root-port',
  '104c:8232': 'upstream-port',
  '104c:8233': 'downstream-port',
  '1b36:000e': 'pcie-pci-bridge',
  '1b36:0001': 'pci-bridge',
};

/** What a bridge is, in the words of Linux from 6.10 on (drivers/pci/probe.c, pci_type_str). */
const words: readonly (readonly [string, BridgeKind])[] = [
  ['PCIe Root Port', 'root-port'],
  ['PCIe Switch Upstream Port', 'upstream-port'],
  ['PCIe Switch Downstream Port', 'downstream-port'],
  ['PCIe to PCI/PCI-X bridge', 'pcie-pci-bridge'],
];

const hex = (id: number) => id.toString(16).padStart(4, '0');

/** What kind of bridge a log shows; one of unknown make is taken for a conventional one. */
export function portKind({ vendor, device, line }: LoggedFunction): BridgeKind {
  return (
    words.find(([text]) => line.text.includes(text))?.[1] ?? known[`${hex(vendor)}:${hex(device)}`] ?? 'pci-bridge'
  );
}

const isPort = (bridge: LoggedFunction): boolean => {
  const kind = portKind(bridge);
  return kind === 'root-port' || kind === 'downstream-port';
};

/** Whether a bridge's slot is hot-plug capable, as far as the log tells: undefined where it does not. */
export function shownHotplug(boot: LoggedBoot, bridge: LoggedFunction): Bridge['hotplug'] | undefined {
  if (!isPort(bridge)) {
    // QEMU's conventional bridges have a BAR for their hot-plug controller, and none without it.
    return bridge.resources.has(0) ? 'shpc' : 'none';
  }
  if (boot.slots.some((slot) => bdfKey(slot) === bdfKey(bridge.address))) return 'pcie';
  const told = boot.told?.bridges.get(bdfKey(bridge.address));
  if (told) return told.hotplug;
  return boot.listed.get(bdfKey(bridge.address)) ?? (boot.portsAreKnown ? 'none' : undefined);
}

/**
 * While it sizes windows the kernel asks for room on top at hot-plug ports. From Linux 6.17 on it does so for ROMs as well, and
 * in any version at every port above one that needs it: surest are I/O ports where no further bus lies behind.
 */
export function hotplugSigns(ports: readonly LoggedFunction[]): readonly LoggedFunction[][] {
  const signs = [/\[io [^\]]*\] to \[bus [0-9a-f]{2}\] add_size/, /to \[bus [0-9a-f]{2}\] add_size/, /add_size/];
  return signs.map((sign) =>
    ports.filter(({ resources }) =>
      [...resources.values()].some(({ later }) => later.some(({ line }) => sign.test(line.text))),
    ),
  );
}

/** Ports of which the log does not tell whether they are hot-plug capable. */
export const openPorts = (boot: LoggedBoot): LoggedFunction[] =>
  [...boot.functions.values()].filter((fn) => fn.isBridge && shownHotplug(boot, fn) === undefined);
