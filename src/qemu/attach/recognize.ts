import { arches } from '../../machine/model.js';
import { Problem } from '../../problem/problem.js';
import { boardOfType, type MachineType } from '../machines/machine-type.js';
import type { Qmp } from '../qmp.js';

/** What there is to know of a machine whose command line pinbar has not seen. */
export interface Recognized {
  readonly machine: MachineType;
  readonly notices: readonly string[];
}

/**
 * Asks QEMU what machine it has, and what that starts.
 * @throws Problem `machine-unsupported`, exit 1
 */
export async function recognizeMachine(qmp: Qmp): Promise<Recognized> {
  const property = async (name: string): Promise<string> => {
    try {
      const value = await qmp.execute('qom-get', { path: '/machine', property: name });
      return typeof value === 'string' ? value : '';
    } catch (error) {
      // A board without it: q35 has no pflash0 where it has no flash.
      if (error instanceof Problem && error.code === 'qmp-error') return '';
      throw error;
    }
  };
  const [target, type, kernel, bios, flash] = await Promise.all([
    qmp.execute('query-target') as Promise<{ readonly arch?: unknown }>,
    property('type'),
    property('kernel'),
    property('firmware'),
    property('pflash0'),
  ]);
  const arch = arches.find((one) => one === target.arch);
  if (!arch) {
    throw new Problem(
      'machine-unsupported',
      `this QEMU is for ${String(target.arch)}: pinbar works with ${arches.join(', ')}`,
      { facts: { arch: target.arch } },
    );
  }
  const name = type.replace(/-machine$/, '');
  const machine = boardOfType(name, arch, `the machine is ${name}`);
  const firmware = flash || bios;
  return { machine, notices: firmwareNotices(machine, { kernel, firmware }) };
}

/** QEMU's own OpenSBI, and qboot: they start a kernel and leave PCI alone. */
const QUIET = /^(?:default|none)$|opensbi|fw_(?:dynamic|jump|payload)[^/]*$|qboot[^/]*$/i;

/** What firmware means for the plan. */
export function firmwareNotices(
  { board }: Pick<MachineType, 'board'>,
  { kernel, firmware }: { readonly kernel: string; readonly firmware: string },
): string[] {
  if (QUIET.test(firmware)) return [];
  if (firmware !== '') {
    return [
      `${firmware}: firmware that enumerates PCI itself moves what is programmed here, unless it heeds pci-enum-done in the device tree`,
    ];
  }
  if (board === 'virt')
    return kernel === '' ? ['QEMU has neither a kernel nor firmware: the guest has nothing to run'] : [];
  return [
    'QEMU starts SeaBIOS, which enumerates PCI itself and moves what is programmed here; with -kernel, -bios qboot.rom starts the machine without that',
  ];
}
