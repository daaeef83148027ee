import { formatBdf } from '../../pci/bdf.js';
import { formatSize } from '../../address/format.js';
import { AddressRange } from '../../address/range.js';
import { subjectOf } from '../../import/log/messages/messages.js';
import { said } from '../evidence.js';
import type { Candidate } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { rangeText } from '../placement/fit.js';
import type { Scene } from '../scene/scene.js';

/** Names under which boot framebuffers stand in /proc/iomem. */
const framebuffer = /BOOTFB|efifb|vesafb|simplefb|simple-framebuffer|simpledrm|VGA|framebuffer/i;

/** A BAR that is placed, and that something on the host has taken before vfio. */
export function held(scene: Scene): Candidate[] {
  const { evidence } = scene;
  const reserved = evidence.resources.filter(({ verb }) => verb === 'held');
  const slow = said(evidence, 'mmap-slow');
  const pat = said(evidence, 'pat-conflict', 'memtype-refused');
  // Chipset drivers without a PCI address fail like that on most machines (watchdogs, sensors).
  const regions = said(evidence, 'driver-regions-busy').filter((message) => subjectOf(message) !== undefined);
  const strong = [...reserved.map(({ line }) => line), ...pat.map(({ line }) => line)];
  const [first] = [...strong, ...slow.map(({ line }) => line), ...regions.map(({ line }) => line)];
  if (!first) return [];
  const event = reserved.find(({ range }) => range !== undefined);
  const range = event?.range ?? patRange(pat[0]?.values);
  const holders = range
    ? evidence.map.filter((entry) => entry.range.overlaps(range) && framebuffer.test(entry.name))
    : [];
  const screens = said(evidence, 'framebuffer');
  const vfio = reserved.some(({ driver }) => driver === 'vfio-pci') || slow.length > 0;
  const proof: string[] = [];
  if (event?.range)
    proof.push(
      `${formatBdf(event.address)} BAR ${String(event.name ?? event.index ?? '')} is placed at ${rangeText(event.range)}; requesting it fails, so another owner has it or a part of it.`,
    );
  else if (pat.length > 0)
    proof.push(
      `The range ${range ? rangeText(range) : ''} is mapped already with another memory type; the kernel allows one type per page, so the second mapping is refused.`,
    );
  else if (slow.length > 0)
    proof.push('QEMU cannot map the BAR, which vfio refuses while something else holds the region.');
  if (holders[0])
    proof.push(
      `/proc/iomem shows ${holders.map(({ name, range: there }) => `${name} at ${there.toString()}`).join(', ')} in it.`,
    );
  else if (vfio || pat.length > 0)
    proof.push(
      'On a boot display that is the firmware’s framebuffer (efifb, simplefb, simpledrm: BOOTFB in /proc/iomem), or a driver that was bound before.',
    );
  if (proof.length === 0)
    proof.push(
      'The driver asks for the BAR’s range and another owner has it, or it has no address; the line does not say which.',
    );
  return [
    {
      cause: 'bar-held-by-host',
      confidence:
        holders.length > 0 || pat.length > 0 || event !== undefined
          ? holders.length > 0 || pat.length > 0
            ? 'certain'
            : 'likely'
          : 'possible',
      fault: true,
      weight: strong.length > 0 ? 83 : slow.length > 0 ? 72 : 58,
      summary: `${event ? `${formatBdf(event.address)} BAR ${String(event.name ?? event.index ?? '')} (${formatSize(event.size ?? 0n)})` : 'A BAR'} has its place, but something on the host holds it.`,
      evidence: cite(
        strong,
        slow.map(({ line }) => line),
        holders.map(({ line }) => line),
        regions.map(({ line }) => line),
        screens.slice(0, 2).map(({ line }) => line),
      ),
      proof: proof.join(' '),
      remedies: vfio
        ? [
            {
              change: 'initcall_blacklist=sysfb_init (Linux 5.15 and later; video=efifb:off before)',
              where: 'host-kernel',
              why: 'the kernel then sets up no framebuffer on the firmware’s display memory',
            },
            {
              change:
                'echo BDF > /sys/bus/pci/devices/BDF/driver/unbind; echo 1 > …/remove; echo 1 > /sys/bus/pci/rescan before the guest starts',
              where: 'command',
              why: 'takes the old owner’s claim away without a reboot',
            },
            {
              change:
                'vfio-pci.ids=VENDOR:DEVICE with a softdep, so that vfio-pci binds before other drivers; another GPU as boot display',
              where: 'host-kernel',
              why: 'nobody else claims the BAR then',
            },
          ]
        : [
            {
              change:
                'unload the driver or framebuffer that maps the range first, then load this one; after a driver crash reboot',
              where: 'driver',
              why: 'the old mapping goes away with its owner',
            },
          ],
      ...(holders.length > 0 ? {} : { missing: [ask.iomem] }),
    },
  ];
}

function patRange(values: Readonly<Record<string, string | undefined>> | undefined): AddressRange | undefined {
  if (!values?.['base'] || !values['limit']) return undefined;
  const [base, end] = [BigInt(`0x${values['base']}`), BigInt(`0x${values['limit']}`)];
  return end > base ? AddressRange.of(base, end - 1n) : undefined;
}
