import { formatBdf } from '../pci/bdf.js';
import type { PlannedBar } from '../place/plan.js';
import { Problem } from '../problem/problem.js';
import type { Exported, ExportSource } from './exported.js';
import { allPlaced, layoutOf, requireMachine, type PlacedFunction } from './layout.js';

/** Little-endian and packed. Header: u32 version, u32 number of devices. */
const VERSION = 1;
const HEADER_SIZE = 8;
/** u16 vendor, u16 device, u8 flags, u8 bus of the root port’s primary side, u8 number of BARs, u8 0. */
const DEVICE_SIZE = 8;
const DEVICE_FIXED = 1;
/** u8 index, 3 x 0, u32 flags, u64 address, u64 size. */
const BAR_SIZE = 24;
const BAR_64_BIT = 1;
const BAR_PREFETCHABLE = 2;

/**
 * The file `etc/fixed-bars` of fw_cfg that the successor of the QEMU series hands to a patched EDK2: the devices in the order in
 * which EDK2 finds them, host bridges by bus number, then depth first by device and function, with their memory BARs. Bridges are
 * not among them: the firmware sizes their windows.
 * @throws Problem `export-needs-machine`, `export-ids` where vendor or device id of a function is not said
 */
export function exportFixedBars(source: ExportSource): Exported {
  const machine = requireMachine(source.machine, 'vendor and device ids, by which the firmware knows a device');
  const hosts = layoutOf(source.plan, machine).toSorted(
    (a, b) => a.planned.segment - b.planned.segment || a.planned.buses[0] - b.planned.buses[0],
  );
  const devices = allPlaced(hosts).filter((fn) => !fn.bridge && memoryBars(fn).length > 0);
  const size = devices.reduce((sum, fn) => sum + DEVICE_SIZE + BAR_SIZE * memoryBars(fn).length, HEADER_SIZE);
  const content = new Uint8Array(size);
  const view = new DataView(content.buffer);
  view.setUint32(0, VERSION, true);
  view.setUint32(4, devices.length, true);
  let at = HEADER_SIZE;
  for (const fn of devices) {
    const { vendor, device } = idsOf(fn);
    const bars = memoryBars(fn);
    view.setUint16(at, vendor, true);
    view.setUint16(at + 2, device, true);
    view.setUint8(at + 4, bars.some(({ pinned }) => pinned) ? DEVICE_FIXED : 0);
    view.setUint8(at + 5, rootBus(fn));
    view.setUint8(at + 6, bars.length);
    at += DEVICE_SIZE;
    for (const bar of bars) at = writeBar(view, at, bar);
  }
  const left = source.plan.functions.filter(
    ({ bars, rom, sriov }) =>
      rom?.pinned || [...bars.filter(({ type }) => type === 'io'), ...(sriov?.bars ?? [])].some(({ pinned }) => pinned),
  );
  return {
    content,
    notes: [
      'this file is proposed: only an EDK2 with that series reads it (-fw_cfg name=etc/fixed-bars,file=… on QEMU)',
      ...(left.length > 0
        ? [`pinned I/O BARs, VF BARs and ROMs are not in the file: ${left.map(({ id }) => id).join(', ')}`]
        : []),
    ],
  };
}

const memoryBars = ({ planned }: PlacedFunction) => planned.bars.filter(({ type }) => type !== 'io');

function writeBar(view: DataView, at: number, { index, type, prefetchable, address, size }: PlannedBar): number {
  view.setUint8(at, index);
  view.setUint32(at + 4, (type === 'mem64' ? BAR_64_BIT : 0) | (prefetchable ? BAR_PREFETCHABLE : 0), true);
  view.setBigUint64(at + 8, address, true);
  view.setBigUint64(at + 16, size, true);
  return at + BAR_SIZE;
}

/** The bus on which the root port above lies; a device of the root bus has that bus itself. */
function rootBus(fn: PlacedFunction): number {
  let top = fn;
  while (top.parent) top = top.parent;
  return top.address.bus;
}

function idsOf({ id, address, wanted }: PlacedFunction): { vendor: number; device: number } {
  const { vendor, device } = wanted ?? {};
  if (vendor !== undefined && device !== undefined) return { vendor, device };
  throw new Problem(
    'export-ids',
    `the machine file does not say vendor and device id of ${id} (${formatBdf(address)})`,
    {
      hint: 'the firmware knows devices by them: add vendor and device to the function',
      facts: { id },
    },
  );
}
