import { MiB } from '../../address/kinds.js';
import type { Board } from '../../machine/boards/board.js';
import { boards } from '../../machine/boards/boards.js';
import { parseRelease, type QemuRelease } from '../../machine/boards/release.js';
import { arches, type Arch } from '../../machine/model.js';
import { hasOption, parseQemuArgs, valuesOf, type QemuCommandLine } from '../../qemu/args/command-line.js';
import { parseSet } from '../../qemu/args/devices.js';
import { isJson, parseJsonObject } from '../../qemu/args/json-object.js';
import { lastValue, parseKeyValues } from '../../qemu/args/key-values.js';
import { machineOf, memoryOf } from '../../qemu/args/machine.js';
import { takeRfc } from '../../qemu/args/take-rfc.js';
import { Problem } from '../../problem/problem.js';
import type { Capture } from '../capture/model.js';
import { driverName } from './emulated.js';
import { qemuWords } from './shell-words.js';
import { sizeText } from './endpoint.js';
import { machineOfSpec, type DeviceSpec, type MachineSpec, type ToldMachine } from './specs.js';
import { deviceSpec, type Property } from './told-devices.js';

/** hw/core/machine.c, default_ram_size. */
const DEFAULT_RAM = 128n * MiB;

/**
 * The machine file of a QEMU command line in a shell's text.
 * @param capture of the host, for the BARs of devices that are passed through
 * @throws Problem `qemu-command`, `qemu-board`, `qemu-host-bridge`, `qemu-slot`, `qemu-bus`, and as the parsers of arguments do
 */
export const machineOfQemu = (text: string, capture?: Capture): ToldMachine =>
  machineOfCommand(parseQemuArgs(qemuWords(text)), capture);

/** As {@link machineOfQemu}, of a command that was read. */
export function machineOfCommand(given: QemuCommandLine, capture?: Capture): ToldMachine {
  const spec = specOfCommand(given, capture);
  const told = machineOfSpec(spec, capture);
  const files = hasOption(given, 'readconfig') ? ['what -readconfig names is not read'] : [];
  return { ...told, notes: [...told.notes, ...files] };
}

function specOfCommand(given: QemuCommandLine, capture: Capture | undefined): MachineSpec {
  const { command, pins } = takeRfc(given);
  const { type, properties } = machineOf(command);
  const { board, release } = boardOf(command, type);
  const memory = memoryOf(command);
  const slots = valuesOf(command, 'm')
    .map(({ value }) => lastValue(parseKeyValues(value, 'size'), 'slots'))
    .at(-1);
  const bits = addressBits(command, board.arch, capture);
  const known = board.properties.map(({ name }) => name);
  return {
    board,
    ...(release ? { qemu: release } : {}),
    ram: memory.size ?? DEFAULT_RAM,
    ...(bits === undefined ? {} : { physicalAddressBits: bits }),
    properties: {
      ...Object.fromEntries([...properties].filter(([key]) => known.includes(key))),
      ...(memory.maximum === undefined ? {} : { maxmem: sizeText(memory.maximum) }),
      ...(slots === undefined ? {} : { slots }),
    },
    devices: devicesOf(command, board),
    pins: pins.map(({ id, bar, address }) => ({ id, target: bar, address })),
  };
}

/** What a part of a command line, as libvirt passes it on, adds to a machine: -device, pins, properties of the board. */
export function commandPart(
  given: QemuCommandLine,
  board: Board,
): Pick<MachineSpec, 'devices' | 'pins' | 'properties'> {
  const { command, pins } = takeRfc(given);
  const known = board.properties.map(({ name }) => name);
  return {
    devices: namedDevices(command, namer()),
    pins: pins.map(({ id, bar, address }) => ({ id, target: bar, address })),
    properties: Object.fromEntries([...machineOf(command).properties].filter(([key]) => known.includes(key))),
  };
}

/** Names of machine types, those of versions and distributions included. */
const types: readonly { readonly names: RegExp; readonly board: string; readonly arches: readonly Arch[] }[] = [
  { names: /^virt(?:-[\w.]+)?$/, board: 'virt', arches: ['aarch64', 'riscv64'] },
  { names: /^(?:q35|pc-q35-[\w.]+)$/, board: 'q35', arches: ['x86_64'] },
  { names: /^(?:pc|pc-i440fx-[\w.]+)$/, board: 'pc', arches: ['x86_64'] },
];

/** The board of a machine type, and the release whose map the type keeps. */
export function boardOfType(type: string, arch: Arch | undefined) {
  const found = types.find((one) => one.names.test(type) && (arch === undefined || one.arches.includes(arch)));
  const board = boards.find((one) => one.name === found?.board && one.arch === (arch ?? found.arches[0]));
  const version = /-(\d{1,2}\.\d{1,2})$/.exec(type)?.[1];
  return board ? { board, release: version === undefined ? undefined : parseRelease(version) } : undefined;
}

function boardOf(
  command: QemuCommandLine,
  type: string | undefined,
): { board: Board; release: QemuRelease | undefined } {
  const program = /qemu-system-([a-z0-9_]+)[^/]*$/.exec(command.program)?.[1];
  const arch = arches.find((one) => one === program);
  const named = type ?? (arch === 'x86_64' || program === undefined ? 'pc' : '');
  const found = program === undefined || arch ? boardOfType(named, arch) : undefined;
  if (found) return found;
  throw new Problem(
    'qemu-board',
    type === undefined
      ? `the QEMU command line names no machine`
      : `pinbar does not know the memory map of machine ${type.slice(0, 60)} of ${command.program.slice(-60)}`,
    { hint: `it knows ${boards.map(({ name, arch: own }) => `${name} (${own})`).join(', ')}`, facts: { type } },
  );
}

/**
 * Address bits of an x86 guest: what -cpu says; else those of the host where the CPU is the host's and a capture tells; else the
 * 40 of QEMU's CPU models (target/i386/cpu.c, TCG_PHYS_ADDR_BITS).
 */
function addressBits(command: QemuCommandLine, arch: Arch, capture: Capture | undefined): number | undefined {
  if (arch !== 'x86_64') return undefined;
  const cpu = parseKeyValues(valuesOf(command, 'cpu').at(-1)?.value ?? 'qemu64', 'model');
  const told = Number(lastValue(cpu, 'phys-bits'));
  if (Number.isInteger(told) && told >= 32 && told <= 64) return told;
  const model = lastValue(cpu, 'model') ?? '';
  const kvm = hasOption(command, 'enable-kvm') || /\bkvm\b/.test(JSON.stringify(valuesOf(command, 'accel', 'machine')));
  const hosts = model === 'host' || (model === 'max' && kvm) || lastValue(cpu, 'host-phys-bits') === 'on';
  return hosts ? capture?.host.physicalAddressBits : 40;
}

type Namer = (driver: string, id?: string) => string;

/** Ids for devices that have none: the driver and a number. */
function namer(): Namer {
  const counts = new Map<string, number>();
  return (driver, id) => {
    if (id !== undefined) return id;
    const count = (counts.get(driver) ?? 0) + 1;
    counts.set(driver, count);
    return `${driver}-${count}`;
  };
}

/** All PCI devices in the order in which QEMU makes them: the board's defaults, drives, then -device. */
function devicesOf(command: QemuCommandLine, board: Board): DeviceSpec[] {
  const name = namer();
  const unnamed = [...defaultDevices(command, board)].map((driver) => ({ driver, id: name(driver) }));
  return [...unnamed, ...namedDevices(command, name)];
}

function namedDevices(command: QemuCommandLine, name: Namer): DeviceSpec[] {
  const memory = memoryObjects(command);
  const given = valuesOf(command, 'device');
  // QEMU makes those given as JSON after all others (system/vl.c, qemu_create_cli_devices).
  const ordered = [...given.filter(({ value }) => !isJson(value)), ...given.filter(({ value }) => isJson(value))];
  return ordered.flatMap(({ value }): DeviceSpec[] => {
    const pairs = isJson(value) ? parseJsonObject(value, '-device') : parseKeyValues(value, 'driver');
    const driver = pairs.findLast(({ key }) => key === 'driver')?.value;
    if (driver === undefined) return [];
    const id = pairs.find(({ key }) => key === 'id')?.value;
    const property: Property = (key) => setOf(command, id, key) ?? pairs.findLast((pair) => pair.key === key)?.value;
    const spec = deviceSpec(driver, id ?? driver, property, (object) => memory.get(object));
    return spec ? [{ ...spec, id: name(driver, id), words: wordsOf(driver, pairs) }] : [];
  });
}

/** What a machine file says in places of its own. */
const ofPlace = ['driver', 'id', 'bus', 'addr', 'multifunction'];

/** A device as -device takes it, without what says where it is. */
const wordsOf = (driver: string, pairs: readonly { readonly key: string; readonly value: string }[]): string =>
  [
    driver,
    ...pairs
      .filter(({ key }) => !ofPlace.includes(key))
      .map(({ key, value }) => `${key}=${value.replaceAll(',', ',,')}`),
  ].join(',');

const setOf = (command: QemuCommandLine, id: string | undefined, key: string): string | undefined =>
  id === undefined
    ? undefined
    : valuesOf(command, 'set')
        .map(({ value }) => parseSet(value))
        .findLast((set) => set?.group === 'device' && set.id === id && set.key === key)?.value;

/** Sizes of -object memory-backend-*. */
function memoryObjects(command: QemuCommandLine): Map<string, bigint> {
  const sizes = new Map<string, bigint>();
  for (const { value } of valuesOf(command, 'object')) {
    const pairs = isJson(value) ? parseJsonObject(value, '-object') : parseKeyValues(value, 'qom-type');
    const get = (key: string) => pairs.findLast((pair) => pair.key === key)?.value;
    const [, digits, unit = ''] = /^(\d{1,20})([kKmMgGtT]?)$/.exec(get('size') ?? '') ?? [];
    const shift = { '': 0n, k: 10n, m: 20n, g: 30n, t: 40n }[unit.toLowerCase()] ?? 0n;
    const id = get('id');
    if (id !== undefined && digits !== undefined) sizes.set(id, BigInt(digits) << shift);
  }
  return sizes;
}

/** Display devices of -device that stand in for the board's own (system/vl.c, default_list). */
const displays = /^(?:VGA|isa-vga|cirrus-vga|vmware-svga|qxl-vga|virtio-vga|virtio-vga-gl|ati-vga|vhost-user-vga)$/;
const vgaDrivers: Readonly<Record<string, string>> = {
  std: 'VGA',
  cirrus: 'cirrus-vga',
  vmware: 'vmware-svga',
  qxl: 'qxl-vga',
  virtio: 'virtio-vga',
};

/** Devices that nobody named: a display and a NIC unless -nodefaults, those of -nic and -net, and virtio drives. */
function* defaultDevices(command: QemuCommandLine, board: Board): Generator<string> {
  const bare = hasOption(command, 'nodefaults');
  const isPc = board.arch === 'x86_64';
  const vga = valuesOf(command, 'vga').at(-1)?.value;
  const ownDisplay = valuesOf(command, 'device').some(({ value }) => displays.test(/^[\w-]+/.exec(value)?.[0] ?? ''));
  const display = vga === undefined ? (isPc && !bare && !ownDisplay ? 'VGA' : undefined) : vgaDrivers[vga];
  if (display !== undefined && isPc) yield display;
  const standard = board.name === 'q35' ? 'e1000e' : board.name === 'pc' ? 'e1000' : 'virtio-net-pci';
  const nics = valuesOf(command, 'nic', 'net').filter(
    ({ argument, value }) => value !== 'none' && (argument.option === 'nic' || /^nic\b/.test(value)),
  );
  for (const { value } of nics) {
    const model = lastValue(parseKeyValues(value, 'type'), 'model');
    yield model === undefined || model === 'virtio'
      ? model
        ? 'virtio-net-pci'
        : standard
      : (driverName(model) ?? model);
  }
  if (!bare && !['nic', 'net', 'netdev'].some((option) => hasOption(command, option))) yield standard;
  for (const { value } of valuesOf(command, 'drive')) {
    const where = lastValue(parseKeyValues(value), 'if') ?? (isPc ? 'ide' : 'virtio');
    if (where === 'virtio') yield 'virtio-blk-pci';
  }
}
