import { Problem } from '../../problem/problem.js';
import type { MachineContext, OpenMachine, PinnableMachine } from './machine.js';
import type { BoardName } from './machine-type.js';

/** A board's code is loaded when a machine has that board. */
const boards: Readonly<Record<BoardName, () => Promise<OpenMachine>>> = {
  virt: async () => (await import('./virt.js')).openVirt,
  q35: async () => (await import('./pc.js')).openQ35,
  pc: async () => (await import('./pc.js')).openPc,
};

/**
 * The machine of this QEMU, ready to be enumerated.
 * @throws Problem with exit code 1 or 3
 */
export async function openMachine(context: MachineContext): Promise<PinnableMachine> {
  const { arch, board } = context.request.machine;
  // The program's name may be anything; QEMU knows what it is.
  const target = (await context.qmp.execute('query-target')) as { readonly arch?: unknown };
  if (target.arch !== arch) {
    throw new Problem(
      'machine-unsupported',
      `this QEMU is for ${String(target.arch)}: pinbar took its name for that of one for ${arch}`,
      {
        hint: `call it qemu-system-${String(target.arch)}, so that pinbar knows what it has`,
        facts: { arch: target.arch },
      },
    );
  }
  const open = await boards[board]();
  return open(context);
}
