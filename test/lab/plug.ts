import { spawn } from 'node:child_process';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Qmp } from '../../src/qemu/qmp.js';
import { readConsole, type Boot } from './console.js';

/** What QMP's `device_add` takes. */
export type PluggedDevice = { readonly driver: string; readonly id: string } & Readonly<Record<string, unknown>>;

/** What the guest's script prints when devices may come. */
const READY = '@@@ plug';

/** Shell: says that devices may come, waits until there are as many functions, and for the kernel to be done with them. */
export const waitForFunctions = (count: number): string => `
echo '${READY}'
for i in $(seq 1 100); do set -- /sys/bus/pci/devices/*; [ $# -ge ${count} ] && break; sleep 0.1; done
sleep 1
`;

/** Runs a guest to its end, and plugs devices into it, one after the other, when its script says that they may come. */
export async function runAndPlug(
  [program, ...args]: readonly [string, ...string[]],
  {
    folder,
    plug,
    seconds = 120,
  }: { readonly folder: string; readonly plug: readonly PluggedDevice[]; readonly seconds?: number },
): Promise<Boot[]> {
  const socket = join(folder, 'qmp');
  const guest = spawn(program, [...args, '-qmp', `unix:${socket},server=on,wait=off`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => guest.kill('SIGKILL'), seconds * 1000);
  try {
    let text = '';
    const ended = new Promise<void>((resolve) => guest.on('close', () => resolve()));
    const ready = new Promise<void>((resolve) => {
      guest.stdout.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.includes(READY)) resolve();
      });
    });
    await Promise.race([ready, ended]);
    const stream = createConnection(socket);
    await new Promise<void>((resolve, reject) => stream.once('connect', resolve).once('error', reject));
    const qmp = new Qmp(stream);
    await qmp.negotiate();
    for (const device of plug) await qmp.execute('device_add', device);
    await ended;
    stream.destroy();
    return readConsole(text);
  } finally {
    clearTimeout(timer);
    guest.kill('SIGKILL');
  }
}
