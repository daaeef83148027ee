import { formatBdf } from '../../pci/bdf.js';
import { subjectOf, type Message } from '../../import/log/messages/messages.js';
import { said } from '../evidence.js';
import type { Candidate, Remedy } from '../finding.js';
import { ask } from '../missing.js';
import { cite, placedLine } from '../placement/cite.js';
import { nameOfStory } from '../placement/demand.js';
import { rangeText } from '../placement/fit.js';
import type { Scene } from '../scene/scene.js';
import type { Story } from '../scene/stories.js';

/** Faults that are none of placement, and what shows that placement is right. */
export function elsewhere(scene: Scene): Candidate[] {
  return [vanished(scene), otherFault(scene)].filter((one) => one !== undefined);
}

const placedBars = (scene: Scene): Story[] =>
  scene.stories.filter(
    ({ outcome, isWindow, isVf, name, space, placed }) =>
      outcome === 'placed' && !isWindow && !isVf && name !== 'rom' && space === 'memory' && placed !== undefined,
  );

/** A function that had its BARs, and that a later tree does not show. */
function vanished(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  if (evidence.trees.length === 0) return undefined;
  const placed = placedBars(scene).filter(({ address }) => address.bus > 0);
  for (const story of placed.toSorted((a, b) => ((a.size ?? 0n) > (b.size ?? 0n) ? -1 : 1))) {
    const { segment, bus } = story.address;
    const bridge = evidence.trees.find((fn) => fn.segment === segment && fn.secondary === bus);
    const there = evidence.trees.some((fn) => fn.segment === segment && fn.bus === bus);
    if (!bridge || there) continue;
    const same = placed.filter(({ address }) => formatBdf(address) === formatBdf(story.address));
    return {
      cause: 'not-placement',
      confidence: 'likely',
      fault: true,
      weight: 84,
      summary: `${formatBdf(story.address)} got all its places and is gone later: placement worked, something took the device away.`,
      evidence: cite(same.map(placedLine), bridge.line),
      proof: `${same.map((one) => `${nameOfStory(one)} lies at ${one.placed ? rangeText(one.placed) : ''}`).join('; ')}; in the tree bus ${bus.toString(16).padStart(2, '0')} behind ${bridge.device.toString(16).padStart(2, '0')}.${bridge.fn} is empty.`,
      remedies: [
        {
          change: 'look at the hot-unplug, the container runtime’s agent and the device’s reset, not at windows',
          where: 'driver',
          why: 'every BAR had its address',
        },
      ],
      missing: [{ command: 'dmesg | grep -iE "pciehp|remove|reset|link"', why: 'when and why the device left' }],
    };
  }
  return undefined;
}

const signs = [
  'off-the-bus',
  'power-state',
  'no-reset',
  'adapter-init',
  'driver-version',
  'firmware-file',
  'device-stopped',
  'link',
  'interrupts',
  'aer',
  'module-signature',
  'no-interrupt-remapping',
  'no-group',
  'slot-missing',
  'bar-write-lost',
] as const;

/** What each sign means, in words. */
const meaning: Readonly<Record<(typeof signs)[number], string>> = {
  'off-the-bus': 'the device stopped answering while it ran',
  'power-state': 'the device does not come out of a sleep state',
  'no-reset': 'the device cannot be reset, or did not come back from it',
  'adapter-init': 'the driver reaches the device and its initialisation fails',
  'driver-version': 'the driver does not support the device or its version',
  'firmware-file': 'the driver misses a firmware file',
  'device-stopped': 'the device does not answer commands in time',
  link: 'the link is down',
  interrupts: 'interrupts do not arrive',
  aer: 'the link reports errors',
  'module-signature': 'the kernel refuses an unsigned module or direct access',
  'no-interrupt-remapping': 'the host has no interrupt remapping',
  'no-group': 'the IOMMU is off',
  'slot-missing': 'the VMM has no slot for the device',
  'bar-write-lost': 'writes to the BAR registers do not stick',
};

/** Another place in the guest's tree for a device that the VMM has no slot for. */
function slotRemedy(found: readonly Message[]): Remedy {
  const hotplug = found.some(({ line }) => /does not support hotplugging/.test(line.text));
  return hotplug
    ? {
        change:
          'add a -device pcie-root-port,id=… to the machine before it starts, and plug the device in with bus= that id',
        where: 'qemu',
        why: 'a root bus of PCI Express takes no device while the machine runs; a free root port takes one',
      }
    : {
        change:
          'another addr= or bus= for the device; or one more -device pcie-root-port,id=…,chassis=N with bus= that id, or pxb-pcie where the root bus is full',
        where: 'qemu',
        why: 'the slot on this bus is taken: a root bus has 32, of which the machine uses some, and a PCI Express port has one, 0',
      };
}

/** Lines of a report that shows what matters and no whole log. */
const EXCERPT = 120;

function otherFault(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const found = signs.flatMap((code) => said(evidence, code));
  const [first] = found;
  if (!first) return undefined;
  const subject = subjectOf(first);
  const placed = placedBars(scene);
  const own = subject ? placed.filter(({ address }) => formatBdf(address) === formatBdf(subject)) : placed;
  const listed = evidence.observations
    .flatMap(({ kind, functions }) => (kind === 'lspci' ? functions : []))
    .flatMap(({ resources }) =>
      resources.filter(
        ({ placement, space, name }) =>
          space === 'memory' && typeof name === 'number' && placement.state === 'assigned',
      ),
    );
  const right = own.length > 0 || listed.length > 0;
  const kinds = [...new Set(found.map(({ code }) => code))] as (typeof signs)[number][];
  // A link that is down, a corrected error, a firmware file that is not there: a healthy machine's log says such things,
  // so by themselves they count only where somebody has picked them out.
  const weak = kinds.every(
    (code) =>
      code === 'link' ||
      code === 'aer' ||
      code === 'firmware-file' ||
      code === 'interrupts' ||
      code === 'module-signature',
  );
  if (weak && evidence.files.reduce((sum, { lines }) => sum + lines, 0) > EXCERPT) return undefined;
  return {
    cause: 'not-placement',
    confidence: right && !weak ? 'likely' : 'possible',
    fault: true,
    weight: right ? (weak ? 46 : 62) : weak ? 33 : 50,
    summary: `Nothing is wrong with placement here: ${meaning[kinds[0] ?? 'aer']}.`,
    evidence: cite(
      found.slice(0, 6).map(({ line }) => line),
      own.map(placedLine),
      listed.slice(0, 4).map(({ source }) => evidence.lineAt(source)),
    ),
    proof: [
      own.length > 0
        ? `${own
            .slice(0, 4)
            .map((one) => `${nameOfStory(one)} lies at ${one.placed?.toString() ?? ''}`)
            .join('; ')}.`
        : listed.length > 0
          ? `${listed.length} memory BARs are shown with addresses.`
          : 'No line shows a BAR without a place.',
      `What fails is something else: ${kinds.map((code) => meaning[code]).join('; ')}.`,
    ].join(' '),
    remedies: [
      ...(kinds.includes('slot-missing') ? [slotRemedy(found)] : []),
      ...(kinds.some((code) => code !== 'slot-missing')
        ? [
            {
              change: 'follow the line that is cited: driver, power management, reset or cabling',
              where: 'driver' as const,
              why: 'no change of windows or addresses touches it',
            },
          ]
        : []),
    ],
    ...(right ? {} : { missing: [ask.kernelLog, ask.device(subject && formatBdf(subject))] }),
  };
}
