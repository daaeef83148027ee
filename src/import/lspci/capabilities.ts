import type {
  AcsControl,
  CapabilityFacts,
  DecodeBits,
  PortType,
  ResizableFacts,
  SriovFacts,
} from '../function-facts.js';
import type { Draft } from '../observation.js';

/** Capabilities while their lines are read. */
export type CapabilityDraft = Draft<CapabilityFacts>;

/** Where in a function's text the reader is. */
export interface CapabilityState {
  /** The capability that the lines belong to. */
  current: 'sriov' | 'resizable' | 'vfResizable' | 'acs' | 'express' | 'other' | null;
  /** The label of the register group that the lines belong to: `DevCtl2`. */
  label: string;
}

export const startOfFunction = (): CapabilityState => ({ current: null, label: '' });

/** Port types in pciutils' words (ls-caps.c, cap_express). */
const ports: readonly (readonly [string, PortType])[] = [
  ['Root Complex Integrated Endpoint', 'integrated-endpoint'],
  ['Root Complex Event Collector', 'event-collector'],
  ['Legacy Endpoint', 'legacy-endpoint'],
  ['Endpoint', 'endpoint'],
  ['Root Port', 'root-port'],
  ['Upstream Port', 'upstream-port'],
  ['Downstream Port', 'downstream-port'],
  ['PCI-Express to PCI', 'pcie-pci-bridge'],
  ['PCI/PCI-X Bridge', 'pcie-pci-bridge'],
  ['PCI/PCI-X to PCI-Express', 'pci-pcie-bridge'],
];

const heading = /^Capabilities: \[([0-9a-f]{2,3})(?: v\d{1,2})?\] (.*)$/;
const express = /^Express (?:\(v\d{1,2}\) )?(.*)$/;
const serial = /^Device Serial Number ((?:[0-9a-f]{2}-){7}[0-9a-f]{2})$/;

/** Reads a line that begins a capability. False where it is none: `Capabilities: <access denied>`. */
export function startCapability(line: string, facts: CapabilityDraft, state: CapabilityState): boolean {
  const name = heading.exec(line)?.[2];
  state.label = '';
  state.current = 'other';
  if (name === undefined) return false;
  const port = express.exec(name)?.[1];
  const digits = serial.exec(name)?.[1];
  if (port !== undefined) {
    state.current = 'express';
    const type = ports.find(([words]) => port.startsWith(words))?.[1];
    if (type) facts.portType = type;
  } else if (digits !== undefined) facts.serial = BigInt(`0x${digits.replaceAll('-', '')}`);
  else if (name.includes('(SR-IOV)')) state.current = 'sriov';
  else if (name.startsWith('Access Control Services')) state.current = 'acs';
  else if (/^(?:Virtual|VF) Resizable BAR/.test(name)) state.current = 'vfResizable';
  else if (/^(?:Physical )?Resizable BAR/.test(name)) state.current = 'resizable';
  else if (name.startsWith('Hot-plug capable')) facts.hotplug ??= 'shpc';
  return true;
}

/** Reads a line inside a capability. */
export function capabilityLine(line: string, facts: CapabilityDraft, state: CapabilityState): boolean {
  const label = /^(\w{3,12}):/.exec(line)?.[1];
  if (label !== undefined) state.label = label;
  switch (state.current) {
    case 'sriov':
      return sriovLine(line, facts);
    case 'resizable':
    case 'vfResizable':
      return resizableLine(line, facts, state.current);
    case 'acs':
      return acsLine(line, facts);
    case 'express':
      return expressLine(line, facts, state.label);
    case 'other':
    case null:
      return false;
  }
}

const counts = /^Initial VFs: (\d{1,5}), Total VFs: (\d{1,5}), Number of VFs: (\d{1,5})(?=,|$)/;
const routing = /^VF offset: (\d{1,5}), stride: (\d{1,5}), Device ID: ([0-9a-f]{4})/;

function sriovLine(line: string, facts: CapabilityDraft): boolean {
  const control = /^IOVCtl:\s*Enable([+-])/.exec(line)?.[1];
  if (control !== undefined) {
    facts.sriov = { totalVfs: 0, ...facts.sriov, enabled: control === '+' };
    return true;
  }
  const [, initial, total, number] = counts.exec(line) ?? [];
  if (initial !== undefined && total !== undefined && number !== undefined) {
    const seen = { initialVfs: Number(initial), totalVfs: Number(total), numVfs: Number(number) };
    facts.sriov = { ...facts.sriov, ...seen };
    return true;
  }
  const [, offset, stride, device] = routing.exec(line) ?? [];
  if (offset === undefined || stride === undefined || device === undefined) return false;
  const seen = { firstVfOffset: Number(offset), vfStride: Number(stride), vfDevice: parseInt(device, 16) };
  facts.sriov = { totalVfs: 0, ...facts.sriov, ...seen } satisfies SriovFacts;
  return true;
}

const resizable = /^BAR ([0-5]): current size: (\d{1,4}[KMGTPE]B|<unknown>)(?:, supported:((?: \d{1,4}[KMGTPE]B)*))?/;
const shifts: Readonly<Record<string, bigint>> = { K: 10n, M: 20n, G: 30n, T: 40n, P: 50n, E: 60n };

function sizeOf(text: string): bigint | undefined {
  const [, digits, unit] = /^(\d{1,4})([KMGTPE])B$/.exec(text) ?? [];
  return digits === undefined || unit === undefined ? undefined : BigInt(digits) << (shifts[unit] ?? 0n);
}

function resizableLine(line: string, facts: CapabilityDraft, kind: 'resizable' | 'vfResizable'): boolean {
  const match = resizable.exec(line);
  if (!match?.[1] || match[2] === undefined) return false;
  const size = sizeOf(match[2]);
  const sizes = (match[3] ?? '').split(' ').flatMap((text) => sizeOf(text) ?? []);
  const bar: ResizableFacts = { index: Number(match[1]), sizes, ...(size === undefined ? {} : { size }) };
  const known = facts[kind] ?? [];
  if (known.length < 6) facts[kind] = [...known, bar];
  return true;
}

const acsWords: Readonly<Record<string, AcsControl>> = {
  SrcValid: 'sourceValidation',
  TransBlk: 'translationBlocking',
  ReqRedir: 'requestRedirect',
  CmpltRedir: 'completionRedirect',
  UpstreamFwd: 'upstreamForwarding',
  EgressCtrl: 'egressControl',
  DirectTrans: 'directTranslated',
};

function acsLine(line: string, facts: CapabilityDraft): boolean {
  const [, which, flags] = /^ACS(Cap|Ctl):\s*(.*)$/.exec(line) ?? [];
  if (flags === undefined) return false;
  const set = [...flags.matchAll(/(\w{1,20})\+/g)].flatMap(([, word = '']) => acsWords[word] ?? []);
  const known = facts.acs ?? { capable: [], enabled: [] };
  facts.acs = which === 'Cap' ? { ...known, capable: set } : { ...known, enabled: set };
  return true;
}

function expressLine(line: string, facts: CapabilityDraft, label: string): boolean {
  if (label === 'SltCap') {
    const hotplug = /\bHotPlug([+-])/.exec(line)?.[1];
    if (hotplug !== undefined) facts.hotplug = hotplug === '+' ? 'pcie' : (facts.hotplug ?? 'none');
    return true;
  }
  if (label === 'DevCtl2' && /\bARIFwd\+/.test(line)) facts.ariForwarding = true;
  return label !== '';
}

/** `Control: I/O+ Mem- …`, as `-vv` shows the Command register. */
export function controlLine(line: string): DecodeBits | undefined {
  const [, io, memory] = /^Control: I\/O([+-]) Mem([+-])(?= )/.exec(line) ?? [];
  return io === undefined ? undefined : { io: io === '+', memory: memory === '+' };
}
