import { PCI_HOST_HID, PCI_HOST_CID } from './ids.js';
import { concat } from '../../acpi/bytes.js';
import { keepBootConfiguration } from '../../acpi/host-bridge.js';
import { busNumbers, dwordMemory, ioPorts, qwordMemory, resourceTemplate } from '../../acpi/resources.js';
import { definitionBlock } from '../../acpi/table.js';
import { buffer, device, integer, method, name, scope, type Aml } from '../../acpi/write.js';
import type { Exported, ExportSource } from '../exported.js';
import { acpiHostBridges, type AcpiHostBridge, type AcpiWindow } from './host-bridge.js';

/** An SSDT with the plan's host bridges: their windows (_CRS), and a _DSM that makes the guest keep what it finds. */
export function exportAml(source: ExportSource): Exported {
  const { bridges, notes } = acpiHostBridges(source);
  const table = definitionBlock('SSDT', 'PLAN', scope('\\_SB', ...bridges.map(hostBridge)));
  return { content: table, notes };
}

const hostBridge = ({ name: path, segment, buses, uid, resources }: AcpiHostBridge): Aml =>
  device(
    path,
    name('_HID', integer(PCI_HOST_HID)),
    name('_CID', integer(PCI_HOST_CID)),
    name('_SEG', integer(BigInt(segment))),
    name('_BBN', integer(BigInt(buses[0]))),
    name('_UID', integer(BigInt(uid))),
    name('_CCA', integer(1n)),
    name('_CRS', buffer(resourceTemplate(busNumbers(...buses), ...resources.map(descriptor)))),
    method('_DSM', 4, keepBootConfiguration),
  );

function descriptor({ kind, base, limit, translation }: AcpiWindow): Uint8Array {
  switch (kind) {
    case 'io':
      return ioPorts(base, limit, translation);
    case 'memory32':
      return dwordMemory(base, limit);
    case 'memory64':
      return qwordMemory(base, limit, translation);
    default:
      return concat(kind satisfies never);
  }
}
