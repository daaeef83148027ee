import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { devicesOfBars } from '../../src/size/need.js';
import { sizesFor } from '../../src/size/sizes.js';
import { output, readConsole, readFunctions } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { guestCommand } from '../lab/pinbar.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { connectQmp } from '../lab/user-qmp.js';

const GiB = 1n << 30n;
const SIZE = 64n * GiB;

/** Waits until a device was plugged in behind the port, and for the kernel to be done with it. */
const script = `
echo '@@@ plug'
for i in $(seq 1 600); do [ -e /sys/bus/pci/devices/0000:01:00.0 ] && break; sleep 0.1; done
sleep 2
section pci pci_functions
`;

/** Where Linux puts BAR 2 of a device that is plugged into an empty port; 0: it finds no place. */
async function plugged(machine: readonly string[], port = ''): Promise<bigint> {
  const folder = scratchFolder();
  const [initrd, socket] = [join(folder, 'initrd'), join(folder, 'qmp')];
  writeInitrd(initrd, { arch: 'x86_64', script });
  const [program = '', ...args] = guestCommand('10.0', {
    arch: 'x86_64',
    memory: '1G',
    initrd,
    // prettier-ignore
    devices: [...machine, '-device', `pcie-root-port,id=rp,chassis=1${port}`, '-qmp', `unix:${socket},server=on,wait=off`],
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
  await qmp.execute('device_add', { driver: 'pci-testdev', id: 'dev', bus: 'rp', membar: Number(SIZE) });
  await ended;
  const [boot] = readConsole(text);
  const bar = readFunctions(output(boot, 'pci')).get('0000:01:00.0')?.resources[2];
  return bar === undefined || (bar.flags & 0x2000_0000n) !== 0n ? 0n : bar.base;
}

describeInLab(
  'pinbar size, devices plugged in later',
  ['qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64'],
  () => {
    const { answers } = sizesFor({ devices: devicesOfBars(['64GiB']), ram: GiB });

    it('pci-hole64-size: Linux finds room for a port’s window with it, and not with the next smaller value', async () => {
      const found = answers.find(({ option }) => option.endsWith('pci-hole64-size'));
      const native = ['-global', 'ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off'];
      const hole = (size = '') => [...native, '-global', `q35-pcihost.pci-hole64-size=${size}`];
      expect([found?.value, found?.smaller?.value]).toEqual(['124G', '123G']);
      expect(await plugged(hole(found?.value ?? ''))).toBe(0x1000000000n);
      expect(await plugged(hole(found?.smaller?.value))).toBe(0n);
    });

    it('pref64-reserve: the port that SeaBIOS opened holds the device, and one without it does not', async () => {
      const found = answers.find(({ option, where }) => option === 'pref64-reserve' && where.includes('SeaBIOS'));
      expect(found?.value).toBe('131070M');
      expect(await plugged([], `,pref64-reserve=${found?.value ?? ''}`)).toBeGreaterThanOrEqual(4n * GiB);
      expect(await plugged([])).toBe(0n);
    });
  },
);
