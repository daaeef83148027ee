import { refusedByKernel } from '../placement/bridge-signs.js';
import { failuresOf, harmlessFailures, noSpaceCandidates } from '../placement/no-space.js';
import { cite, failureLine, placedLine } from '../placement/cite.js';
import { nameOfStory } from '../placement/demand.js';
import { bytes } from '../placement/fit.js';
import { said } from '../evidence.js';
import { ask } from '../missing.js';
import type { Candidate } from '../finding.js';
import type { Scene } from '../scene/scene.js';
import type { Message } from '../../import/log/messages/messages.js';
import { formatBdf } from '../../pci/bdf.js';
import { formatSize, hex } from '../../address/format.js';
import { moreRoomAbove, moreRoomBelow, widerBridge } from '../remedies/windows.js';

/** Everything that begins with a resource for which the kernel found no place. */
export function noSpace(scene: Scene): Candidate[] {
  const failures = failuresOf(scene);
  const resize = resizing(scene);
  const refused = refusedByKernel(scene);
  const found = [...noSpaceCandidates(scene, failures.real), ...(refused ? [refused] : [])];
  // While a driver resizes a BAR everything on the way is released and asked for again: what fails then follows from it.
  const consequences = resize ? found.map((one) => ({ ...one, weight: Math.min(one.weight, 50) })) : found;
  return [
    ...(resize ? [resize] : []),
    ...virtualFunctions(scene, failures.vf, failures.real.length > 0),
    ...consequences,
    ...harmlessFailures(scene, failures),
  ];
}

function resizing(scene: Scene): Candidate | undefined {
  const { evidence, stories } = scene;
  const plain = said(evidence, 'resize-no-space', 'resize-failed');
  const tried = said(evidence, 'resize-tried', 'resize-file');
  // A BAR that was released and asked for again, larger: that is a resize, whoever wanted it.
  const grown = stories.filter(({ isWindow, isVf, events }) => {
    const before = events.find(({ verb, range }) => verb === 'released' && range !== undefined);
    return (
      !isWindow &&
      !isVf &&
      before?.range !== undefined &&
      events.some(({ verb, size = 0n }) => verb === 'no-space' && size > (before.range?.size ?? 0n))
    );
  });
  const failed = stories.filter(
    ({ outcome, recovered, isVf, space }) => (outcome === 'failed' || recovered) && !isVf && space === 'memory',
  );
  // The driver goes on with the old size where the BARs are back in their places.
  const restored = stories.some(
    ({ isWindow, placed, events }) =>
      !isWindow && placed !== undefined && events.some(({ verb }) => verb === 'released'),
  );
  const back =
    (restored || failed.some(({ isWindow }) => !isWindow)) &&
    failed.every(({ recovered, isWindow }) => recovered || isWindow);
  const refused =
    tried.length > 0 && evidence.lines.some(({ text }) => /No space left on device|-ENOSPC|error -28/.test(text));
  if (plain.length === 0 && grown.length === 0 && !(tried.length > 0 && (failed.length > 0 || refused)))
    return undefined;
  const released = evidence.resources.filter(({ verb }) => verb === 'not-released');
  const short = evidence.resources.filter(({ verb }) => verb === 'cannot-fit');
  const conflicts = evidence.resources.filter(({ verb }) => verb === 'conflict');
  const windows = failed.filter(({ isWindow }) => isWindow);
  const bars = failed.filter(({ isWindow, name }) => !isWindow && typeof name === 'number');
  const asked = (story: (typeof failed)[number]) =>
    story.events.reduce((most, { verb, size = 0n }) => (verb === 'no-space' && size > most ? size : most), 0n);
  const largest = failed.toSorted((a, b) => (asked(a) > asked(b) ? -1 : 1))[0];
  const need = (largest ? asked(largest) : 0n) || newSize([...plain, ...tried]);
  const parts: string[] = [];
  const wanted = said(evidence, 'resize-tried')[0]?.values;
  if (wanted?.['from'] && wanted['to'])
    parts.push(`The driver wants ${wanted['from']} MiB to become ${wanted['to']} MiB`);
  for (const event of released) {
    const blocker = conflicts.find(
      ({ other }) => other?.range && event.range?.covers(other.range) && /^\S+:\S+\.\d/.test(other.name),
    );
    parts.push(
      `the window ${event.range?.toString() ?? ''} of ${formatBdf(event.address)} could not be released, for something in it stays placed${blocker?.other ? `: ${blocker.other.name} at ${blocker.other.range?.toString() ?? ''}` : ''}`,
    );
  }
  for (const { address, range, need: bytesNeeded } of short.slice(0, 2)) {
    parts.push(
      `${formatBdf(address)} has ${range ? hex(range.size) : '?'} bytes and ${hex(bytesNeeded ?? 0n)} are needed`,
    );
  }
  if (largest && asked(largest) > 0n)
    parts.push(`${nameOfStory(largest)} asks for ${bytes(asked(largest))} and gets nothing`);
  const held = released.length > 0 || short.length > 0;
  for (const story of grown.slice(0, 1)) {
    const before = story.events.find(({ verb }) => verb === 'released')?.range;
    parts.push(`${nameOfStory(story)} had ${before ? formatSize(before.size) : '?'} and was released to become larger`);
  }
  return {
    cause: 'resizable-bar-no-room',
    confidence: plain.length > 0 || held || grown.length > 0 ? 'certain' : 'likely',
    fault: !back,
    weight: 92,
    summary: `A BAR is to be made larger, and a window above it ${held ? 'can neither grow nor be given up' : 'has no room for the new size'}.${back ? ' The driver goes on with the old size.' : ''}`,
    evidence: cite(
      released.map(({ line }) => line),
      windows.map(failureLine),
      conflicts.slice(0, 2).map(({ line }) => line),
      plain.map(({ line }) => line),
      bars.map(failureLine),
      back ? bars.map(placedLine) : undefined,
      short.map(({ line }) => line),
      tried.map(({ line }) => line),
    ),
    proof:
      parts.length > 0
        ? `${parts.join('; ')}.`
        : 'The driver says itself that the address space is too small for the BAR’s full size; it goes on with the small one.',
    remedies: [
      ...(held
        ? [
            {
              change:
                'load the driver without resizing (amdgpu.rebar=0 since Linux 6.16; for xe and i915 a kernel that leaves the size alone), or let the firmware set the size at boot',
              where: 'driver' as const,
              why: 'at boot nothing lies in the windows yet; later they can only grow where neighbours leave room',
            },
          ]
        : []),
      ...(scene.stack.deviceTree
        ? moreRoomAbove(scene.stack, need)
        : widerBridge(scene.stack, need, true, scene.evidence.messages.has('hotplug'))),
    ],
    missing: scene.windows.length === 0 ? [ask.windows, ask.bridges] : [ask.bridges],
  };
}

/** The size that a driver's own line names: `Failed to resize BAR2 to 16384M`; 0 where none does. */
function newSize(messages: readonly Message[]): bigint {
  for (const { line } of messages) {
    const [, count, unit] = /resiz\w*[^\n]*?(?:\bto|->) ?(\d{1,9}) ?([KMGT])(?:i?B)?\b/i.exec(line.text) ?? [];
    if (count && unit) return BigInt(count) << (10n * BigInt(' KMGT'.indexOf(unit.toUpperCase())));
  }
  return 0n;
}

function virtualFunctions(
  scene: Scene,
  failed: readonly (typeof scene.stories)[number][],
  others: boolean,
): Candidate[] {
  const { evidence } = scene;
  const plain = said(evidence, 'vf-no-mmio');
  const driver = said(evidence, 'vf-enable-failed');
  const numvfs = said(evidence, 'numvfs');
  const noMemory = evidence.lines.filter(({ text }) =>
    /(?:write error|echo|tee|sriov)[^\n]*(?:Cannot allocate memory|No space left)/i.test(text),
  );
  const shell = numvfs.length > 0 && noMemory.length > 0;
  if (plain.length === 0 && failed.length === 0 && !shell) return [];
  const sized = failed.filter(({ size }) => size !== undefined);
  const total = sized.reduce((sum, { size }) => sum + (size ?? 0n), 0n);
  const enough = plain.length > 0 || (failed.length > 0 && (driver.length > 0 || shell));
  const [vf] = sized;
  const high = sized.some(({ wide }) => wide);
  return [
    {
      cause: 'sriov-vf-bars-no-space',
      confidence: enough ? 'certain' : failed.length > 0 ? 'likely' : 'possible',
      fault: true,
      weight: enough ? 93 : others ? 55 : 84,
      summary: `The BARs of the virtual functions have no place${
        vf
          ? ` (${sized
              .map((story) => `${nameOfStory(story)}: ${formatSize(story.size ?? 0n)}`)
              .slice(0, 3)
              .join(', ')})`
          : ''
      }, so SR-IOV cannot be turned on.`,
      evidence: cite(
        plain.map(({ line }) => line),
        failed.map(failureLine),
        driver.map(({ line }) => line),
        noMemory,
        numvfs.map(({ line }) => line),
      ),
      proof:
        (sized.length > 0
          ? `All VFs together need ${bytes(total)} in one piece per BAR (TotalVFs times one VF's size, in the firmware's reserve for the whole number of VFs). `
          : '') +
        (plain.length > 0
          ? 'The kernel says “not enough MMIO resources for SR-IOV” where a VF BAR has no address (drivers/pci/iov.c, sriov_enable).'
          : 'The kernel lists them as failed.'),
      remedies: [
        ...(scene.stack.isGuest === true && total > 0n
          ? widerBridge(
              scene.stack,
              total,
              sized.every(({ wide, prefetchable }) => wide && prefetchable),
              true,
            )
          : [
              {
                change:
                  'turn on SR-IOV and “Above 4G Decoding” in the firmware setup (some list the reserve per slot), or update the firmware',
                where: 'bios' as const,
                why: 'the firmware has to leave room for the VF BARs in the window of the port above',
              },
            ]),
        {
          change: `pci=realloc (on the kernel command line${scene.stack.pciOptions.has('realloc=off') ? ', in place of pci=realloc=off' : ''})`,
          where: 'kernel',
          why: 'the kernel then sizes bridge windows itself and counts the VF BARs in',
        },
        {
          change:
            'fewer VFs in the device’s own configuration (such as mlxconfig NUM_OF_VFS, or the NIC’s firmware tool)',
          where: 'hardware',
          why: 'the room is TotalVFs times the size, whatever sriov_numvfs says',
        },
        ...(high || total === 0n ? [] : moreRoomBelow(scene.stack, total).slice(0, 1)),
      ],
      missing: scene.windows.length === 0 ? [ask.windows, ask.bridges] : [],
    },
  ];
}
