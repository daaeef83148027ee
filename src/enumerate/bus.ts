import type { Slot } from '../pci/bdf.js';
import { ARI_FORWARDING_ENABLE, DEVICE_CONTROL_2 } from '../pci/capabilities/express.js';
import { capability } from '../pci/capabilities/index.js';
import { readOp, writeOp } from '../pci/config-access.js';
import { type1 } from '../pci/header.js';
import type { Finding } from './findings.js';
import { probeFunction, readStandard, type ProbeOptions } from './function.js';
import { together, type Steps } from './lockstep.js';
import { at, nodeAt, type Bus, type Node, type Reported } from './tree.js';

/** What the scan of every bus shares. */
export interface Scan extends ProbeOptions {
  readonly reported: Reported[];
  readonly maxFunctions: number;
  functions: number;
}

function report(scan: Scan, bus: Bus) {
  return (finding: Finding) => void scan.reported.push({ bus, finding });
}

/** Whether a first dword means that a function is there. All zeros, too, is what nothing looks like behind some bridges. */
function present(scan: Scan, bus: Bus, slot: Slot, first: number): boolean {
  const vendor = first & 0xffff;
  // PCI Express Base 6.0 §2.3.2: Configuration RRS, made visible to software as vendor id 0001h.
  if (first === 0xffff_0001) report(scan, bus)({ at: at(bus, slot), code: 'config-retry' });
  return vendor !== 0xffff && vendor !== 0 && first !== 0xffff_0001;
}

const isDownstream = (node: Node) =>
  node.seen.bridge?.kind === 'root-port' || node.seen.bridge?.kind === 'downstream-port';

/** The functions of `slots` that answer, probed side by side. */
function* scanSlots(scan: Scan, bus: Bus, slots: readonly Slot[]): Steps<Node[]> {
  const firsts = yield slots.map((slot) => readOp(at(bus, slot), 0, 4));
  const found = slots.flatMap((slot, i) => {
    const first = firsts[i] ?? 0xffff_ffff;
    return present(scan, bus, slot, first) ? [scanFunction(scan, bus, slot, first)] : [];
  });
  return (yield* together(found)).filter((node) => node !== null);
}

/** Counts a function; false, and a finding the first time, where there are too many. */
function admit(scan: Scan, bus: Bus, slot: Slot): boolean {
  scan.functions++;
  if (scan.functions === scan.maxFunctions + 1) {
    report(scan, bus)({ at: at(bus, slot), code: 'too-many-functions', limit: scan.maxFunctions });
  }
  return scan.functions <= scan.maxFunctions;
}

function* scanFunction(scan: Scan, bus: Bus, slot: Slot, first: number): Steps<Node | null> {
  if (!admit(scan, bus, slot)) return null;
  const config = yield* readStandard(at(bus, slot), first);
  return yield* probeFunction(bus, slot, config, scan, report(scan, bus));
}

/**
 * The functions of an ARI device beyond function 0: those that its list names, as Linux sees them. All 255 numbers are
 * tried in one step, because following the list costs several steps a function.
 */
function* scanAri(scan: Scan, bus: Bus, zero: Node): Steps<Node[]> {
  const nextOf = (node: Node) => capability(node.seen.capabilities, 'alternativeRoutingId')?.data.nextFunction ?? 0;
  if (nextOf(zero) === 0) return [];
  const slots = Array.from({ length: 255 }, (_, i) => ({ device: 0, fn: i + 1 }));
  const answering = new Map((yield* scanSlots(scan, bus, slots)).map((node) => [node.slot.fn, node]));
  const listed: Node[] = [];
  let last = zero;
  for (let next = nextOf(zero); next !== 0; next = nextOf(last)) {
    const node = next > last.slot.fn ? answering.get(next) : undefined;
    if (!node) {
      report(scan, bus)({ at: nodeAt(last), code: 'ari-chain-broken', next });
      break;
    }
    listed.push(node);
    last = node;
  }
  return listed;
}

/** Whether ARI forwarding can be on in the port above, and with it the device's list is what counts. */
function ariPossible(scan: Scan, port: Node | null): port is Node {
  if (!port || !isDownstream(port)) return false;
  const express = capability(port.seen.capabilities, 'express')?.data;
  return (scan.write ? express?.ariForwardingSupported : express?.ariForwardingEnabled) ?? false;
}

/** A device whose function 0 answers: that one, and the others if it says that there are more. */
function* scanDevice(scan: Scan, bus: Bus, device: number, first: number): Steps<Node[]> {
  const slot = { device, fn: 0 };
  const port = bus.bridge;
  if (!ariPossible(scan, port)) {
    if (!admit(scan, bus, slot)) return [];
    const config = yield* readStandard(at(bus, slot), first);
    const more = (config.u8(0x0e) & 0x80) !== 0 ? functionsAfterZero(device) : [];
    const [zero, others] = yield* together([
      probeFunction(bus, slot, config, scan, report(scan, bus)),
      scanSlots(scan, bus, more),
    ]);
    return zero ? [zero, ...others] : [];
  }
  const zero = yield* scanFunction(scan, bus, slot, first);
  if (!zero) return [];
  if (capability(zero.seen.capabilities, 'alternativeRoutingId')) {
    if (!port.ari) {
      const express = capability(port.seen.capabilities, 'express');
      const control = (express?.data.deviceControl2 ?? 0) | ARI_FORWARDING_ENABLE;
      yield [writeOp(nodeAt(port), (express?.at ?? 0) + DEVICE_CONTROL_2, 2, control)];
      port.ari = true;
    }
    return [zero, ...(yield* scanAri(scan, bus, zero))];
  }
  return zero.seen.multifunction ? [zero, ...(yield* scanSlots(scan, bus, functionsAfterZero(device)))] : [zero];
}

const functionsAfterZero = (device: number): Slot[] => Array.from({ length: 7 }, (_, i) => ({ device, fn: i + 1 }));

/**
 * Everything on one bus. A link below a root or downstream port has device 0 only. Where the bridge above was just given
 * its numbers, they are read back first; if it did not keep them, what was read behind it means nothing.
 */
export function* scanBus(scan: Scan, bus: Bus): Steps<void> {
  const { bridge } = bus;
  const devices = bridge && isDownstream(bridge) ? [0] : Array.from({ length: 32 }, (_, i) => i);
  const check = bridge && scan.write ? [readOp(nodeAt(bridge), type1.primaryBus.offset, 4)] : [];
  const answers = yield [...check, ...devices.map((device) => readOp(at(bus, { device, fn: 0 }), 0, 4))];
  if (bridge && check.length > 0) {
    const now = answers[0] ?? 0;
    const read = [now & 0xff, (now >>> 8) & 0xff, (now >>> 16) & 0xff] as const;
    // The primary number is only a copy for the bridge's own use; some bridges leave it at zero.
    if (read[1] !== bus.number || read[2] !== bus.last) {
      report(scan, bridge.bus)({ at: nodeAt(bridge), code: 'bus-numbers-not-kept', wrote: bridge.buses, read });
      bridge.buses = [...read];
      bridge.behind = null;
      return;
    }
  }
  const firsts = answers.slice(check.length);
  const found = devices.filter((device, i) => present(scan, bus, { device, fn: 0 }, firsts[i] ?? 0xffff_ffff));
  const functions = yield* together(
    found.map((device) => scanDevice(scan, bus, device, firsts[devices.indexOf(device)] ?? 0)),
  );
  bus.functions = functions.flat();
}
