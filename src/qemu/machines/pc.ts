import { MiB } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { MachineBase } from '../../enumerate/to-machine.js';
import { eachFunction, type Machine } from '../../machine/model.js';
import { readOp, writeOp, type ConfigAccess } from '../../pci/config-access.js';
import { Exit, Problem } from '../../problem/problem.js';
import { PortConfigAccess } from '../config-ports.js';
import { EcamAccess } from '../../pci/ecam.js';
import { portDoorbell } from '../firmware/doorbell.js';
import type { Qmp } from '../qmp.js';
import { queryPci } from '../query-pci.js';
import type { Wanted } from '../request.js';
import { flatView } from './flat-view.js';
import { readFwCfgFile } from './fw-cfg.js';
import type { MachineContext, PinnableMachine } from './machine.js';
import { MonitorPorts } from './monitor-ports.js';
import { outsideAcpiWindows, parseE820, pcMap, type PcFacts } from './pc-map.js';
import { holdPlan } from './q35-acpi.js';
import { busReserves, numberLikeQboot } from './qboot.js';

/** Register of 00:00.0, Intel Q35 datasheet (316966) §5.1.16: bit 0 enables, bits 2:1 are the size, 0 for 256 MiB. */
const PCIEXBAR = 0x60;
const ENABLED = 1;
const ECAM_SIZE = 256n * MiB;
const HOST_BRIDGE = { segment: 0, bus: 0, device: 0, fn: 0 };
/** Conventional memory that nothing is loaded into before the guest runs. */
const SCRATCH = 0x1_0000n;

/** How config space is reached. */
interface Config extends Pick<PinnableMachine, 'access' | 'reopen' | 'locate'> {
  /** Where it lies in memory. */
  readonly ecam: () => AddressRange | null;
}

/**
 * `q35`: config space is reached through PCIEXBAR, which is off until firmware enables it, and again after each reset.
 * @throws as {@link openPc}
 */
export const openQ35 = (context: MachineContext): Promise<PinnableMachine> =>
  openBoard(context, { rootBus: 'pcie.0', object: '/machine/q35' }, async (ports) => {
    let location = await enableEcam(ports);
    return {
      access: new EcamAccess(context.memory, () => [{ segment: 0, base: location, firstBus: 0, lastBus: 255 }]),
      ecam: () => AddressRange.sized(location, ECAM_SIZE),
      reopen: async () => {
        location = await enableEcam(ports);
      },
      locate: async () => {
        location = (await pciexbar(ports)) & -ECAM_SIZE;
      },
    };
  });

/**
 * `pc` (i440fx): PCI without Express; config space by ports alone.
 * @throws Problem `fw-cfg`, `monitor-answer`, `window-not-there`, …
 */
export const openPc = (context: MachineContext): Promise<PinnableMachine> =>
  openBoard(context, { rootBus: 'pci.0', object: '/machine/i440fx' }, (access) =>
    Promise.resolve({ access, ecam: () => null, reopen: () => Promise.resolve() }),
  );

/**
 * RAM, windows and what else lies in the address space are QEMU's own word. The guest needs not be told to keep anything: with
 * ACPI, Linux takes what it finds, and QEMU makes the host bridge's windows from what is programmed when firmware fetches
 * the tables.
 */
async function openBoard(
  { qmp, memory, request, version }: MachineContext,
  { rootBus, object }: { readonly rootBus: string; readonly object: string },
  open: (ports: ConfigAccess) => Promise<Config>,
): Promise<PinnableMachine> {
  const ports = memory.ports ?? new MonitorPorts(qmp);
  const [{ ecam, ...config }, roots, seen, firmware] = await Promise.all([
    open(new PortConfigAccess(ports, memory.source)),
    queryPci(qmp),
    factsOf(qmp, object),
    property(qmp, '/machine', 'firmware'),
  ]);
  const e820 = parseE820(await readFwCfgFile('etc/e820', { memory, ports, scratch: SCRATCH }));
  const facts: PcFacts = { ...seen, ecam: ecam(), e820 };
  const others = [...new Set(roots.map(({ bus }) => bus))].filter((bus) => bus > 0);
  const baseWith = (known: PcFacts): MachineBase => {
    const { windows, ...map } = pcMap(known, { mmioWindow: request.mmioWindow, pinned: pinned(request) });
    const { arch, board } = request.machine;
    const properties = request.properties ?? {};
    return { arch, board, properties, qemu: [version.major, version.minor], ...map, windows: { [rootBus]: windows } };
  };
  return {
    ...config,
    hosts: [{ id: rootBus, segment: 0, buses: [0, Math.min(255, ...others.map((bus) => bus - 1))] }],
    base: baseWith(facts),
    notices: others.length > 0 ? ['what lies behind the root buses of pxb is not placed: the guest assigns it'] : [],
    ...(/qboot[^/]*$/i.test(String(firmware)) ? { constrain: asQbootDoes } : {}),
    deliver: () => Promise.resolve(),
    check: async (plan) => {
      const [from, to] = await Promise.all(
        ['pci-hole64-start', 'pci-hole64-end'].map((name) => number(qmp, object, name)),
      );
      const outside = outsideAcpiWindows(plan, facts, { base: from ?? 0n, end: to ?? 0n });
      if (outside.length > 0) throw notInWindows(outside);
    },
    uefi: {
      doorbell: portDoorbell(qmp),
      base: () => baseWith({ ...facts, ecam: ecam() }),
      editDsdt: holdPlan,
    },
  };
}

function asQbootDoes(machine: Machine, notice: (text: string) => void): Machine {
  const reserved = busReserves(machine);
  if (reserved.length > 0) {
    notice(`qboot numbers buses itself and leaves none free: no bus numbers are kept behind ${reserved.join(', ')}`);
  }
  return numberLikeQboot(machine);
}

const notInWindows = (outside: readonly string[]) =>
  new Problem('acpi-windows', `the guest would not keep the plan:\n  ${outside.slice(0, 20).join('\n  ')}`, {
    exit: Exit.outside,
    hint: 'put what is outside behind a root port: its window counts, VF BARs of a function on the root bus do not',
    facts: { outside },
  });

/** Enables ECAM where QEMU's reset value has it, and where qboot and SeaBIOS will have it too. */
async function enableEcam(ports: ConfigAccess): Promise<bigint> {
  const base = (await pciexbar(ports)) & -ECAM_SIZE;
  await ports.batch([writeOp(HOST_BRIDGE, PCIEXBAR, 4, Number(base & 0xffff_ffffn) | ENABLED)]);
  return base;
}

/** The register's 64 bits. */
async function pciexbar(ports: ConfigAccess): Promise<bigint> {
  const [low = 0, high = 0] = await ports.batch([PCIEXBAR, PCIEXBAR + 4].map((at) => readOp(HOST_BRIDGE, at, 4)));
  return (BigInt(high) << 32n) | BigInt(low);
}

async function factsOf(qmp: Qmp, object: string): Promise<Omit<PcFacts, 'ecam' | 'e820'>> {
  const [mtree, base, end, hole64Base, addressBits] = await Promise.all([
    qmp.monitor('info mtree -f'),
    number(qmp, object, 'pci-hole-start'),
    number(qmp, object, 'pci-hole-end'),
    number(qmp, object, 'pci-hole64-start'),
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

async function number(qmp: Qmp, path: string, name: string): Promise<bigint> {
  const value = await property(qmp, path, name);
  if (typeof value === 'bigint' || typeof value === 'number') return BigInt(value);
  throw new Problem('qom-get', `QEMU does not say ${name} of ${path}`, { exit: Exit.outside });
}

async function physBits(qmp: Qmp): Promise<number> {
  const cpus = (await qmp.execute('query-cpus-fast')) as readonly { readonly 'qom-path'?: string }[];
  return Number(await number(qmp, cpus[0]?.['qom-path'] ?? '', 'phys-bits'));
}

/** Every address that is pinned, of memory and ports. */
function pinned({ pins, machineFile }: Wanted): bigint[] {
  const functions = (machineFile?.machine.hostBridges ?? []).flatMap((host) => [...eachFunction(host.functions)]);
  return [
    ...pins.map(({ address }) => address),
    ...functions.flatMap(({ fn }) => [
      ...fn.bars.flatMap(({ pin }) => pin ?? []),
      ...(fn.sriov?.bars ?? []).flatMap(({ pin }) => pin ?? []),
      ...[fn.bridge?.pin.io, fn.bridge?.pin.prefetchable].flatMap((range) => range?.base ?? []),
    ]),
  ];
}
