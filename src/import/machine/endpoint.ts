import { formatQemuSize, hex } from '../../address/format.js';
import { isPowerOfTwo } from '../../address/align.js';
import { FOUR_GIB } from '../../address/kinds.js';
import type { BarType } from '../../machine/model.js';
import type { FunctionInput } from '../../machine/schema.js';
import { formatBdf } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import type { Capture, CapturedBar, CapturedFunction, CapturedResource } from '../capture/model.js';

/** A BAR of a device that is passed through, as the guest will see it. */
export interface GuestBar {
  readonly index: number;
  readonly type: BarType;
  readonly prefetchable: boolean;
  readonly size: bigint;
  /** Its bus address on the host; undefined where it has none, or none was shown. */
  readonly hostAddress?: bigint;
}

/**
 * The BARs of a function. `isPc`: the system's port numbers are those on the bus.
 * @throws Problem `size-unknown`, `bar-unknown` where the capture does not say enough
 */
export function guestBars(capture: Capture, fn: CapturedFunction, isPc: boolean): GuestBar[] {
  const at = formatBdf(fn.address);
  return fn.bars.map((bar) => {
    const { index, prefetchable = false, size } = bar;
    if (index === undefined) throw notShown(at, 'which BAR is which', 'bar-unknown');
    if (size === undefined) throw notShown(at, `the size of BAR ${index}`, 'size-unknown');
    if (!isPowerOfTwo(size)) {
      throw new Problem(
        'size-unknown',
        `${at}: BAR ${index} has ${hex(size)} bytes in the capture, and a BAR has a power of two`,
      );
    }
    const hostAddress = busAddressOf(capture, fn, bar, isPc);
    const type = bar.type === 'memory' ? widthOf(at, index, size, hostAddress) : bar.type;
    return { index, type, prefetchable, size, ...(hostAddress === undefined ? {} : { hostAddress }) };
  });
}

/** A BAR of which only the address was shown. */
function widthOf(at: string, index: number, size: bigint, address: bigint | undefined): BarType {
  if (size > FOUR_GIB / 2n || (address ?? 0n) >= FOUR_GIB) return 'mem64';
  throw notShown(at, `whether BAR ${index} has 32 or 64 bits`, 'bar-unknown');
}

const notShown = (at: string, what: string, code: string) =>
  new Problem(code, `${at}: the capture does not show ${what}`, {
    hint: `add the output of lspci -vvv -s ${at}, or of grep . /sys/bus/pci/devices/${at}/resource, to the files that are imported`,
    facts: { at, what },
  });

/**
 * What the register of a resource holds, or would hold: where only the system's number was seen, it is taken back through
 * the host bridge's window. Undefined where the resource has no address.
 */
export function busAddressOf(
  capture: Capture,
  fn: CapturedFunction,
  resource: CapturedResource & Pick<CapturedBar, 'type'>,
  isPc: boolean,
) {
  const { state, busAddress, address } = resource;
  if (state === 'unassigned') return undefined;
  if (busAddress !== undefined && state !== 'os-only') return busAddress;
  if (address === undefined) return busAddress;
  const isIo = resource.type === 'io';
  const window = capture.hostBridges
    .filter(({ segment }) => segment === fn.address.segment)
    .flatMap(({ windows = [] }) => windows)
    .find((one) => (one.type === 'io') === isIo && one.address <= address && address < one.address + one.size);
  if (window?.base !== undefined) return address - window.address + window.base;
  return isIo && !isPc ? undefined : address;
}

/** ROM sizes that a machine file takes: PCI Local Bus 3.0 §6.2.5.2. */
const isRomSize = (size: bigint) => isPowerOfTwo(size) && size >= 0x800n && size <= 1n << 31n;

/**
 * A function of the guest, without pins. What VFIO does not show the guest is left out: SR-IOV and ARI (QEMU
 * hw/vfio/pci.c, vfio_add_ext_cap).
 */
export function guestFunction(
  fn: CapturedFunction,
  id: string,
  slot: string,
  bars: readonly GuestBar[],
): FunctionInput {
  const { vendor, device, class: code, rom } = fn;
  return {
    id,
    slot,
    ...(vendor === undefined ? {} : { vendor: hex(vendor, 4) }),
    ...(device === undefined ? {} : { device: hex(device, 4) }),
    ...(code === undefined ? {} : { class: hex(code, 6) }),
    hostAddress: formatBdf(fn.address),
    ...(bars.length > 0
      ? {
          bars: bars.map(({ index, type, prefetchable, size }) => ({
            index,
            type,
            ...(prefetchable ? { prefetchable } : {}),
            size: sizeText(size),
          })),
        }
      : {}),
    ...(rom?.size !== undefined && isRomSize(rom.size) ? { rom: { size: sizeText(rom.size) } } : {}),
  };
}

/** `64GiB`, `256`, as machine files have sizes. */
export function sizeText(size: bigint): string {
  const text = formatQemuSize(size);
  return /[KMGTPE]$/.test(text) ? `${text}iB` : size < 1024n ? String(size) : text;
}
