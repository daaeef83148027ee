import type { CapturedBar, CapturedFunction } from '../import/capture/model.js';
import type { MachineFunction } from '../machine/model.js';
import { formatBdf, type Bdf } from '../pci/bdf.js';
import { ConfigBytes } from '../pci/config-bytes.js';
import { common } from '../pci/header.js';
import { isPowerOfTwo } from '../address/align.js';
import { Problem } from '../problem/problem.js';
import { buildBus } from '../sim/function.js';

export interface TwinBar {
  readonly index: number;
  readonly type: 'io' | 'mem32' | 'mem64';
  readonly prefetchable: boolean;
  /** Bytes; of a VF BAR one VF's. */
  readonly size: bigint;
}

/** A captured function with all that it takes to serve it. */
export interface TwinFunction {
  /** Where it was on the host. */
  readonly address: Bdf;
  readonly vendor: number;
  readonly device: number;
  readonly bars: readonly TwinBar[];
  readonly vfBars: readonly TwinBar[];
  /** Bytes of its expansion ROM; undefined: it has none. */
  readonly rom?: bigint;
  readonly config: ConfigBytes;
}

/**
 * What a capture knows of a function, complete enough to be served.
 * @param notice told what was made up because the capture does not hold it
 * @throws Problem `twin-bridge`, `twin-incomplete`
 */
export function twinFunction(fn: CapturedFunction, notice: (text: string) => void): TwinFunction {
  const name = formatBdf(fn.address);
  if (fn.headerType !== undefined && fn.headerType !== 0) {
    throw new Problem('twin-bridge', `${name} is a bridge: only functions below bridges are served, not the bridges`, {
      hint: 'pinbar run --twin makes the ports and switches out of QEMU’s own',
    });
  }
  const bars = fn.bars.flatMap((bar) => twinBar(bar, `BAR ${bar.index ?? '?'} of ${name}`, notice) ?? []);
  const vfBars = fn.vfBars.flatMap((bar) => twinBar(bar, `VF BAR ${bar.index} of ${name}`, notice) ?? []);
  const config = fn.config?.has(0x3c) ? fn.config : madeUp(fn, bars, notice);
  const vendor = fn.vendor ?? config.field(common.vendorId);
  const device = fn.device ?? config.field(common.deviceId);
  if (vendor === 0xffff) {
    throw new Problem('twin-incomplete', `the capture does not say what ${name} is: its vendor id is not known`, {
      hint: 'capture it with pinbar scan, or with lspci -nn -vvv -xxxx as root',
    });
  }
  const rom = fn.rom?.size;
  return {
    ...{ address: fn.address, vendor, device, bars, vfBars, config },
    ...(rom === undefined || rom < 0x800n || !isPowerOfTwo(rom) ? {} : { rom }),
  };
}

function twinBar(bar: CapturedBar, what: string, notice: (text: string) => void): TwinBar | undefined {
  const { index, size, prefetchable = false } = bar;
  const type = bar.type === 'memory' ? 'mem64' : bar.type;
  const smallest = type === 'io' ? 4n : 16n;
  if (index === undefined || size === undefined || !isPowerOfTwo(size) || size < smallest) {
    notice(`${what} is left out: the capture does not hold its ${index === undefined ? 'number' : 'size'}`);
    return undefined;
  }
  if (type === 'mem64' && index === 5) {
    notice(`${what} is left out: there is no register for its upper half`);
    return undefined;
  }
  if (type !== 'mem64' && size > 1n << 31n) {
    notice(`${what} is left out: 32 bits cannot hold its size`);
    return undefined;
  }
  return { index, type, prefetchable, size };
}

/** Config space for a function of which only a listing was captured: that of the simulated machine. */
function madeUp(fn: CapturedFunction, bars: readonly TwinBar[], notice: (text: string) => void): ConfigBytes {
  notice(`${formatBdf(fn.address)}: the capture does not hold its config space; the capabilities are made up`);
  const model: MachineFunction = {
    id: 'twin',
    slot: { device: 0, fn: 0 },
    ...(fn.vendor === undefined ? {} : { vendor: fn.vendor }),
    ...(fn.device === undefined ? {} : { device: fn.device }),
    ...(fn.class === undefined ? {} : { class: fn.class }),
    bars,
  };
  const [made] = buildBus([model], 'pcie', {});
  const config = new ConfigBytes();
  for (let at = 0; at < 0x1000; at += 4) config.set(at, made?.registers.read(at, 4) ?? 0);
  if (fn.subsystem) config.set(0x2c, fn.subsystem.vendor + fn.subsystem.device * 0x1_0000);
  return config;
}
