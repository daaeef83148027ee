import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hex } from '../../src/address/format.js';
import type { AddressRange } from '../../src/address/range.js';
import { enumerate } from '../../src/enumerate/enumerate.js';
import type { SeenBar, SeenBridge, SeenFunction, Topology as Seen } from '../../src/enumerate/topology.js';
import { formatBdf, formatSlot } from '../../src/pci/bdf.js';
import { decodeIoWindow, decodeMemoryWindow, decodePrefetchableWindow } from '../../src/pci/bridge-window.js';
import type { Pin } from '../../src/pin/pins.js';
import { openMachine } from '../../src/qemu/machines/open.js';
import { startSession, type Session } from '../../src/qemu/session.js';
import { readConsole, readFunctions, output, type GuestFunction } from '../lab/console.js';
import { writeInitrd } from '../lab/initrd.js';
import type { Boot, RecordedFunction, RecordedState } from './boots.js';
import type { Flavour } from './flavours.js';
import type { Topology } from './topology.js';

/** The guest says what its kernel made of the devices, and which windows it was told. */
const GUEST = `section functions pci_functions
section log sh -c "dmesg | grep -E 'pci|PCI'"
`;
const PATIENCE_MS = 180_000;

/**
 * Boots a topology once and reads what firmware and kernel did to it. The sizes are probed before the first instruction,
 * over qtest; a reset lies in between. Firmware alone is read from the registers once its console says that it is done.
 */
export async function observe(flavour: Flavour, topology: Topology): Promise<Boot> {
  const folder = mkdtempSync(join(tmpdir(), 'pinbar-record-'));
  const consoles = [join(folder, 'serial'), join(folder, 'firmware')] as const;
  const keyboard = join(folder, 'keyboard');
  const argv = [
    ...flavour.argv.map((word) => word.replace('@console@', consoles[1])),
    ...['-m', topology.memory, '-display', 'none', '-monitor', 'none', '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=console,path=${keyboard},server=on,wait=off,logfile=${consoles[0]}`],
    ...(flavour.kernel ? kernelArguments(flavour, folder) : []),
    ...topology.args,
  ];
  let session: Session | undefined;
  try {
    const stderr: Buffer[] = [];
    const events = { onStderr: (chunk: Buffer) => void stderr.push(chunk), onNotice: () => undefined };
    session = await startSession(argv, 'qtest', events, () => undefined);
    const said = () =>
      consoles
        .map((path) => (existsSync(path) ? readFileSync(path, 'latin1') : ''))
        .join('\n')
        .replaceAll('\r', '');
    return await watch(session, flavour, topology, { said, type: typist(keyboard) });
  } finally {
    await session?.process.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

function kernelArguments({ arch, kernel }: Flavour, folder: string): string[] {
  if (!kernel) return [];
  const initrd = join(folder, 'initrd');
  writeInitrd(initrd, { script: GUEST, kernel: kernel.version, arch, modules: false });
  const console = { aarch64: 'ttyAMA0 arm64.nopauth', riscv64: 'ttyS0', x86_64: 'ttyS0' }[arch];
  // Nothing of the kernel's own may stand between the guest's lines.
  return ['-kernel', kernel.image, '-initrd', initrd, '-append', `console=${console} quiet cryptomgr.notests=1`];
}

interface Console {
  readonly said: () => string;
  readonly type: (keys: string) => void;
}

/** Types on a serial line that QEMU serves as a socket. */
const typist = (path: string) => (keys: string) =>
  void connect(path)
    .on('error', () => undefined)
    .end(keys);

async function watch(session: Session, flavour: Flavour, topology: Topology, line: Console): Promise<Boot> {
  const { said } = line;
  const { qmp } = session;
  const board = flavour.arch === 'x86_64' ? 'q35' : 'virt';
  const pins: readonly Pin[] = [{ id: 'none', target: 0, address: 0n, source: 'here' }];
  const machine = await openMachine({
    ...session,
    // A pin to the lowest port: the I/O window is wanted whole.
    request: { machine: { arch: flavour.arch, board, type: board }, pins, reserves: [] },
  });
  const before = await enumerate(machine.access, machine.hosts);
  await qmp.execute('set-action', { reboot: 'reset', shutdown: 'pause' });
  const reset = qmp.waitFor(({ event }) => event === 'RESET');
  await qmp.execute('system_reset');
  await reset;
  await qmp.execute('cont');
  const end = await until(line, flavour);
  await qmp.execute('stop');
  await machine.locate?.();
  const after = await enumerate(machine.access, machine.hosts, { probe: false });
  const boot = flavour.kernel && end === 'done' ? readConsole(said()).at(-1) : undefined;
  const functions = boot && readFunctions(output(boot, 'functions'));
  const log = boot
    ? output(boot, 'log')
        .split('\n')
        .filter((line) => line.includes('pci'))
    : [];
  const windows = machine.hosts.map(({ id, segment, buses }) => ({
    bus: formatBdf({ segment, bus: buses[0], device: 0, fn: 0 }).slice(0, 7),
    busRange: buses.map((bus) => bus.toString(16).padStart(2, '0')).join('-'),
    windows:
      log.length > 0
        ? toldWindows(log)
        : (machine.base.windows[id] ?? []).map(({ type, base, size }) => ({
            type: type === 'io' ? 'io' : 'mem',
            start: hex(base),
            end: hex(base + size - 1n),
          })),
  }));
  const booted = end === 'done';
  return {
    name: `${flavour.arch}-${topology.seed}`,
    seed: topology.seed,
    flavour: flavour.name,
    category: topology.category,
    qemuVersion: session.version.text,
    booted,
    ...(booted ? {} : { firmwareStopped: true }),
    machine: {
      type: flavour.arch === 'aarch64' ? 'arm64-virt' : `${flavour.arch}-${board}`.replace('x86_64-', ''),
      options: null,
      memory: topology.memory,
      ...(machine.base.physicalAddressBits ? { addressBits: machine.base.physicalAddressBits } : {}),
      ...(machine.base.reserved
        ? { reserved: machine.base.reserved.map(({ range }) => ({ start: hex(range.base), end: hex(range.limit) })) }
        : {}),
    },
    args: topology.args,
    hostBridges: booted ? windows : null,
    functions: recordedFunctions(before, booted ? after : before),
    first: booted && !functions ? statesOf(before, after) : null,
    final: functions ? statesOf(before, after, functions) : null,
    log,
  };
}

/** Waits for the console to say how it went. */
async function until(
  { said, type }: Console,
  { done, stopped, kernel, name, typed = [] }: Flavour,
): Promise<'done' | 'stopped'> {
  const waiting = [...typed];
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const text = said();
    if (stopped?.test(text)) return 'stopped';
    if (waiting[0]?.[0].test(text)) type(waiting.shift()?.[1] ?? '');
    if (kernel ? /^@@@ poweroff/m.test(text) : done?.test(text)) return 'done';
    await sleep(50);
  }
  throw new Error(
    `${name}: nothing came of it within ${PATIENCE_MS / 1000} s. The console said:\n${said().slice(-4000)}`,
  );
}

/** `pci_bus 0000:00: root bus resource [mem 0x10000000-0x3efeffff window]` */
const toldWindows = (log: readonly string[]) =>
  log.flatMap((line) => {
    const found = /root bus resource \[(io|mem) +(0x[0-9a-f]+)-(0x[0-9a-f]+)/.exec(line);
    const [, type = '', start = '', end = ''] = found ?? [];
    return found ? [{ type, start, end }] : [];
  });

/** Both walks of the same tree, function by function. */
function* pairs(
  before: readonly SeenFunction[],
  after: readonly SeenFunction[],
  parent: SeenFunction | null = null,
): Generator<{ readonly probed: SeenFunction; readonly now: SeenFunction; readonly parent: SeenFunction | null }> {
  for (const probed of before) {
    const now = after.find(({ at }) => at.device === probed.at.device && at.fn === probed.at.fn);
    if (!now) throw new Error(`${formatBdf(probed.at)} is no longer there`);
    yield { probed, now, parent };
    yield* pairs(probed.bridge?.functions ?? [], now.bridge?.functions ?? [], now);
  }
}

const fourDigits = (value: number) => `0x${value.toString(16).padStart(4, '0')}`;

const recordedBar = ({ index, type, prefetchable, size }: SeenBar) => ({
  index,
  type,
  prefetchable,
  size: hex(size ?? 0n),
});

function recordedFunctions(before: Seen, after: Seen): RecordedFunction[] {
  return before.hosts.flatMap((host, i) =>
    [...pairs(host.functions, after.hosts[i]?.functions ?? [])].map(({ probed, now, parent }): RecordedFunction => {
      const { bridge, sriov } = probed;
      const reserve = bridge?.reservation;
      return {
        bdf: formatBdf(now.at),
        path: formatSlot(now.at),
        parentBdf: parent ? formatBdf(parent.at) : null,
        vendor: fourDigits(probed.vendor),
        device: fourDigits(probed.device),
        class: `0x${probed.class.toString(16).padStart(6, '0')}`,
        headerType: probed.headerType,
        qemuDevice: bridge?.kind === 'pcie-pci-bridge' ? bridge.kind : null,
        bars: probed.bars.map(recordedBar),
        rom: probed.rom ? hex(probed.rom.size ?? 0n) : null,
        pcie:
          bridge && bridge.kind !== 'pci-bridge'
            ? {
                portType: bridge.kind.replace('-port', '').replace('root', 'root-port'),
                slot: bridge.hotplug === 'pcie',
                hotplug: bridge.hotplug === 'pcie',
              }
            : null,
        sriov: sriov
          ? {
              totalVFs: sriov.totalVfs,
              offset: sriov.firstVfOffset,
              stride: sriov.vfStride,
              bars: sriov.bars.map(recordedBar),
            }
          : null,
        ...(bridge
          ? {
              bridge: {
                primary: now.bridge?.primary ?? 0,
                secondary: now.bridge?.secondary ?? 0,
                subordinate: now.bridge?.subordinate ?? 0,
                ioWindow: bridge.io,
                prefWindow: bridge.prefetchable === 64 ? (64 as const) : (32 as const),
                shpc: bridge.hotplug === 'shpc',
                reserve: reserve
                  ? Object.fromEntries(
                      (
                        [
                          ['bus', reserve.buses],
                          ['io', reserve.io],
                          ['mem', reserve.memory],
                          ['pref32', reserve.prefetchable32],
                          ['pref64', reserve.prefetchable64],
                        ] as const
                      ).flatMap(([name, value]) => (value === undefined ? [] : [[name, hex(BigInt(value))]])),
                    )
                  : null,
              },
            }
          : {}),
      };
    }),
  );
}

/** The kernel puts its own ROM copy in RAM. linux/ioport.h: IORESOURCE_ROM_SHADOW. */
const ROM_SHADOW = 2n;

const span = (range: AddressRange | null) => (range ? { start: hex(range.base), end: hex(range.limit) } : null);

/** Windows as the registers have them. Zeros are an open window at zero, where the bridge has the window at all. */
function windowsOf({ io, prefetchable }: SeenBridge, { config }: SeenFunction): Required<RecordedState>['windows'] {
  return {
    io: span(io ? decodeIoWindow(config.u16(0x1c), config.u32(0x30)) : null),
    mem: span(decodeMemoryWindow(config.u32(0x20))),
    pref: span(prefetchable ? decodePrefetchableWindow(config.u32(0x24), config.u32(0x28), config.u32(0x2c)) : null),
  };
}

const held = (bars: readonly SeenBar[], index: number): bigint =>
  bars.find((bar) => bar.index === index)?.address ?? 0n;

/** What the registers hold; with what a kernel says of its resources, that: a register may hold what it does not use. */
function statesOf(
  before: Seen,
  after: Seen,
  kernel?: ReadonlyMap<string, GuestFunction>,
): Record<string, RecordedState> {
  const state = (probed: SeenFunction, fn: SeenFunction): [string, RecordedState] => {
    const bdf = formatBdf(fn.at);
    const told = kernel?.get(bdf)?.resources;
    if (kernel && !told) throw new Error(`the kernel does not know ${bdf}`);
    const at = (resource: number, register: bigint): string | null => {
      if (!told) return hex(register);
      const base = told[resource]?.base ?? 0n;
      return base === 0n ? null : hex(base);
    };
    const isShadowed = ((told?.[6]?.flags ?? 0n) & ROM_SHADOW) !== 0n;
    return [
      bdf,
      {
        // What is there was found by writing; a register that holds zero says nothing by itself.
        bars: Object.fromEntries(probed.bars.map(({ index }) => [index, at(index, held(fn.bars, index))])),
        ...(probed.rom ? { rom: isShadowed ? 'shadow' : at(6, fn.rom?.address ?? 0n) } : {}),
        ...(probed.sriov
          ? {
              vf: Object.fromEntries(
                probed.sriov.bars.map(({ index }) => [index, at(7 + index, held(fn.sriov?.bars ?? [], index))]),
              ),
            }
          : {}),
        ...(probed.bridge ? { windows: windowsOf(probed.bridge, fn) } : {}),
      },
    ];
  };
  return Object.fromEntries(
    before.hosts.flatMap((host, i) =>
      [...pairs(host.functions, after.hosts[i]?.functions ?? [])].map(({ probed, now }) => state(probed, now)),
    ),
  );
}
