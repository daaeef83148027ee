import { formatBdf } from '../../pci/bdf.js';
import { subjectOf, type Message } from '../../import/log/messages/messages.js';
import type { RootBuses } from '../../import/log/window-line.js';
import { said } from '../evidence.js';
import { cite } from '../placement/cite.js';
import { factsOf } from '../scene/host-windows.js';
import type { Scene } from '../scene/scene.js';
import type { Candidate, Remedy } from '../finding.js';

const twoDigits = (bus: number) => bus.toString(16).padStart(2, '0');

/** Bridges and VFs for which no bus number is left. */
export function busNumbers(scene: Scene): Candidate[] {
  const { evidence } = scene;
  const refused = said(evidence, 'no-bus-number', 'bus-unusable', 'vf-bus-range', 'bus-conflict');
  const short = said(evidence, 'bus-short', 'bus-end-stuck', 'bus-hidden', 'bus-exhausted');
  const [first] = refused.length > 0 ? refused : short;
  if (!first) return [];
  const address = subjectOf(first);
  const above =
    address &&
    scene.bridges.find(
      ({ address: bridge, secondary }) => bridge.segment === address.segment && secondary === address.bus,
    );
  const root = rootRange(scene, first);
  if (root) return [ofRoot(scene, root, [...refused, ...short])];
  const vfs = first.code === 'vf-bus-range';
  const full = above && above.secondary === above.subordinate;
  const remedies: Remedy[] = [];
  if (scene.stack.isGuest === true || scene.stack.vmm !== undefined) {
    remedies.push({
      change: vfs
        ? '-device pcie-root-port,…,bus-reserve=N, N at least the number of buses that the VFs reach beyond the one of their physical function'
        : '-device pcie-root-port,…,bus-reserve=N, N at least the number of bridges that will be plugged in below it; or plug the bridge before boot',
      where: 'qemu',
      why: 'firmware gives the port N bus numbers more than it needs at boot',
    });
  }
  remedies.push(
    {
      change: vfs
        ? 'pci=assign-busses'
        : 'pci=hpbussize=N (a number of buses for every hot-plug bridge), or pci=assign-busses',
      where: 'kernel',
      why: vfs
        ? 'the kernel numbers buses anew, and counts those that VFs need'
        : 'the kernel then keeps spare bus numbers below hot-plug ports',
    },
    {
      change: 'a firmware setting or update that reserves more buses for the slot',
      where: 'bios',
      why: 'the range of a port is what the firmware gave it',
    },
  );
  return [
    {
      cause: 'bus-numbers-exhausted',
      confidence: refused.length > 0 ? 'certain' : 'likely',
      fault: true,
      weight: refused.length > 0 ? 94 : 66,
      summary: vfs
        ? 'The virtual functions need a bus number beyond the range of the port above them.'
        : `${address ? `Bridge ${formatBdf(address)}` : 'A bridge'} gets no bus number, so nothing behind it can be used.`,
      evidence: cite(
        first.line,
        above?.line,
        [...refused, ...short].map(({ line }) => line),
        said(evidence, 'bus-hidden').map(({ line }) => line),
      ),
      proof: above
        ? `Port ${formatBdf(above.address)} routes buses ${twoDigits(above.secondary)}-${twoDigits(above.subordinate)}${full ? ', its own secondary bus alone' : ''}; ${vfs ? `the VFs reach past ${twoDigits(above.subordinate)}: their routing IDs begin at First VF Offset after the physical function’s and are VF Stride apart, 256 to a bus` : `a bridge on bus ${twoDigits(above.secondary)} needs at least one number more`}.`
        : 'The kernel says that no number is left in the range of the bridge above.',
      remedies,
      ...(above
        ? {}
        : {
            missing: [
              {
                command: 'lspci -tv; sudo lspci -vvv | grep -E "^[0-9a-f]|Bus:"',
                why: 'which bridge routes which bus numbers',
              },
            ],
          }),
    },
  ];
}

/** The host bridge's own bus numbers, where they are what a bridge does not fit into. */
function rootRange({ evidence }: Scene, { values, line }: Message): RootBuses | undefined {
  const above = values['above'];
  if (above === undefined) return undefined;
  const [first = '', last = first] = above.split('-');
  return factsOf(evidence, 'root-buses').find(
    (fact) =>
      fact.line.source.file === line.source.file &&
      fact.first === parseInt(first, 16) &&
      fact.last === parseInt(last, 16),
  );
}

function ofRoot({ stack }: Scene, root: RootBuses, messages: readonly Message[]): Candidate {
  const count = root.last - root.first + 1;
  const virt = stack.isGuest === true && stack.deviceTree;
  return {
    cause: 'bus-numbers-exhausted',
    confidence: 'certain',
    fault: true,
    weight: 94,
    summary: `The host bridge has ${count} bus numbers (${twoDigits(root.first)}-${twoDigits(root.last)}), and the bridges of this machine need more: what is behind the last of them cannot be used.`,
    evidence: cite(
      messages[0]?.line,
      root.line,
      messages.map(({ line }) => line),
    ),
    proof: `Each port and bridge takes a number, whether anything is behind it or not; the kernel could not insert [bus ${messages[0]?.values['buses'] ?? ''}] under [bus ${twoDigits(root.first)}-${twoDigits(root.last)}]. ECAM of ${count} MiB holds ${count} buses, 1 MiB each.`,
    remedies: virt
      ? [
          {
            change: '-machine virt without highmem=off and highmem-ecam=off (both are on by default)',
            where: 'qemu',
            why: 'the virt machine then has ECAM of 256 MiB above 4 GiB, for 256 buses, in the place of 16 MiB below',
          },
          {
            change: 'several functions on one port’s slot (multifunction=on), or fewer ports and switches',
            where: 'qemu',
            why: 'only bridges take bus numbers',
          },
        ]
      : [
          {
            change: 'a firmware setting or update with a larger ECAM (MCFG) and bus range for this host bridge',
            where: 'bios',
            why: 'bus numbers of a host bridge are what _CRS and MCFG say',
          },
        ],
  };
}
