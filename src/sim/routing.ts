import { deviceFunction, type Bdf } from '../pci/bdf.js';
import { ARI_FORWARDING_ENABLE, DEVICE_CONTROL_2 } from '../pci/capabilities/express.js';
import { type1 } from '../pci/header.js';
import type { SimFunction } from './function.js';

/** A host bridge of the simulated machine. */
export interface SimHost {
  readonly id: string;
  readonly segment: number;
  readonly buses: readonly [number, number];
  readonly functions: readonly SimFunction[];
}

const byte = (fn: SimFunction, at: { readonly offset: number }) => fn.registers.read(at.offset, 1);

/** A downstream port's link has device 0 only, unless ARI forwarding turns the device number into function bits. */
function reachesBehind(port: SimFunction, devfn: number): boolean {
  const kind = port.model.bridge?.kind;
  if (kind !== 'root-port' && kind !== 'downstream-port') return true;
  const ari = (port.registers.read(port.at.express + DEVICE_CONTROL_2, 2) & ARI_FORWARDING_ENABLE) !== 0;
  return devfn < 8 || ari;
}

function below(functions: readonly SimFunction[], bus: number, devfn: number): SimFunction[] {
  return functions.flatMap((fn) => {
    if (!fn.model.bridge) return [];
    const secondary = byte(fn, type1.secondaryBus);
    const subordinate = byte(fn, type1.subordinateBus);
    if (bus < secondary || bus > subordinate) return [];
    if (bus !== secondary) return below(fn.children, bus, devfn);
    return reachesBehind(fn, devfn) ? fn.children.filter((child) => child.devfn === devfn) : [];
  });
}

/**
 * Who answers a config access: by the bus numbers that the bridges hold now, not by where the functions are. More than one
 * where bridges' bus ranges overlap.
 */
export function route(hosts: readonly SimHost[], at: Bdf): SimFunction[] {
  const devfn = deviceFunction(at);
  return hosts
    .filter(({ segment, buses }) => segment === at.segment && buses[0] <= at.bus && at.bus <= buses[1])
    .flatMap((host) =>
      at.bus === host.buses[0]
        ? host.functions.filter((fn) => fn.devfn === devfn)
        : below(host.functions, at.bus, devfn),
    );
}
