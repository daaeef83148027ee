import { parseSize } from '../../address/format.js';
import { GiB } from '../../address/kinds.js';
import type { Capture } from '../../import/capture/model.js';
import { chosenFunctions, indexOf, parseDevices } from '../../import/machine/chosen.js';
import { guestBars } from '../../import/machine/endpoint.js';
import { formatBdf } from '../../pci/bdf.js';
import { Exit, Problem } from '../../problem/problem.js';
import { devicesOfBars, type DeviceNeed } from '../../size/need.js';
import { sizesToJson } from '../../size/schema.js';
import { sizesFor } from '../../size/sizes.js';
import { work, type Context } from '../context.js';
import { styleFor } from '../io.js';
import { readCapture } from '../read-capture.js';
import { renderSizes } from '../render/sizes.js';
import type { SizeFlags } from './flags.js';

export async function size(this: Context, flags: SizeFlags, ...files: string[]): Promise<void> {
  await work(this, async (io) => {
    const ram = flags.ram === undefined ? 4n * GiB : parseSize(flags.ram);
    const described = devicesOfBars(flags.bar ?? []);
    if (files.length > 0 && flags.devices === undefined) {
      throw new Problem('usage', 'a capture is given, and no devices of it are named', {
        hint: 'name functions: --devices 0009:06:00.0,0009:01:00.0; pinbar import shows them',
      });
    }
    if (files.length === 0 && (described.length === 0 || flags.devices !== undefined)) {
      throw new Problem(
        'usage',
        flags.devices === undefined
          ? 'there are no devices to size for'
          : '--devices names functions of a capture, and none is given',
        {
          hint: 'describe BARs: pinbar size --bar 512GiB*8 --bar 64MiB*8:32; or give a capture: pinbar size host.json --devices 0009:06:00.0',
        },
      );
    }
    const capture = files.length > 0 ? await readCapture(files, io) : undefined;
    const devices = [...(capture ? captured(capture, flags.devices ?? '') : []), ...described];
    const iommuBits = (capture?.host.iommus ?? []).flatMap(({ addressBits }) => addressBits ?? []);
    const sizes = sizesFor({
      devices,
      ram,
      ...(capture?.host.physicalAddressBits === undefined ? {} : { hostBits: capture.host.physicalAddressBits }),
      ...(iommuBits.length > 0 ? { iommuBits: Math.min(...iommuBits) } : {}),
    });
    io.stdout.write(
      flags.json
        ? `${JSON.stringify(sizesToJson(sizes), null, 2)}\n`
        : renderSizes(sizes, styleFor(io.stdout, io.env), io.stdout.columns),
    );
    return Exit.done;
  });
}

/** The BARs that the guest sees of the host's functions. */
const captured = (capture: Capture, text: string): DeviceNeed[] =>
  chosenFunctions(indexOf(capture), parseDevices(text)).map((fn) => ({
    id: formatBdf(fn.address),
    bars: guestBars(capture, fn, false).map(({ type, prefetchable, size: bytes }) => ({
      type,
      prefetchable,
      size: bytes,
    })),
  }));
