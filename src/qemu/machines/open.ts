import type { MachineContext, OpenMachine, PinnableMachine } from './machine.js';
import type { BoardName } from './machine-type.js';

/** A board's code is loaded when a machine has that board. */
const boards: Readonly<Record<BoardName, () => Promise<OpenMachine>>> = {
  virt: async () => (await import('./virt.js')).openVirt,
};

/**
 * The machine of this QEMU, ready to be enumerated.
 * @throws Problem with exit code 1 or 3
 */
export async function openMachine(context: MachineContext): Promise<PinnableMachine> {
  const open = await boards[context.request.machine.board]();
  return open(context);
}
