import type { Bridge, MachineFunction } from '../machine/model.js';
import { ROM_ENABLE, ROM_MASK } from '../pci/bar.js';
import { deviceFunction } from '../pci/bdf.js';
import { common, MULTIFUNCTION, STATUS_WRITE_1_TO_CLEAR, statusBits, type0, type1 } from '../pci/header.js';
import type { Field } from '../pci/layout.js';
import {
  addAccessControl,
  addAri,
  addErrorReporting,
  addExpress,
  addMsix,
  addQemuReservation,
  addSriov,
  addStandardHotplug,
  CapabilityArea,
  defineBars,
  type portType,
} from './capability-area.js';
import { RegisterFile } from './registers.js';

/** One simulated function. What it is, is in its registers; `model` only names it and tells where its BARs are. */
export interface SimFunction {
  readonly id: string;
  /** Device and function bits of its address on its bus, or its ARI function number. */
  readonly devfn: number;
  readonly model: MachineFunction;
  readonly registers: RegisterFile;
  /** Registers of capabilities, 0 where absent. */
  readonly at: { readonly express: number; readonly sriov: number };
  /** In a bridge: what lies on its secondary bus. */
  readonly children: readonly SimFunction[];
}

export interface SimOptions {
  /** Bridges carry QEMU's resource reservation capability with the machine's `reserve`. */
  readonly qemuReservations?: boolean;
  /** Called for every function before power-on: to make registers that no machine file can describe. */
  readonly shape?: (fn: SimFunction) => void;
}

/** Where a function sits: decides between PCI Express and conventional, endpoint and integrated endpoint. */
type Place = 'root-bus' | 'pcie' | 'conventional';

/** Identities of QEMU's generic bridges, for a machine that names none. */
const bridgeIds: Readonly<Record<Bridge['kind'], readonly [vendor: number, device: number]>> = {
  'root-port': [0x1b36, 0x000c],
  'upstream-port': [0x104c, 0x8232],
  'downstream-port': [0x104c, 0x8233],
  'pcie-pci-bridge': [0x1b36, 0x000e],
  'pci-bridge': [0x1b36, 0x0001],
};
/** QEMU's pci-testdev. */
const endpointId = [0x1b36, 0x0005] as const;

function expressType(fn: MachineFunction, place: Place): keyof typeof portType | null {
  if (fn.bridge) return fn.bridge.kind === 'pci-bridge' ? null : fn.bridge.kind;
  if (place === 'conventional' && !fn.sriov) return null;
  return place === 'root-bus' ? 'integrated-endpoint' : 'endpoint';
}

function define(registers: RegisterFile, at: Field, value: number, writable = 0, clearable = 0): void {
  registers.define(at.offset, at.width, value, writable, clearable);
}

function defineBridge(registers: RegisterFile, bridge: Bridge): void {
  for (const bus of [type1.primaryBus, type1.secondaryBus, type1.subordinateBus]) define(registers, bus, 0, 0xff);
  if (bridge.kind === 'pci-bridge') define(registers, type1.secondaryLatencyTimer, 0, 0xf8);
  define(registers, type1.secondaryStatus, 0, 0, 0xf900);
  define(registers, type1.memoryBase, 0, 0xfff0);
  define(registers, type1.memoryLimit, 0, 0xfff0);
  define(registers, type1.bridgeControl, 0, 0x0fff);
  if (bridge.io > 0) {
    const wide = bridge.io === 32;
    for (const at of [type1.ioBase, type1.ioLimit]) define(registers, at, wide ? 1 : 0, 0xf0);
    if (wide) for (const at of [type1.ioBaseUpper16, type1.ioLimitUpper16]) define(registers, at, 0, 0xffff);
  }
  if (bridge.prefetchable > 0) {
    const wide = bridge.prefetchable === 64;
    for (const at of [type1.prefetchableBase, type1.prefetchableLimit]) define(registers, at, wide ? 1 : 0, 0xfff0);
    if (wide) {
      for (const at of [type1.prefetchableBaseUpper32, type1.prefetchableLimitUpper32]) {
        define(registers, at, 0, 0xffff_ffff);
      }
    }
  }
}

function defineHeader(registers: RegisterFile, fn: MachineFunction, multifunction: boolean): void {
  const [vendor, device] = fn.bridge ? bridgeIds[fn.bridge.kind] : endpointId;
  define(registers, common.vendorId, fn.vendor ?? vendor);
  define(registers, common.deviceId, fn.device ?? device);
  define(registers, common.command, 0, 0x0547);
  define(registers, common.status, 1 << statusBits.capabilityList, 0, STATUS_WRITE_1_TO_CLEAR);
  define(registers, common.classCode, fn.class ?? (fn.bridge ? 0x060400 : 0x00ff00));
  define(registers, common.cacheLineSize, 0, 0xff);
  define(registers, common.headerType, (fn.bridge ? 1 : 0) | (multifunction ? MULTIFUNCTION : 0));
  defineBars(registers, type0.bar0.offset, fn.bars);
  if (fn.bridge) defineBridge(registers, fn.bridge);
  const tail = fn.bridge ? type1 : type0;
  define(registers, tail.interruptLine, 0, 0xff);
  define(registers, tail.interruptPin, 1);
  if (fn.rom) {
    const mask = Number(-fn.rom.size & 0xffff_ffffn) & ROM_MASK;
    define(registers, tail.expansionRom, 0, (mask | ROM_ENABLE) >>> 0);
  }
}

function build(
  fn: MachineFunction,
  siblings: readonly MachineFunction[],
  place: Place,
  options: SimOptions,
): SimFunction {
  const type = expressType(fn, place);
  const registers = new RegisterFile(type ? 4096 : 256);
  const devfn = deviceFunction(fn.slot);
  const above = siblings.map(({ slot }) => deviceFunction(slot)).sort((a, b) => a - b);
  // With ARI all functions of a bus belong to device 0.
  const ari = place === 'pcie' && siblings.some(({ slot }) => slot.device === 0 && slot.fn > 7);
  const sameDevice = ari ? above : above.filter((other) => other >> 3 === devfn >> 3);
  defineHeader(registers, fn, sameDevice.length > 1 || sameDevice.some((other) => (other & 7) !== 0));
  const area = new CapabilityArea(registers);
  const at = { express: 0, sriov: 0 };
  if (type) {
    at.express = addExpress(area, type, fn.bridge?.hotplug === 'pcie', devfn >> 3);
    if (type !== 'integrated-endpoint') addErrorReporting(area);
    if (type === 'root-port' || type === 'downstream-port') addAccessControl(area);
  }
  const memoryBar = fn.bars.find((bar) => bar.type !== 'io' && bar.size >= 0x1000n);
  if (memoryBar) addMsix(area, memoryBar.index);
  if (fn.bridge?.hotplug === 'shpc') addStandardHotplug(area);
  if (options.qemuReservations) addQemuReservation(area, fn);
  if (type && ari) addAri(area, above.find((other) => other > devfn) ?? 0);
  if (type && fn.sriov) at.sriov = addSriov(area, fn.sriov);
  if (!type && !memoryBar && fn.bridge?.hotplug !== 'shpc' && !(options.qemuReservations && fn.bridge)) {
    define(registers, common.status, 0, 0, STATUS_WRITE_1_TO_CLEAR);
  }
  const below: Place =
    fn.bridge?.kind === 'pcie-pci-bridge' || fn.bridge?.kind === 'pci-bridge' ? 'conventional' : 'pcie';
  const built: SimFunction = {
    id: fn.id,
    devfn,
    model: fn,
    registers,
    at,
    children: fn.bridge ? buildBus(fn.bridge.functions, below, options) : [],
  };
  options.shape?.(built);
  return built;
}

/** The functions of one bus in power-on state. */
export function buildBus(functions: readonly MachineFunction[], place: Place, options: SimOptions): SimFunction[] {
  return functions.map((fn) => build(fn, functions, place, options));
}
