import type { MachineBase } from '../../enumerate/to-machine.js';
import type { HostToScan } from '../../enumerate/topology.js';
import type { Machine } from '../../machine/model.js';
import type { ConfigAccess } from '../../pci/config-access.js';
import type { Plan } from '../../place/plan.js';
import type { Doorbell } from '../firmware/doorbell.js';
import type { PhysicalMemory } from '../physical-memory.js';
import type { Qmp, QemuVersion } from '../qmp.js';
import type { Wanted } from '../request.js';

/** What a board's module works with: a QEMU whose machine stands before its first instruction, and what was asked for. */
export interface MachineContext {
  readonly qmp: Qmp;
  /** The guest's physical memory, over whatever transport there is. */
  readonly memory: PhysicalMemory;
  readonly version: QemuVersion;
  readonly request: Wanted;
}

/**
 * A machine that can be pinned on: where its config space is, what lies around it, and what makes its guest keep a plan.
 * Each board has a module that makes one; all else in `pinbar run` is the same for every board.
 */
export interface PinnableMachine {
  /** Host bridges to look behind. */
  readonly hosts: readonly HostToScan[];
  readonly access: ConfigAccess;
  /** RAM, windows by host bridge, and ranges that nothing may use. */
  readonly base: MachineBase;
  /** What the user is to know of this machine. */
  readonly notices: readonly string[];
  /** What firmware will do to the machine whatever is programmed, as pins. Throws Problem where something else is wanted. */
  constrain?(machine: Machine, notice: (text: string) => void): Machine;
  /** After a reset, before config space is used: what opening the machine had set up, and the reset has undone. */
  reopen(): Promise<void>;
  /** Once the plan is programmed: what makes firmware and guest keep it. Done again after every reset. */
  deliver(plan: Plan): Promise<void>;
  /** Of a machine that has run, before its registers are read: finds config space where the guest has put it. */
  locate?(): Promise<void>;
  /** Once all is programmed: whether what QEMU will tell the guest holds the plan. Throws Problem where it does not. */
  check?(plan: Plan): Promise<void>;
  /** Functions that are not in QEMU yet though their registers answer: addresses, such as `0000:01:00.0`, and ids. */
  awaited?(): ReadonlyMap<string, string>;
  /** Firmware that has enumerated, with pinbar's driver in it. */
  readonly uefi: UefiSide;
}

/** What of a board matters where UEFI firmware stands between pinbar and the guest. */
export interface UefiSide {
  readonly doorbell: Doorbell;
  /** RAM and windows as firmware has left them, once {@link PinnableMachine.locate} has found config space. */
  base(): MachineBase;
  /** The DSDT that makes the guest keep a plan. Throws Problem `acpi-…`, exit 3. */
  editDsdt(dsdt: Uint8Array, plan: Plan): Uint8Array;
}

/** Makes ready for enumeration. Throws Problem, exit 1 or 3. */
export type OpenMachine = (context: MachineContext) => Promise<PinnableMachine>;
