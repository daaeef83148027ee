import { hex } from '../../address/format.js';
import type { Machine } from '../../machine/model.js';
import { Problem } from '../../problem/problem.js';
import { eachPlaced, type PlacedFunction, type PlacedHost } from '../layout.js';

/** A root bus beside the board's own: QEMU's pxb-pcie, libvirt's pcie-expander-bus. */
export interface FurtherRoot {
  readonly host: PlacedHost;
  /** Number of the root bus, 1 to 254. */
  readonly bus: number;
  /** Device number on the board's root bus, where the expander itself is a device without BARs. */
  readonly device: number;
}

/**
 * The board's own host bridge, and those that QEMU has to be told: root buses of the same segment, all below one address space
 * (hw/pci-bridge/pci_expander_bridge.c; docs/pcie.txt).
 * @throws Problem `export-board` where QEMU has no such thing
 */
export function rootBuses(hosts: readonly PlacedHost[], machine: Machine) {
  const board = hosts.find(({ planned }) => planned.buses[0] === 0) ?? hosts[0];
  const others = hosts.filter((host) => host !== board);
  for (const { planned, functions } of others) {
    refuse(planned, board?.planned.segment ?? 0, machine);
    const endpoint = functions.find(({ bridge }) => !bridge);
    if (endpoint) throw needsPort(endpoint.id, planned.id);
  }
  const used = new Set(board?.functions.map(({ address }) => address.device));
  // The board's own are at 0, and on q35 at 1f.
  const free = Array.from({ length: 30 }, (_, i) => 30 - i).filter((device) => !used.has(device));
  const further = others.map((host, i): FurtherRoot => {
    const device = free[i];
    if (device === undefined) {
      throw new Problem(
        'export-board',
        `${board?.planned.id ?? ''} has no free slot for the root bus ${host.planned.id}`,
        {
          hint: 'move devices of the first root bus behind root ports',
        },
      );
    }
    return { host, bus: host.planned.buses[0], device };
  });
  return { board, further };
}

function refuse({ id, segment, buses }: PlacedHost['planned'], own: number, { board, arch }: Machine): void {
  if (segment !== own) {
    throw new Problem(
      'export-board',
      `${id} is of segment ${hex(segment, 4)}, and all root buses of a QEMU machine are of one segment`,
      {
        hint: `say segment: ${own} and a bus range of its own, such as buses: [0x80, 0xff]: QEMU has further root buses as pxb-pcie`,
        facts: { id, segment },
      },
    );
  }
  if (board === 'pc' || arch === 'riscv64') {
    const why =
      board === 'pc'
        ? 'the pxb of QEMU’s pc has a bridge of its own between its root bus and its devices'
        : 'QEMU has no pxb-pcie on riscv64';
    throw new Problem('export-board', `${id} cannot be a root bus of its own: ${why}`, {
      hint: 'put the functions behind the first host bridge, or take board: q35 of x86_64 or virt of aarch64',
      facts: { id },
    });
  }
  if (buses[0] > 254) {
    throw new Problem('export-board', `${id} has root bus ${hex(buses[0], 2)}, and QEMU takes none above 0xfe`, {
      facts: { id },
    });
  }
}

const needsPort = (id: string, root: string): Problem =>
  new Problem(
    'export-board',
    `QEMU takes nothing but ports and bridges on the root bus of a pxb-pcie, and ${id} is on that of ${root}`,
    {
      hint: `put ${id} behind a root port in the machine file`,
      facts: { id, root },
    },
  );

/** Functions behind root buses of pxb-pcie, which `pinbar run` does not place. */
export const behindFurther = (further: readonly FurtherRoot[]): Set<PlacedFunction> =>
  new Set(further.flatMap(({ host }) => [...eachPlaced(host.functions)]));

/** What has to be said of them. */
export function furtherNotes(further: readonly FurtherRoot[], { arch }: Machine): string[] {
  if (further.length === 0) return [];
  const names = further.map(({ host }) => host.planned.id).join(', ');
  const guest = arch === 'aarch64' ? '; a guest that boots with a device tree does not see them' : '';
  return [
    `no option of QEMU says which windows ${names} ${further.length > 1 ? 'have' : 'has'}: firmware takes them from the board’s${guest}`,
  ];
}
