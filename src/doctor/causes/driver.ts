import { formatBdf } from '../../pci/bdf.js';
import type { LogLine } from '../../import/log/line.js';
import { subjectOf } from '../../import/log/messages/messages.js';
import { said } from '../evidence.js';
import type { Candidate, Remedy } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import { nameOfStory } from '../placement/demand.js';
import { moreRoomAbove } from '../remedies/windows.js';
import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';

const firmwareRemedies: readonly Remedy[] = [
  {
    change: 'firmware or boot loader that assigns the BAR, or a device configuration with a proper class code',
    where: 'firmware',
    why: 'Linux places only functions whose class it knows; class 0 is left to the firmware',
  },
  {
    change: 'a kernel with a quirk for the device’s class (drivers/pci/quirks.c), or pci=realloc',
    where: 'kernel',
    why: 'the kernel then places the BAR like any other',
  },
];

/** A driver that refuses a BAR without address. Why it has none is said by other findings, or not at all. */
export function driver(scene: Scene): Candidate[] {
  const { evidence } = scene;
  const zero = said(evidence, 'driver-bar-zero');
  const told = said(evidence, 'driver-region-invalid');
  // A VMM that maps BARs for devices is no driver of one.
  const vague = said(evidence, 'driver-no-bar', 'driver-enable-failed', 'windows-code-12').filter(
    ({ line }) => !/VFIO|vfio|\bDMA\b/.test(line.text),
  );
  const unplaced = scene.stories.filter(
    ({ outcome, isWindow, isVf, space }) => outcome === 'no-address' && !isWindow && !isVf && space === 'memory',
  );
  const [first] = [...zero, ...told, ...vague];
  if (!first && unplaced.length === 0) return [];
  // `[mem 0x00000000-…] not claimed`: the register holds 0 and the kernel has not tried to place it.
  const empty = unplaced.find(({ events }) =>
    events.some(({ verb, range }) => verb === 'not-claimed' && range?.base === 0n),
  );
  const untouched = empty !== undefined || (evidence.messages.has('probe-only') && unplaced.length > 0);
  const subject = first ? subjectOf(first) : unplaced[0]?.address;
  const bdf = subject
    ? formatBdf(subject)
    : /\b(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b/.exec(first?.line.text ?? '')?.[0];
  const sure = zero.length > 0 || unplaced.length > 0;
  const failed = scene.stories.filter(
    ({ outcome, space, isVf }) =>
      (outcome === 'failed' || outcome === 'conflict' || outcome === 'not-covered') && space === 'memory' && !isVf,
  );
  const resized = evidence.messages.has('resize-tried') || evidence.messages.has('resize-no-space');
  const explains = failed.some((story) => bdf !== undefined && concerns(scene, story, bdf));
  // The kernel's own lines say more than a driver that follows from them.
  if (!sure && (failed.length > 0 || resized)) return [];
  const lines = [...zero, ...told, ...vague].map(({ line }) => line);
  if (!sure && told.length === 0 && vague.every(({ code }) => code === 'windows-code-12'))
    return [codeTwelve(scene, lines)];
  return [
    {
      cause: untouched ? 'firmware-did-not-assign' : 'bar-unassigned-driver-fails',
      confidence: sure ? 'certain' : told.length > 0 ? 'likely' : 'possible',
      fault: true,
      weight: sure || told.length > 0 ? 64 : 52,
      summary: `A driver finds ${unplaced[0] ? nameOfStory(unplaced[0]) : 'a BAR'} without an address and gives up.`,
      evidence: cite(
        zero.map(({ line }) => line),
        told.map(({ line }) => line),
        unplaced.map(({ events }) => events.at(-1)?.line),
        lines,
      ),
      proof: empty
        ? 'The register holds 0: firmware gave the BAR no address, and the kernel did not place it either (“not claimed”, not “no space”). Linux leaves functions of class 0x0000xx alone, and all of them where the firmware asks for PROBE_ONLY.'
        : zero.length > 0
          ? `A size and address of 0 is how the driver shows a BAR that the kernel could not place. ${explains ? 'Why it could not is said by the kernel’s own lines.' : 'The lines that say why it could not, earlier in the kernel’s log, are not in the input.'}`
          : 'The driver asks for a BAR that has no address; the lines that say why it has none are not in the input.',
      remedies: untouched
        ? firmwareRemedies
        : [
            {
              change:
                'pci=realloc where firmware’s windows were too small; pci=realloc=off where the kernel’s own re-allocation undid a good placement',
              where: 'kernel',
              why: 'opposite cures: only the log with the bridge windows before and after tells which applies',
            },
            {
              change: '“Above 4G Decoding” on, CSM off',
              where: 'bios',
              why: 'most BARs without address belong to devices with large BARs on machines without a 64-bit window',
            },
          ],
      missing: [ask.windows, ask.bridges, ask.device(bdf)],
    },
  ];
}

/** Windows says no more than that. */
const codeTwelve = (scene: Scene, lines: readonly LogLine[]): Candidate => ({
  cause: 'bar-unassigned-driver-fails',
  confidence: 'possible',
  fault: true,
  weight: 52,
  summary: 'Windows finds no addresses for the device’s BARs (Code 12).',
  evidence: cite(lines),
  proof: 'Code 12 is what Windows shows where a window has no room; which one, and for how much, is not in the input.',
  remedies: [
    {
      change: '“Above 4G Decoding” on, CSM off',
      where: 'bios',
      why: 'most BARs without address belong to devices with large BARs on machines without a 64-bit window',
    },
    ...(scene.stack.isGuest === true || scene.stack.vmm !== undefined ? moreRoomAbove(scene.stack, LARGE_BAR) : []),
  ],
  missing: [
    {
      command: 'the Resources tab of the device and of the ports above it in the Device Manager',
      why: 'which ranges the ports have, and what the device asks for',
    },
  ],
});

/** Of a GPU that does not fit below 4 GiB; nothing is known of the real one. */
const LARGE_BAR = 32n << 30n;

/** Whether what failed is a resource of a function, or a window of a bridge that leads to it. */
function concerns({ bridges }: Scene, { address, isWindow, file, boot }: Story, bdf: string): boolean {
  const [, segment = '', bus = ''] = /^([0-9a-f]{4}):([0-9a-f]{2}):/.exec(bdf) ?? [];
  const behind = parseInt(bus, 16);
  if (formatBdf(address) === bdf) return true;
  if (!isWindow || address.segment !== parseInt(segment, 16)) return false;
  const known = bridges.find(
    (bridge) => bridge.file === file && bridge.boot === boot && formatBdf(bridge.address) === formatBdf(address),
  );
  return known ? known.secondary <= behind && behind <= known.subordinate : address.bus < behind;
}

/** A BAR that is placed and mapped, and whose registers read all-ones. */
export function allOnes(scene: Scene): Candidate[] {
  const [first, ...rest] = said(scene.evidence, 'reads-all-ones');
  if (!first) return [];
  const about = new Set(
    [...scene.evidence.resources, ...scene.evidence.functions].map(({ address }) => formatBdf(address)),
  );
  const subject = subjectOf(first);
  const device = subject ? formatBdf(subject) : about.size === 1 ? [...about][0] : undefined;
  return [
    {
      cause: 'decode-disabled-no-driver',
      confidence: 'possible',
      fault: true,
      weight: 66,
      summary: 'The BAR is mapped and its registers read all-ones: no device answers at that address.',
      evidence: cite(
        first.line,
        rest.map(({ line }) => line),
        scene.evidence.lines.filter(({ text }) => /mapped at 0x|enabling device \(/.test(text)).slice(0, 3),
      ),
      proof:
        'All-ones are what a read returns that nobody answers: memory decoding is off, the device has lost its BARs (a reset, or an FPGA that was programmed anew while the machine ran), or its link is down. The kernel’s own record of the address does not show it.',
      remedies: [
        {
          change: `echo 1 > /sys/bus/pci/devices/${device ?? 'BDF'}/remove; echo 1 > /sys/bus/pci/rescan; load the driver again`,
          where: 'command',
          why: 'the kernel reads the registers again and writes the BARs',
        },
      ],
      missing: [ask.device(device)],
    },
  ];
}
