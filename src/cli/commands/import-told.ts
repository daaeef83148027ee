import type { Capture } from '../../import/capture/model.js';
import { machineOfDomain } from '../../import/machine/libvirt.js';
import { machineOfQemu } from '../../import/machine/qemu.js';
import { machineFileText } from '../../machine/save.js';
import { Problem } from '../../problem/problem.js';
import type { Io } from '../io.js';
import type { Sources } from '../read-capture.js';
import type { ImportFlags } from './flags.js';
import { writeMachine } from './write-machine.js';

/** `pinbar import` of a QEMU command line or a libvirt domain: its machine file. */
export async function importTold(
  flags: ImportFlags,
  { text, name, kind }: NonNullable<Sources['told']>,
  host: Capture | undefined,
  io: Io,
): Promise<number> {
  if (flags.anonymous) {
    throw new Problem('usage', `--anonymous is about captures, and ${name} describes a machine`);
  }
  try {
    const { file, machine, notes } = kind === 'domain' ? machineOfDomain(text, name, host) : machineOfQemu(text, host);
    const header = [
      kind === 'domain' ? `The machine of a libvirt domain, ${name}.` : `The machine of a QEMU command line, ${name}.`,
    ];
    return await writeMachine(flags.out, { text: machineFileText(file, { header }), machine, notes }, io);
  } catch (error) {
    throw error instanceof Problem ? error.at({ file: name }) : error;
  }
}
