import { callSign } from '../../uefi/driver/caller.js';
import type { Qmp } from '../qmp.js';

/**
 * How the call of pinbar's UEFI driver is noticed while the guest runs: by QEMU's human monitor, which disturbs nothing and
 * needs no transport but QMP.
 */
export interface Doorbell {
  rung(): Promise<boolean>;
  /** Takes the call back. */
  quiet(): Promise<void>;
}

/** The mark of the call in config space, where that lies at a fixed address. @param ecam of 00:00.0 */
export function ecamDoorbell(qmp: Qmp, ecam: bigint): Doorbell {
  const mark = ecam + BigInt(callSign.register + 8);
  return {
    rung: async () => number(await qmp.monitor(`xp/1wx 0x${mark.toString(16)}`)) === callSign.mark,
    // The mark goes with the rest of the call.
    quiet: () => Promise.resolve(),
  };
}

/** The scratch port of the ICH9: on q35 firmware puts config space where it likes, and ports 0xcf8 and 0xcfc are the guest's. */
export function portDoorbell(qmp: Qmp): Doorbell {
  const port = `0x${callSign.port.toString(16)}`;
  return {
    rung: async () => number(await qmp.monitor(`i/b ${port}`)) === callSign.ring,
    quiet: async () => {
      await qmp.monitor(`o/b ${port} 0`);
    },
  };
}

/** `0000004010000f8: 0x4c4c4143`, `portb[0x00b3] = 0xa5`. */
const number = (answer: string): number => parseInt(/0x([0-9a-f]+)\s*$/.exec(answer)?.[1] ?? '', 16);
