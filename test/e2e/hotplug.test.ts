import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output, readFunctions, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { GuestArch, QemuVersion } from '../lab/lab.js';
import { guestCommand, RunningPinbar } from '../lab/pinbar.js';
import { barOf, readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { connectQmp } from '../lab/user-qmp.js';

interface BoardCase {
  readonly version: QemuVersion;
  readonly arch: GuestArch;
  /** Where rp1's device comes, and rp2's is. */
  readonly hot: string;
  readonly dev0: string;
  readonly bar: bigint;
  readonly reserve: string;
  /** Half of the time is Linux waiting five seconds whether an unplugging was meant. */
  readonly unplug?: boolean;
}

const aarch64 = { arch: 'aarch64', hot: '0000:01:00.0', dev0: '0000:04:00.0', bar: 0x9040000000n } as const;
const cases: readonly BoardCase[] = [
  { ...aarch64, version: '7.2', reserve: 'rp1=buses:2,memory:2M,prefetchable:64M' },
  { ...aarch64, version: '10.0', reserve: 'rp1=buses:2,memory:2M,prefetchable:64M', unplug: true },
  // qboot numbers buses from the highest slot down, and leaves none free.
  {
    ...{ arch: 'x86_64', version: '7.2', hot: '0000:02:00.0', dev0: '0000:01:00.0', bar: 0x6b80000000n },
    reserve: 'rp1=memory:2M,prefetchable:64M',
  },
];

/** Waits for a device to come and reboots with it; with `unplug` waits for two to go and reboots without them. */
const script = ({ hot, dev0, unplug }: BoardCase) => `
until_shown() { for i in $(seq 1 100); do [ -e "/sys/bus/pci/devices/$1" ] && return; sleep 0.1; done; return 1; }
until_gone() { for i in $(seq 1 100); do [ -e "/sys/bus/pci/devices/$1" ] || return 0; sleep 0.1; done; return 1; }
boot=$(count_boots /dev/vda)
section boot echo "$boot"
echo "@@@ waiting $boot"
if [ "$boot" -eq 1 ]; then
  echo '@@@ plug'
  section come until_shown ${hot}
  sleep 0.5
fi
if [ "$boot" -le 2 ]; then
  # Linux enables a device when a driver takes it, and none does.
  section enable sh -c 'echo 1 >/sys/bus/pci/devices/${hot}/enable'
  section memory mmio_test "$(bar ${hot} 2)"
fi
section pci pci_functions
${unplug ? '' : '[ "$boot" -ne 2 ] || finish poweroff'}
if [ "$boot" -eq 2 ]; then
  echo '@@@ unplug'
  section go until_gone ${hot}
  section leave until_gone ${dev0}
fi
[ "$boot" -eq 3 ] || finish reboot
`;

const ROOM = 64n << 20n;
// prettier-ignore
const ports = [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0',
  '-device', 'pcie-root-port,id=rp2,chassis=2,addr=2.0', '-device', 'pci-testdev,id=dev0,bus=rp2,membar=16M',
];

function prepare(board: BoardCase, own: readonly string[], devices: readonly string[]) {
  const { arch, version } = board;
  const folder = scratchFolder();
  const file = (name: string) => join(folder, name);
  writeFileSync(file('disk'), '');
  truncateSync(file('disk'), 2 ** 20);
  writeInitrd(file('initrd'), { arch, script: script(board) });
  // prettier-ignore
  const command = guestCommand(version, { arch, initrd: file('initrd'), devices: [...devices,
    '-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,id=disk,drive=d0,addr=3.0',
    '-object', 'memory-backend-ram,id=memory,size=64M', '-qmp', `unix:${file('qmp')},server=on,wait=off`,
  ] });
  const run = new RunningPinbar(['run', '--quiet', '--verbose', '--plan-out', file('plan'), ...own, '--', ...command], {
    seconds: 170,
  });
  return { run, file };
}

const range = (boot: Boot | undefined, address: string, index: number) =>
  readFunctions(output(boot, 'pci')).get(address)?.resources[index];

describeInLab(
  'hotplug',
  // prettier-ignore
  [
    'qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest', 'qemu-7.2-x86_64', 'linux-6.12-x86_64',
    'guest-x86_64',
  ],
  () => {
    it.each(cases)(
      '$arch, QEMU $version: a device gets the room that was kept, and keeps it over a reboot',
      async (board) => {
        const { hot, dev0, bar, reserve, unplug = false } = board;
        const pin = ['--pin', `dev0=bar2@0x${bar.toString(16)}`];
        const { run, file } = prepare(board, ['--verify', ...pin, '--reserve', reserve], ports);
        await run.shows(/@@@ plug/);
        const port = readPlan(file('plan')).bridges.find(({ id }) => id === 'rp1') as unknown as Record<
          'memory' | 'prefetchable',
          Window
        >;
        const qmp = await connectQmp(file('qmp'));
        await qmp.execute('device_add', { driver: 'ivshmem-plain', id: 'hot0', bus: 'rp1', memdev: 'memory' });
        await run.shows(/@@@ waiting 2/);
        const { functions } = readPlan(file('plan'));
        if (unplug) {
          await run.shows(/@@@ unplug/);
          for (const id of ['hot0', 'dev0']) await qmp.execute('device_del', { id });
        }
        const { boots, end, errors } = await run.ended;

        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
          '1 reboot',
          ...(unplug ? ['2 reboot', '3 poweroff'] : ['2 poweroff']),
        ]);
        // All of the prefetchable window, which is as large as the BAR, and a part of the other.
        const within = (window: Window, of: ReturnType<typeof range>) =>
          of !== undefined && BigInt(window.base) <= of.base && of.limit <= BigInt(window.limit);
        expect(BigInt(port.prefetchable.limit) - BigInt(port.prefetchable.base) + 1n).toBe(ROOM);
        for (const boot of boots.slice(0, 2)) {
          expect(range(boot, hot, 2)).toMatchObject({
            base: BigInt(port.prefetchable.base),
            limit: BigInt(port.prefetchable.limit),
          });
          expect(within(port.memory, range(boot, hot, 0))).toBe(true);
          expect(output(boot, 'memory')).toContain('keeps what is written');
          expect(barOf(boot, dev0, 2)).toBe(bar);
        }
        expect(functions.find(({ id }) => id === 'hot0')).toMatchObject({ address: hot });
        expect(errors).toContain(`new since the last start of the guest: hot0 (${hot}); placed beside`);
        if (unplug) {
          // What has gone is neither missed nor looked for.
          const last = readFunctions(output(boots[2], 'pci'));
          expect([...last.keys()]).toEqual(['0000:00:00.0', '0000:00:01.0', '0000:00:02.0', '0000:00:03.0']);
          expect(errors).toMatch(/gone since the last start of the guest: hot0, dev0/);
        }
        expect(errors).not.toContain('had not kept');
        expect(end).toBe(0);
      },
    );

    it('what QEMU’s own options ask for is kept, and --reserve comes before it', async () => {
      const [, , ...others] = ports;
      const port = 'pcie-root-port,id=rp1,chassis=1,addr=1.0,bus-reserve=3,mem-reserve=4M,pref64-reserve=32M';
      const { run, file } = prepare(
        { ...aarch64, version: '10.0', reserve: '' },
        ['--reserve', 'rp1=prefetchable:128M'],
        ['-S', '-device', port, ...others],
      );
      await run.shows(/ms {2}running/, 'errors');
      const rp1 = readPlan(file('plan')).bridges.find(({ id }) => id === 'rp1');
      run.signal('SIGTERM');
      await run.ended;
      const size = ({ base, limit }: Window) => BigInt(limit) - BigInt(base) + 1n;
      const { memory, prefetchable } = rp1 as unknown as Record<'memory' | 'prefetchable', Window>;
      expect(rp1).toMatchObject({ secondary: 1, subordinate: 4 });
      expect([size(memory), size(prefetchable)]).toEqual([4n << 20n, 128n << 20n]);
    });
  },
);

interface Window {
  readonly base: string;
  readonly limit: string;
}
