import { eachFunction, type Machine } from '../machine/model.js';
import { formatSlot } from '../pci/bdf.js';

/**
 * Says of the first function that no enumeration finds why that is; undefined where all can be found. A machine file may
 * have such functions: real ones decode addresses all the same.
 */
export function whyHidden(machine: Machine): { readonly id: string; readonly why: string } | undefined {
  for (const host of machine.hostBridges) {
    for (const { fn, parent } of eachFunction(host.functions)) {
      const { device, fn: number } = fn.slot;
      const kind = parent?.bridge?.kind;
      const beside = parent?.bridge?.functions ?? host.functions;
      const where = `${fn.id} sits in slot ${formatSlot(fn.slot)}`;
      if (parent && device > 0 && (kind === 'root-port' || kind === 'downstream-port')) {
        // PCI Express Base 6.0 §7.3.1: configuration requests for other devices end in the port.
        return { id: fn.id, why: `${where} behind ${parent.id}: the link below a ${kind} has device 0 only` };
      }
      // PCI Local Bus 3.0 §3.2.2.3.4: every device has a function 0, which is looked for first.
      if (number > 0 && !beside.some(({ slot }) => slot.device === device && slot.fn === 0)) {
        return { id: fn.id, why: `${where}, and a device without a function 0 is taken to be absent` };
      }
    }
  }
  return undefined;
}
