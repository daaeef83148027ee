import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { output, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { GuestArch, QemuVersion } from '../lab/lab.js';
import { memoryFiller } from '../lab/memory-filler.js';
import { guestCommand, pinbar } from '../lab/pinbar.js';
import { expectPlanInGuest, readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

const MiB = 1n << 20n;
const GiB = 1n << 30n;

interface Case {
  readonly arch: GuestArch;
  readonly version: QemuVersion;
  readonly transport: 'qtest' | 'gdb';
  readonly split: string;
  /** Where the guest has its RAM. */
  readonly ram: readonly string[];
  /** What a program in the guest fills and checks: more than any one part holds. */
  readonly fill: bigint;
  /** BAR 2 of a device behind a root port. */
  readonly pin: string;
  /** What is left of the 64-bit window. */
  readonly windows: readonly string[];
}

// prettier-ignore
const riscv64 = {
  arch: 'riscv64', split: '1GiB+4GiB', ram: ['80000000-bfffffff', '400000000-4ffffffff'], fill: 4400n * MiB,
  pin: '0x540000000', windows: ['0x500000000-0x7ffffffff'],
} as const;
// prettier-ignore
const cases: readonly Case[] = [
  { ...riscv64, version: '7.2', transport: 'qtest' },
  { ...riscv64, version: '10.0', transport: 'gdb' },
  {
    arch: 'aarch64', version: '7.2', transport: 'gdb', split: '512MiB+768MiB@0x8100000000',
    ram: ['40000000-5fffffff', '8100000000-812fffffff'], fill: 900n * MiB,
    pin: '0x8200000000', windows: ['0x8000000000-0x80ffffffff', '0x8130000000-0xffffffffff'],
  },
  {
    arch: 'aarch64', version: '10.0', transport: 'qtest', split: '512MiB+1GiB',
    ram: ['40000000-5fffffff', '8000000000-803fffffff'], fill: 1200n * MiB,
    pin: '0x8100000000', windows: ['0x8040000000-0xffffffffff'],
  },
];

const script = `
boot=$(count_boots /dev/vda)
section boot echo "$boot"
section pci pci_functions
section iomem cat /proc/iomem
section memory cat /proc/meminfo
section tree sh -c "cd /proc/device-tree; for node in memory@*; do echo \\$node \\$(hexdump -v -e '4/1 \\"%02x\\" \\" \\"' \\$node/reg); done"
section host-bridge sh -c "dmesg | grep 'root bus resource'"
# What the device reads and writes lies in the upper part: Linux hands it out first.
section disk disk_test /dev/vda 16
[ "$boot" -gt 1 ] || section fill /bin/fill
[ "$boot" -gt 2 ] || finish reboot
`;

describeInLab(
  'RAM in parts',
  // prettier-ignore
  [
    'qemu-7.2', 'qemu-10.0', 'linux-6.12', 'guest', 'qemu-7.2-riscv64', 'qemu-10.0-riscv64', 'linux-6.12-riscv64',
    'guest-riscv64', 'qemu-10.0-x86_64', 'linux-6.12-x86_64', 'guest-x86_64',
  ],
  () => {
    it.each(cases)(
      '$arch, QEMU $version, $transport: $split is all there, beside the devices, after two reboots',
      { timeout: 400_000 },
      async ({ arch, version, transport, split, ram, fill, pin, windows }) => {
        const folder = scratchFolder();
        const file = (name: string) => join(folder, name);
        writeFileSync(file('disk'), '');
        truncateSync(file('disk'), 64 * 2 ** 20);
        writeInitrd(file('initrd'), { arch, script, files: { '/bin/fill': memoryFiller(arch, fill) } });
        // prettier-ignore
        const devices = [
          '-device', 'pcie-root-port,id=rp1,chassis=1,addr=1.0', '-device', 'pci-testdev,id=test,bus=rp1,membar=64M',
          '-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,id=disk,drive=d0',
        ];
        const command = guestCommand(version, { arch, initrd: file('initrd'), devices });
        const { boots, end, errors } = await pinbar(
          [
            ...['run', '--quiet', '--transport', transport, '--plan-out', file('plan'), '--verify'],
            ...['--split-ram', split, '--pin', `test=bar2@${pin}`, '--', ...command],
          ],
          { seconds: 380 },
        );
        expect(errors).toContain('pinbar: -m 512M is taken out');
        expect(end).toBe(0);
        const plan = readPlan(file('plan')) as ReturnType<typeof readPlan> & { ram: { base: string; size: string }[] };
        expect(plan.ram.map(({ base, size }) => listed(BigInt(base), BigInt(size)))).toEqual(ram);
        const bar = plan.functions.find(({ id }) => id === 'test')?.bars.find(({ index }) => index === 2);
        expect(bar).toMatchObject({ address: pin, pinned: true });
        expect(boots.map((boot) => `${output(boot, 'boot').trim()} ${boot.left}`)).toEqual([
          '1 reboot',
          '2 reboot',
          '3 poweroff',
        ]);
        for (const boot of boots) {
          expectPlanInGuest(plan, boot);
          expect(systemRam(boot)).toEqual(ram);
          expect(memoryNodes(boot)).toEqual(ram);
          expect(highWindows(boot)).toEqual(windows);
          expect(output(boot, 'disk')).toContain('written, read and equal');
          // Nothing shows the functions that the RAM belongs to.
          expect(output(boot, 'pci')).not.toMatch(/^function 0000:00:1/m);
        }
        const total = BigInt(/^MemTotal: +(\d+) kB$/m.exec(output(boots[0], 'memory'))?.[1] ?? 0) << 10n;
        expect(total).toBeGreaterThan(fill);
        expect(output(boots[0], 'fill').trim()).toBe('');
      },
    );

    it('x86_64, QEMU 10.0: a PC splits its RAM itself', { timeout: 120_000 }, async () => {
      const folder = scratchFolder();
      const initrd = join(folder, 'initrd');
      writeInitrd(initrd, {
        arch: 'x86_64',
        script: 'section iomem cat /proc/iomem\nsection memory cat /proc/meminfo',
      });
      const command = guestCommand('10.0', { arch: 'x86_64', initrd });
      const { boots, end } = await pinbar(['run', '--quiet', '--split-ram', '256MiB+512MiB', '--', ...command]);
      expect(end).toBe(0);
      // ACPI tables and the first MiB take their share below.
      const limits = [...output(boots[0], 'iomem').matchAll(/^([0-9a-f]+)-([0-9a-f]+) : System RAM$/gm)];
      expect(limits.at(-1)?.slice(1)).toEqual(['100000000', '11fffffff']);
      expect(limits.slice(0, -1).every(([, , limit]) => BigInt(`0x${limit}`) < 256n * MiB)).toBe(true);
    });

    it('what cannot be is said before the guest runs', { timeout: 120_000 }, async () => {
      const run = async (split: string, more: string[] = [], version: QemuVersion = '10.0') => {
        const command = guestCommand(version, {
          arch: 'riscv64',
          devices: ['-device', 'pci-testdev,id=test,membar=64M'],
        });
        const {
          end,
          errors,
          output: printed,
        } = await pinbar(['run', '-q', '--split-ram', split, ...more, '--', ...command]);
        expect(printed).toBe('');
        return { end, errors };
      };
      const [outside, full, pinned, host] = await Promise.all([
        run('1GiB+4GiB@0x100000000'),
        run('1GiB+17GiB', [], '7.2'),
        run('1GiB+4GiB@0x400000000', ['--pin', 'test=bar2@0x440000000']),
        run('1GiB+512TiB'),
      ]);
      expect(outside).toMatchObject({ end: 1, errors: expect.stringContaining('lies in no memory window') as string });
      expect(full).toMatchObject({
        end: 1,
        errors: expect.stringContaining('no 64-bit window has 17 GiB free') as string,
      });
      expect(pinned).toMatchObject({ end: 2, errors: expect.stringContaining('test=bar2@0x440000000') as string });
      expect(host).toMatchObject({ end: 3, errors: expect.stringContaining('could not get the memory') as string });
    });
  },
);

const listed = (base: bigint, size: bigint) => `${base.toString(16)}-${(base + size - 1n).toString(16)}`;

/** `/proc/iomem`'s System RAM; what firmware keeps at the start of a part is Reserved there, and RAM all the same. */
function systemRam(boot: Boot | undefined): string[] {
  const ranges = [...output(boot, 'iomem').matchAll(/^([0-9a-f]+)-([0-9a-f]+) : (System RAM|Reserved)$/gm)].map(
    ([, base, limit]) => ({ base: BigInt(`0x${base}`), limit: BigInt(`0x${limit}`) }),
  );
  const joined: { base: bigint; limit: bigint }[] = [];
  for (const { base, limit } of ranges) {
    const last = joined.at(-1);
    if (last?.limit === base - 1n) last.limit = limit;
    else joined.push({ base, limit });
  }
  return joined
    .filter(({ base, limit }) => limit - base > 64n * MiB)
    .map(({ base, limit }) => listed(base, limit - base + 1n));
}

/** The memory nodes of the tree that the guest has, low to high. */
const memoryNodes = (boot: Boot | undefined): string[] =>
  [...output(boot, 'tree').matchAll(/^memory@[0-9a-f]+ (\w{8}) (\w{8}) (\w{8}) (\w{8}) *$/gm)]
    .map(([, a, b, c, d]) => ({ base: BigInt(`0x${a}${b}`), size: BigInt(`0x${c}${d}`) }))
    .sort((a, b) => Number(a.base - b.base))
    .map(({ base, size }) => listed(base, size));

const highWindows = (boot: Boot | undefined): string[] =>
  [...output(boot, 'host-bridge').matchAll(/\[mem (0x[0-9a-f]+)-(0x[0-9a-f]+)/g)]
    .filter(([, base = '']) => BigInt(base) >= 4n * GiB)
    .map(([, base, limit]) => `${base}-${limit}`);
