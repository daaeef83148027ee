import { join } from 'node:path';
import { expect, it } from 'vitest';
import { mergeCapture } from '../../src/import/capture/merge.js';
import { comparableAddress, type CapturedFunction, type CapturedWindow } from '../../src/import/capture/model.js';
import { readGuestText } from '../../src/import/guest-text.js';
import { formatBdf } from '../../src/pci/bdf.js';
import { output } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import { guestCommand } from '../lab/pinbar.js';
import { runToEnd } from '../lab/run.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** Bridges of every kind, I/O and memory of both widths, SR-IOV, ACS, serial numbers. */
// prettier-ignore
const devices = [
  '-device', 'pcie-root-port,id=rp1,chassis=1,addr=8.0,multifunction=on', '-device', 'pcie-root-port,id=rp2,chassis=2,addr=8.1,hotplug=off',
  '-device', 'ioh3420,id=rp3,chassis=3,addr=9.0', '-device', 'pcie-root-port,id=rp4,chassis=6,addr=a.0',
  '-device', 'x3130-upstream,id=up,bus=rp1', '-device', 'xio3130-downstream,id=dn1,bus=up,chassis=4',
  '-device', 'xio3130-downstream,id=dn2,bus=up,chassis=5,addr=3.0', '-device', 'pcie-pci-bridge,id=pb,bus=dn2',
  '-device', 'edu,bus=pb,addr=2', '-device', 'pci-serial,bus=pb,addr=3', '-device', 'virtio-rng-pci,bus=dn1',
  '-device', 'igb,bus=rp2', '-device', 'qemu-xhci,bus=rp3', '-device', 'pci-testdev,membar=64M,bus=rp4', '-device', 'virtio-rng-pci',
];

const range = (window: CapturedWindow | null | undefined) => (window?.busRange ?? window?.range)?.toString() ?? null;

/** What both listings say of a function: a hex dump has no sizes, and `-vvv` no closed windows. */
function facts(fn: CapturedFunction) {
  const { buses, windows, portType, hotplug, acs, sriov, serial, decodes, headerType } = fn;
  const bars = (list: CapturedFunction['bars']) =>
    list
      .filter(({ state }) => state !== 'unassigned')
      .map((bar) => ({
        index: bar.index,
        type: bar.type,
        prefetchable: bar.prefetchable ?? false,
        address: comparableAddress(bar)?.toString(16),
      }));
  return {
    class: (fn.class ?? 0) >> 8,
    decodes,
    bars: bars(fn.bars),
    vfBars: bars(fn.vfBars),
    buses,
    windows: headerType === 1 || buses ? [windows?.io, windows?.memory, windows?.prefetchable].map(range) : undefined,
    portType,
    hotplug: hotplug ?? 'none',
    acs: acs && { capable: [...acs.capable].sort(), enabled: [...acs.enabled].sort() },
    sriov,
    serial,
  };
}

describeInLab(
  'lspci -xxxx, decoded',
  ['qemu-10.0', 'qemu-10.0-x86_64', 'linux-6.12', 'linux-6.12-x86_64', 'guest', 'guest-x86_64'],
  () => {
    it.each(['aarch64', 'x86_64'] as const)('says what lspci -vvv says: a guest of %s', async (arch) => {
      const initrd = join(scratchFolder(), 'initrd');
      writeInitrd(initrd, { arch, lspci: true, script: 'section words lspci -vvvnn\nsection bytes lspci -nnxxxx' });
      const command = guestCommand('10.0', { arch, initrd, devices: [...devices] });
      const [boot] = (await runToEnd(command as [string, ...string[]], { seconds: 150 })).boots;
      const read = (section: string) => mergeCapture(readGuestText(`${section}.txt`, output(boot, section))).functions;
      const words = read('words');
      const bytes = read('bytes');
      expect(bytes.length).toBeGreaterThan(14);
      expect(bytes.some(({ sriov }) => (sriov?.totalVfs ?? 0) > 0)).toBe(true);
      expect(bytes.map(({ address }) => formatBdf(address))).toEqual(words.map(({ address }) => formatBdf(address)));
      for (const [i, fn] of bytes.entries()) {
        expect([formatBdf(fn.address), facts(fn)]).toEqual([formatBdf(fn.address), facts(words[i]!)]);
      }
    });
  },
);
