import { formatBdf } from '../../pci/bdf.js';
import { subjectOf } from '../../import/log/messages/messages.js';
import { said } from '../evidence.js';
import { cite } from '../placement/cite.js';
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
  const vfs = first.code === 'vf-bus-range';
  const full = above && above.secondary === above.subordinate;
  const remedies: Remedy[] = [];
  if (scene.stack.isGuest === true || scene.stack.vmm !== undefined) {
    remedies.push({
      change:
        '-device pcie-root-port,…,bus-reserve=N, N at least the number of bridges that will be plugged in below it; or plug the bridge before boot',
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
        ? `Port ${formatBdf(above.address)} routes buses ${twoDigits(above.secondary)}-${twoDigits(above.subordinate)}${full ? ', its own secondary bus alone' : ''}; a bridge on bus ${twoDigits(above.secondary)} needs at least one number more.`
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
