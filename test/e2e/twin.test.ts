import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadCapture } from '../../src/import/capture/load.js';
import type { CapturedFunction } from '../../src/import/capture/model.js';
import { formatBdf } from '../../src/pci/bdf.js';
import { decodeCapabilities } from '../../src/pci/capabilities/chain.js';
import type { Capability } from '../../src/pci/capabilities/index.js';
import { ConfigBytes } from '../../src/pci/config-bytes.js';
import { output, readFunctions, type Boot } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { guestCommand, pinbar, RunningPinbar } from '../lab/pinbar.js';
import { barOf, expectPlanInGuest, listings, readPlan, verify } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

const example = 'examples/gb300-two-switches.capture.json';
const capture = await loadCapture(readFileSync(example, 'utf8'), example);
const devices = capture.functions.filter(({ headerType }) => headerType === 0);

/** The host's tree has the guest's bus numbers, in another segment. */
const inGuest = ({ address }: CapturedFunction) => formatBdf({ ...address, segment: 0 });

/** What QEMU does not pass on of a device: hw/vfio/pci.c, vfio_add_ext_cap. */
const hidden = new Set(['singleRootIov', 'alternativeRoutingId']);

const capabilitiesOf = (config: ConfigBytes) =>
  decodeCapabilities(config)
    .capabilities.filter(({ kind }) => !hidden.has(kind))
    .map(seen);

/**
 * A capability as both have it. Of a resizable BAR, QEMU passes on the size that it has now as the only one; the payload size
 * is the guest's choice, by the port above.
 */
function seen(capability: Capability) {
  if (capability.kind === 'express') return { ...capability, data: { ...capability.data, maxPayload: null } };
  if (capability.kind !== 'resizableBar') return capability;
  return { ...capability, data: { bars: capability.data.bars.map(({ index, size }) => ({ index, size })) } };
}

const inBoot = (boot: Boot, fn: CapturedFunction) => readFunctions(output(boot, 'pci')).get(inGuest(fn))!;

describeInLab('a rehearsal with twins', ['qemu-11.1', 'linux-6.12', 'guest'], () => {
  describe('two GPUs and two NICs under switches', () => {
    it('have their ids, capabilities and host addresses in a real guest, through a reboot', async () => {
      const folder = scratchFolder();
      const file = (name: string) => join(folder, name);
      writeFileSync(file('disk'), '');
      truncateSync(file('disk'), 2 ** 20);
      const script = `${listings}
section boot count_boots /dev/vda
section memory sh -c 'echo 1 >/sys/bus/pci/devices/0000:03:00.0/enable'
[ "$boots" -gt 1 ] || finish reboot
`;
      writeInitrd(file('initrd'), { script, lspci: true });
      // prettier-ignore
      const disk = ['-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,drive=d0,addr=1e.0'];
      const { boots, end, errors } = await pinbar([
        ...['run', '--quiet', '--verify', '--plan-out', file('plan'), '--twin', example],
        ...['--', ...guestCommand('11.1', { initrd: file('initrd'), devices: disk })],
      ]);

      // Nothing but what pinbar is at, on a machine that is slow.
      expect(errors.replaceAll(/^pinbar: .* …\n/gm, '')).toBe('');
      expect(end).toBe(0);
      expect(boots.map(({ left }) => left)).toEqual(['reboot', 'poweroff']);
      expect(devices).toHaveLength(4);
      for (const boot of boots) {
        expectPlanInGuest(readPlan(file('plan')), boot);
        for (const fn of devices) {
          const { config } = inBoot(boot, fn);
          const guest = ConfigBytes.of(config);
          expect([guest.u32(0), guest.u32(8)]).toEqual([fn.config!.u32(0), fn.config!.u32(8)]);
          expect(capabilitiesOf(guest)).toEqual(capabilitiesOf(fn.config!));
          expect(fn.bars.map(({ index }) => barOf(boot, inGuest(fn), index!))).toEqual(
            fn.bars.map(({ busAddress }) => busAddress),
          );
        }
        const verified = await verify(folder, file('plan'), boot);
        expect(`${verified.end}: ${verified.errors}`).toBe('0: ');
      }
    });

    it('appear late, silently or plugged in, and get what was kept for them, over a reboot as well', async () => {
      const folder = scratchFolder();
      const file = (name: string) => join(folder, name);
      const [gpu, nic, pluggedGpu, pluggedNic] = devices as [
        CapturedFunction,
        CapturedFunction,
        CapturedFunction,
        CapturedFunction,
      ];
      const path = (fn: CapturedFunction) => `/sys/bus/pci/devices/${inGuest(fn)}`;
      writeFileSync(file('disk'), '');
      truncateSync(file('disk'), 2 ** 20);
      // The first boot ends before they come. Nothing is done for what is plugged in but to wait; the others are looked for.
      const script = `
section boot count_boots /dev/vda
section before ls /sys/bus/pci/devices
[ "$boots" -gt 1 ] || finish reboot
echo "@@@ waiting"
until [ -e ${path(pluggedGpu)} ] && [ -e ${path(pluggedNic)} ]; do sleep 0.2; done
until [ -e ${path(gpu)} ] && [ -e ${path(nic)} ]; do sleep 0.2; echo 1 >/sys/bus/pci/rescan; done
section memory sh -c 'echo 1 >${path(pluggedGpu)}/enable'
section write mmio_test 0x6d8000000000
section pci pci_functions
section dmesg dmesg
[ "$boots" -gt 2 ] || finish reboot
`;
      writeInitrd(file('initrd'), { script });
      // prettier-ignore
      const disk = ['-drive', `if=none,id=d0,format=raw,file=${file('disk')}`, '-device', 'virtio-blk-pci,drive=d0,addr=1e.0'];
      const run = new RunningPinbar([
        ...['run', '--quiet', '--verify', '--plan-out', file('plan'), '--twin', example],
        // Linux assigns a late device's BARs anew, lowest first; with Enhanced Allocation it may not.
        ...[gpu, pluggedGpu].flatMap((fn) => ['--add', `${formatBdf(fn.address)}=ea`]),
        ...[gpu, nic].flatMap((fn) => ['--absent', formatBdf(fn.address)]),
        ...[pluggedGpu, pluggedNic].flatMap((fn) => ['--absent', `${formatBdf(fn.address)},hotplug`]),
        ...['--', ...guestCommand('11.1', { initrd: file('initrd'), devices: disk })],
      ]);
      await run.shows(/@@@ waiting/);
      run.signal('SIGUSR2');
      const { boots, end, errors } = await run.ended;

      expect(
        errors
          .replaceAll(/^pinbar: .* …\n/gm, '')
          .trimEnd()
          .split('\n'),
      ).toEqual([
        'pinbar: 0009:03:00.0 has appeared',
        'pinbar: 0009:04:00.0 has appeared',
        'pinbar: plugged in: 0009:07:00.0, 0009:08:00.0',
      ]);
      expect(end).toBe(0);
      const [first, second, third] = boots as [Boot, Boot, Boot];
      for (const fn of devices) {
        expect([first, second, third].map((boot) => output(boot, 'before').includes(inGuest(fn)))).toEqual([
          false,
          false,
          true,
        ]);
      }
      for (const boot of [second, third]) {
        expectPlanInGuest(readPlan(file('plan')), boot);
        expect(output(boot, 'write')).toContain('keeps what is written');
      }
      const dmesg = output(second, 'dmesg');
      for (const bar of ['03:00.0: BAR 2 .mem 0x6b8000000000-', '07:00.0: BAR 2 .mem 0x6d8000000000-']) {
        expect(dmesg).toMatch(new RegExp(`${bar}.*from Enhanced Allocation`));
      }
      expect(dmesg).toMatch(/08:00.0: BAR 0 \[mem 0x6f0000000000-0x6f0001ffffff 64bit pref\]: assigned/);
      // Their ports have said so; the ports of those that appear silently have no slots to say anything.
      const said = [...dmesg.matchAll(/pcieport (\S+): pciehp: .*(Card present|Link Up)/g)].map((match) =>
        match.slice(1),
      );
      expect(said.toSorted()).toEqual([
        ['0000:06:00.0', 'Card present'],
        ['0000:06:00.0', 'Link Up'],
        ['0000:06:01.0', 'Card present'],
        ['0000:06:01.0', 'Link Up'],
      ]);
    });
  });
});
