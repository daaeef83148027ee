import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { output, readConsole, readFunctions, type GuestFunction } from './console.js';
import { writeInitrd } from './initrd.js';
import type { GuestArch } from './lab.js';
import { guestCommand } from './pinbar.js';
import { scratchFolder } from './suite.js';
import { connectQmp } from './user-qmp.js';

/** A guest of QEMU 10.0 into which devices are plugged when it has booted. */
export interface PlugOptions {
  readonly arch: GuestArch;
  /** Words of QEMU: ports, firmware. */
  readonly machine: readonly string[];
  /** What `device_add` takes, one after the other. */
  readonly plug: readonly ({ readonly driver: string; readonly id: string } & Readonly<Record<string, unknown>>)[];
  /** PCI functions that there are when the guest has found all of them. */
  readonly functions: number;
  readonly kernelArguments?: string;
}

/** Waits until as many functions are there, and for the kernel to be done with them. */
const script = (count: number) => `
echo '@@@ plug'
for i in $(seq 1 100); do set -- /sys/bus/pci/devices/*; [ $# -ge ${count} ] && break; sleep 0.1; done
sleep 1
section pci pci_functions
section dmesg dmesg
`;

/** Boots the guest, plugs the devices in, and returns its functions, by address, and its kernel's log. */
export async function plugInto({ arch, machine, plug, functions, kernelArguments }: PlugOptions) {
  const folder = scratchFolder();
  const [initrd, socket] = [join(folder, 'initrd'), join(folder, 'qmp')];
  writeInitrd(initrd, { arch, script: script(functions), modules: false });
  const [program = '', ...args] = guestCommand('10.0', {
    arch,
    memory: '1G',
    initrd,
    devices: [...machine, '-qmp', `unix:${socket},server=on,wait=off`],
    ...(kernelArguments === undefined ? {} : { kernelArguments }),
  });
  const guest = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void guest.kill('SIGKILL'));
  let text = '';
  const ended = new Promise<void>((resolve) => guest.on('close', () => resolve()));
  const waiting = new Promise<void>((resolve) => {
    guest.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      if (text.includes('@@@ plug')) resolve();
    });
  });
  await Promise.race([waiting, ended]);
  const qmp = await connectQmp(socket);
  for (const device of plug) await qmp.execute('device_add', device);
  await ended;
  const [boot] = readConsole(text);
  return { functions: readFunctions(output(boot, 'pci')), dmesg: output(boot, 'dmesg'), boot };
}

/** Where a BAR lies; 0: nowhere. */
export function placeOf(fn: GuestFunction | undefined, index: number): bigint {
  const bar = fn?.resources[index];
  // IORESOURCE_UNSET
  return bar === undefined || (bar.flags & 0x2000_0000n) !== 0n ? 0n : bar.base;
}
