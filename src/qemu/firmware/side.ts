import { AddressRange } from '../../address/range.js';
import { barRegister } from '../../pci/header.js';
import type { Plan } from '../../place/plan.js';
import { Problem } from '../../problem/problem.js';
import type { Mismatch } from '../../program/program.js';
import type { Firmware } from '../machines/boot.js';
import type { PinnableMachine } from '../machines/machine.js';
import type { Qmp } from '../qmp.js';
import { queryPci } from '../query-pci.js';
import type { Connection } from '../session.js';
import { answer, editDsdt, listRanges, takeCall } from './call.js';
import { describeFirmware } from './identify.js';

/** Firmware that enumerates PCI itself, before the guest: what can be asked of it, and done about it. */
export interface FirmwareSide {
  readonly firmware: Firmware;
  /** Whether pinbar's driver has called. The guest may run. */
  rung(): Promise<boolean>;
  /** Once it has: programs the plan and lets the firmware go on. False where it was no call. The guest is stopped meanwhile. */
  serve(): Promise<boolean>;
  /**
   * Whether every BAR that is pinned, of functions that answer, is decoded where it is pinned, or the machine stands still. The
   * guest may run.
   */
  holds(): Promise<boolean>;
  /** Of what the registers hold that was not programmed, the pinned BARs of functions that answer. */
  pinned(mismatches: readonly Mismatch[]): readonly Mismatch[];
  /** The firmware by name and by what it says of itself. The guest must be stopped. */
  describe(): Promise<string>;
}

/** What a register reads where no function answers. */
const NO_FUNCTION = 0xffff_ffff;

interface Work {
  readonly plan: () => Plan;
  /** Makes the machine follow the plan, which is made at the first time. */
  readonly settle: () => Promise<void>;
  readonly notice: (text: string) => void;
}

export function firmwareSide(
  { qmp, memory }: Connection,
  machine: PinnableMachine,
  firmware: Firmware,
  { plan, settle, notice }: Work,
): FirmwareSide {
  const { doorbell } = machine.uefi;
  const serve = async () => {
    await machine.locate?.();
    await doorbell.quiet();
    const call = await takeCall(machine.access, memory, machine.base.ram);
    if (!call) return false;
    await settle();
    try {
      await editDsdt(memory, call, (dsdt) => machine.uefi.editDsdt(dsdt, plan()));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      notice(`the guest is not told to keep the plan, and may place everything anew: ${error.message}`);
    }
    await listRanges(memory, call, memoryOf(plan()), machine.base.arch === 'x86_64').catch((error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      notice(`the firmware itself may not use what has been moved, to start the guest from it: ${error.message}`);
    });
    await answer(memory, call);
    return true;
  };
  return {
    firmware,
    rung: () => (firmware.driver ? doorbell.rung() : Promise.resolve(false)),
    serve: () => stopped({ qmp, memory }, serve),
    holds: async () => {
      if (!(await isRunning(qmp))) return true;
      const seen = new Map((await queryPci(qmp)).map((fn) => [`${fn.bus}:${fn.device}.${fn.fn}`, fn]));
      return plan().functions.every(({ address: { bus, device, fn }, bars }) =>
        bars
          .filter(({ pinned }) => pinned)
          .every(({ index, address }) => {
            // What does not answer is behind a bridge that has no bus number yet, or was unplugged.
            const regions = seen.get(`${bus}:${device}.${fn}`)?.regions;
            return !regions || regions.some((region) => region.bar === index && region.address === address);
          }),
      );
    },
    pinned: (mismatches) => {
      const registers = new Set(
        plan().functions.flatMap(({ id, bars }) =>
          bars
            .filter(({ pinned }) => pinned)
            .flatMap(({ index, type }) => (type === 'mem64' ? [index, index + 1] : [index]))
            .map((index) => `${id} ${barRegister(index)}`),
        ),
      );
      return mismatches.filter(({ id, register, read }) => registers.has(`${id} ${register}`) && read !== NO_FUNCTION);
    },
    describe: () => describeFirmware(firmware.name, memory, machine.base.ram, machine.base.arch === 'x86_64'),
  };
}

/** Where the plan has memory BARs. */
const memoryOf = ({ functions }: Plan): AddressRange[] =>
  functions.flatMap(({ bars }) =>
    bars.filter(({ type }) => type !== 'io').map(({ address, size }) => AddressRange.sized(address, size)),
  );

/** Does something while the machine stands still; one that stands already is left so. */
export async function stopped<T>(
  { qmp, memory }: Pick<Connection, 'qmp' | 'memory'>,
  work: () => Promise<T>,
): Promise<T> {
  const running = await isRunning(qmp);
  if (running) await qmp.execute('stop');
  try {
    return await work();
  } finally {
    await memory.handOver();
    // A reset that was asked for meanwhile is dealt with by who waits for it.
    if (running) await qmp.execute('cont').catch(() => undefined);
  }
}

async function isRunning(qmp: Qmp): Promise<boolean> {
  const { running } = (await qmp.execute('query-status')) as { readonly running?: unknown };
  return running === true;
}
