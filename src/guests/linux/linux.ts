import type { Size } from '../../address/kinds.js';
import { AddressRange } from '../../address/range.js';
import type { Machine, MachineFunction } from '../../machine/model.js';
import type { ConstraintSubject } from '../../place/plan.js';
import { assemblePrediction, type Outcome } from '../assemble.js';
import type { PredictedGuest, Prediction } from '../prediction.js';
import type { Registers } from '../state.js';
import { adjustX86, readBars, revert, survey, type FirmwareAddresses } from './acpi.js';
import { IO, MEM64, PREFETCH, type Resource } from './resource.js';
import { assignOnce, assignUnassigned } from './root-bus.js';
import { modelOf, type LinuxModel, type LinuxRules } from './rules.js';
import { busesOf, scan, type Device } from './tree.js';

/**
 * What Linux does with a machine.
 * @param left what firmware left in the registers; undefined: no firmware, the guest has a device tree. With firmware
 * the guest has ACPI: on x86 it keeps what fits together, elsewhere only the bus numbers
 * @param keeps it was told to keep what it finds: `linux,pci-probe-only`, or a _DSM function 5 that returns 0
 */
export function linux(
  machine: Machine,
  version: string,
  guests: readonly PredictedGuest[],
  left?: ReadonlyMap<MachineFunction, Registers>,
  keeps = machine.arch === 'x86_64',
): Prediction {
  const model = modelOf(version);
  const x86 = machine.arch === 'x86_64';
  const lost: FirmwareAddresses = new Map();
  const rules: LinuxRules = {
    ...model.rules,
    ...(machine.arch === 'riscv64' ? { firstPort: 4n } : {}),
    ...(x86
      ? {
          adjust: (at: bigint, _: Size, io: boolean) => adjustX86(at, io),
          revert: (res: Resource) => revert(lost, res),
        }
      : {}),
  };
  const roots = scan(machine, (bridge) => left?.get(bridge)?.bridge);
  const registers = ({ fn }: Device) => left?.get(fn);
  if (keeps) survey(roots, registers, rules, lost);
  else for (const { bus } of roots) readBars(bus, registers);
  // Told to keep all, kernels before 6.11 assign nothing else either.
  const onlyKeeps = keeps && !x86 && model.version === '6.1';
  const place = !left && !x86 && model.version === '6.1' ? assignOnce : assignUnassigned;
  for (const { bus } of onlyKeeps ? [] : roots) place(bus, rules);
  const devices = new Map<MachineFunction, Device>();
  for (const { bus } of roots)
    for (const { devices: list } of busesOf(bus)) for (const one of list) devices.set(one.fn, one);
  return assemblePrediction(machine, guests, (fn) => {
    const device = devices.get(fn);
    return device && outcomeOf(device, model);
  });
}

function outcomeOf(device: Device, model: LinuxModel): Outcome {
  const find = (subject: ConstraintSubject) => device.resources.find((res) => res.subject === subject);
  const window = (subject: 'io' | 'memory' | 'prefetchable'): AddressRange | null => {
    const res = find(subject);
    return res?.parent ? AddressRange.of(res.toBus(res.start), res.toBus(res.end)) : null;
  };
  const behind = device.secondary;
  return {
    bus: device.bus.number,
    address: (subject) => {
      const res = find(subject);
      return res?.parent ? res.toBus(res.start) : undefined;
    },
    reason: (subject, size) => reasonOf(device.fn, subject, size, model),
    ...(behind
      ? {
          bridge: {
            secondary: behind.number,
            subordinate: behind.subordinate,
            io: window('io'),
            memory: window('memory'),
            prefetchable: window('prefetchable'),
          },
        }
      : {}),
  };
}

/** As the kernel's log says it, `%pR` of a resource without an address included (lib/vsprintf.c). */
function reasonOf(fn: MachineFunction, subject: ConstraintSubject, size: Size, model: LinuxModel): string {
  const kinds = kindsOf(fn, subject);
  const digits = (kinds & IO) !== 0 ? 4 : 8;
  const wide = (kinds & MEM64) !== 0 ? ' 64bit' : '';
  const range = `[${(kinds & IO) !== 0 ? 'io ' : 'mem'} size 0x${size.toString(16).padStart(digits, '0')}${wide}${(kinds & PREFETCH) !== 0 ? ' pref' : ''}]`;
  if (model.numbersBars) return `BAR ${numberOf(subject)}: no space for ${range}`;
  const name =
    subject === 'rom' ? 'ROM' : typeof subject === 'number' ? `BAR ${subject}` : `VF BAR ${subject.slice(2)}`;
  return `${name} ${range}: can't assign; no space`;
}

function kindsOf({ bars, sriov }: MachineFunction, subject: ConstraintSubject): number {
  if (subject === 'rom') return PREFETCH;
  const bar =
    typeof subject === 'number'
      ? bars.find(({ index }) => index === subject)
      : sriov?.bars.find(({ index }) => `vf${index}` === subject);
  if (!bar) return 0;
  return (bar.type === 'io' ? IO : 0) | (bar.type === 'mem64' ? MEM64 : 0) | (bar.prefetchable ? PREFETCH : 0);
}

/** Kernels before 6.8 number a function's resources: BARs, ROM 6, VF BARs from 7. */
const numberOf = (subject: ConstraintSubject): number =>
  typeof subject === 'number' ? subject : subject === 'rom' ? 6 : 7 + Number(subject.slice(2));
