import { AddressRange } from '../../address/range.js';
import { MiB } from '../../address/kinds.js';
import { eachFunction } from '../../machine/model.js';
import { Exit, Problem } from '../../problem/problem.js';
import type { MachineBase } from '../../enumerate/to-machine.js';
import { EcamAccess } from '../ecam.js';
import { portDoorbell } from '../firmware/doorbell.js';
import type { Qmp } from '../qmp.js';
import { queryPci } from '../query-pci.js';
import type { Wanted } from '../request.js';
import { flatView } from './flat-view.js';
import { readFwCfgFile } from './fw-cfg.js';
import { IoPorts } from './io-ports.js';
import type { MachineContext, PinnableMachine } from './machine.js';
import { busReserves, numberLikeQboot } from './qboot.js';
import { holdPlan } from './q35-acpi.js';
import { outsideAcpiWindows, parseE820, q35Map, type Q35Facts } from './q35-map.js';

const HOST_BRIDGE = '/machine/q35';
/** PCI configuration mechanism #1, PCI Local Bus 3.0 §3.2.2.3.2. */
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
/** Register of 00:00.0, Intel Q35 datasheet (316966) §5.1.16: bit 0 enables, bits 2:1 are the size, 0 for 256 MiB. */
const PCIEXBAR = 0x60;
const ENABLED = 1;
const ECAM_SIZE = 256n * MiB;
/** Conventional memory that nothing is loaded into before the guest runs. */
const SCRATCH = 0x1_0000n;

/**
 * `q35`: config space is reached through PCIEXBAR, which is off until firmware enables it. RAM, windows and what else lies
 * in the address space is QEMU's own word. The guest needs not be told to keep anything: with ACPI, Linux takes what it finds,
 * and QEMU makes the host bridge's windows from what is programmed when firmware fetches the tables.
 * @throws Problem `fw-cfg`, `monitor-answer`, `window-not-there`, …
 */
export async function openQ35({ qmp, memory, request, version }: MachineContext): Promise<PinnableMachine> {
  const ports = new IoPorts(qmp);
  const [base, roots, facts, firmware] = await Promise.all([
    enableEcam(ports),
    queryPci(qmp),
    factsOf(qmp),
    property(qmp, '/machine', 'firmware'),
  ]);
  const ecam = AddressRange.sized(base, ECAM_SIZE);
  const e820 = parseE820(await readFwCfgFile('etc/e820', { memory, ports, scratch: SCRATCH }));
  const known: Q35Facts = { ...facts, ecam, e820 };
  const baseWith = (facts35: Q35Facts): MachineBase => {
    const { windows, ...map } = q35Map(facts35, { mmioWindow: request.mmioWindow, pinned: pinned(request) });
    return {
      arch: request.machine.arch,
      board: 'q35',
      properties: request.properties ?? {},
      qemu: [version.major, version.minor],
      ...map,
      windows: { 'pcie.0': windows },
    };
  };
  const others = [...new Set(roots.map(({ bus }) => bus))].filter((bus) => bus > 0);
  const qboot = /qboot[^/]*$/i.test(String(firmware));
  let location = base;
  return {
    hosts: [{ id: 'pcie.0', segment: 0, buses: [0, Math.min(255, ...others.map((bus) => bus - 1))] }],
    access: new EcamAccess(memory, () => [{ segment: 0, base: location, firstBus: 0, lastBus: 255 }]),
    base: baseWith(known),
    notices:
      others.length > 0 ? ['what lies behind the root buses of pxb-pcie is not placed: the guest assigns it'] : [],
    ...(qboot
      ? {
          constrain: (machine, notice) => {
            const reserved = busReserves(machine);
            if (reserved.length > 0) {
              notice(
                `qboot numbers buses itself and leaves none free: no bus numbers are kept behind ${reserved.join(', ')}`,
              );
            }
            return numberLikeQboot(machine);
          },
        }
      : {}),
    reopen: async () => {
      location = await enableEcam(ports);
    },
    locate: async () => {
      location = (await pciexbar(ports)) & -ECAM_SIZE;
    },
    deliver: () => Promise.resolve(),
    check: async (plan) => {
      const [from, to] = await Promise.all(['pci-hole64-start', 'pci-hole64-end'].map((name) => number(qmp, name)));
      const outside = outsideAcpiWindows(plan, known, { base: from ?? 0n, end: to ?? 0n });
      if (outside.length > 0) throw notInWindows(outside);
    },
    uefi: {
      doorbell: portDoorbell(qmp),
      base: () => baseWith({ ...known, ecam: AddressRange.sized(location, ECAM_SIZE) }),
      editDsdt: holdPlan,
    },
  };
}

const notInWindows = (outside: readonly string[]) =>
  new Problem('acpi-windows', `the guest would not keep the plan:\n  ${outside.slice(0, 20).join('\n  ')}`, {
    exit: Exit.outside,
    hint: 'put what is outside behind a root port: its window counts, VF BARs of a function on the root bus do not',
    facts: { outside },
  });

/** Enables ECAM where QEMU's reset value has it, and where qboot and SeaBIOS will have it too. */
async function enableEcam(ports: IoPorts): Promise<bigint> {
  const base = (await pciexbar(ports)) & -ECAM_SIZE;
  await Promise.all([
    ports.write32(CONFIG_ADDRESS, address(PCIEXBAR)),
    ports.write32(CONFIG_DATA, Number(base) | ENABLED),
  ]);
  return base;
}

/** The register's 64 bits. A guest that was stopped between its accesses to the two ports finds them as it left them. */
async function pciexbar(ports: IoPorts): Promise<bigint> {
  const before = await ports.read32(CONFIG_ADDRESS);
  const read = async (register: number) => {
    // In order, on one connection.
    const [, value] = await Promise.all([ports.write32(CONFIG_ADDRESS, address(register)), ports.read32(CONFIG_DATA)]);
    return BigInt(value);
  };
  const low = await read(PCIEXBAR);
  const high = await read(PCIEXBAR + 4);
  await ports.write32(CONFIG_ADDRESS, before);
  return (high << 32n) | low;
}

/** A register of 00:00.0. */
const address = (register: number): number => (0x8000_0000 | register) >>> 0;

async function factsOf(qmp: Qmp): Promise<Omit<Q35Facts, 'ecam' | 'e820'>> {
  const [mtree, base, end, hole64Base, addressBits] = await Promise.all([
    qmp.monitor('info mtree -f'),
    number(qmp, 'pci-hole-start'),
    number(qmp, 'pci-hole-end'),
    number(qmp, 'pci-hole64-start'),
    physBits(qmp),
  ]);
  return {
    memory: flatView(mtree, 'memory'),
    ports: flatView(mtree, 'I/O'),
    hole: { base, end },
    hole64Base,
    addressBits,
  };
}

const property = (qmp: Qmp, path: string, name: string): Promise<unknown> =>
  qmp.execute('qom-get', { path, property: name });

async function number(qmp: Qmp, name: string): Promise<bigint> {
  const value = await property(qmp, HOST_BRIDGE, name);
  if (typeof value === 'bigint' || typeof value === 'number') return BigInt(value);
  throw new Problem('qom-get', `QEMU does not say ${name} of its host bridge`, { exit: Exit.outside });
}

async function physBits(qmp: Qmp): Promise<number> {
  const cpus = (await qmp.execute('query-cpus-fast')) as readonly { readonly 'qom-path'?: string }[];
  const bits = await property(qmp, cpus[0]?.['qom-path'] ?? '', 'phys-bits');
  return Number(bits);
}

/** Every address that is pinned, of memory and ports. */
function pinned({ pins, machineFile }: Wanted): bigint[] {
  const functions = (machineFile?.machine.hostBridges ?? []).flatMap((host) => [...eachFunction(host.functions)]);
  return [
    ...pins.map(({ address: at }) => at),
    ...functions.flatMap(({ fn }) => [
      ...fn.bars.flatMap(({ pin }) => pin ?? []),
      ...(fn.sriov?.bars ?? []).flatMap(({ pin }) => pin ?? []),
      ...[fn.bridge?.pin.io, fn.bridge?.pin.prefetchable].flatMap((range) => range?.base ?? []),
    ]),
  ];
}
