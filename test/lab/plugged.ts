import { join } from 'node:path';
import { output, readFunctions, type GuestFunction } from './console.js';
import { writeInitrd } from './initrd.js';
import type { GuestArch } from './lab.js';
import { guestCommand } from './pinbar.js';
import { runAndPlug, waitForFunctions, type PluggedDevice } from './plug.js';
import { scratchFolder } from './suite.js';

/** A guest of QEMU 10.0 into which devices are plugged when it has booted. */
export interface PlugOptions {
  readonly arch: GuestArch;
  /** Words of QEMU: ports, firmware. */
  readonly machine: readonly string[];
  readonly plug: readonly PluggedDevice[];
  /** PCI functions that there are when the guest has found all of them. */
  readonly functions: number;
  readonly kernelArguments?: string;
}

/** Boots the guest, plugs the devices in, and returns its functions, by address. */
export async function plugInto(options: PlugOptions): Promise<Map<string, GuestFunction>> {
  const { arch, machine, plug, functions, kernelArguments } = options;
  const folder = scratchFolder();
  const initrd = join(folder, 'initrd');
  writeInitrd(initrd, { arch, script: `${waitForFunctions(functions)}section pci pci_functions`, modules: false });
  const command = guestCommand('10.0', {
    arch,
    memory: '1G',
    initrd,
    devices: machine,
    ...(kernelArguments === undefined ? {} : { kernelArguments }),
  });
  const [boot] = await runAndPlug(command as [string, ...string[]], { folder, plug });
  return readFunctions(output(boot, 'pci'));
}

/** Where a BAR lies; 0: nowhere. */
export function placeOf(fn: GuestFunction | undefined, index: number): bigint {
  const bar = fn?.resources[index];
  // IORESOURCE_UNSET
  return bar === undefined || (bar.flags & 0x2000_0000n) !== 0n ? 0n : bar.base;
}
