import { createConnection } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { Qmp } from '../../src/qemu/qmp.js';
import { parseQueryPci } from '../../src/qemu/query-pci.js';

/** The user's own QMP connection, for `-qmp unix:PATH,server=on,wait=off`. QEMU may still be on its way. */
export async function connectQmp(path: string): Promise<Qmp> {
  for (let tries = 0; ; tries++) {
    try {
      const stream = createConnection(path);
      onTestFinished(() => void stream.destroy());
      await new Promise<void>((resolve, reject) => stream.once('connect', resolve).once('error', reject));
      const qmp = new Qmp(stream);
      await qmp.negotiate();
      return qmp;
    } catch (error) {
      if (tries > 300) throw error;
      await sleep(50);
    }
  }
}

/** Where QEMU has a BAR; undefined where there is no such function or BAR (as before bus numbers are set), null undecoded. */
export async function barInQemu(qmp: Qmp, id: string, bar: number): Promise<bigint | null | undefined> {
  const functions = parseQueryPci(await qmp.execute('query-pci'));
  return functions.find((fn) => fn.id === id)?.regions.find((region) => region.bar === bar)?.address;
}

/** `running`, `paused`, `prelaunch`, … (qapi/run-state.json). */
export async function runState(qmp: Qmp): Promise<string> {
  return ((await qmp.execute('query-status')) as { status: string }).status;
}
