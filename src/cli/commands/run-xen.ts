import { hex } from '../../address/format.js';
import { FDT_MAGIC, parseDeviceTree } from '../../devicetree/parse.js';
import { xenGuest } from '../../devicetree/xen.js';
import { enumerate } from '../../enumerate/enumerate.js';
import { allFunctions } from '../../enumerate/topology.js';
import { attachServer, type RemoteServer } from '../../ioreq/remote.js';
import { startServerThread } from '../../ioreq/thread.js';
import type { Machine } from '../../machine/model.js';
import type { Bdf } from '../../pci/bdf.js';
import type { Plan, PlannedBar } from '../../place/plan.js';
import { Exit, Problem } from '../../problem/problem.js';
import { abortText } from '../../sim/memory/access.js';
import type { AddressSpace } from '../../sim/memory/address-space.js';
import { xenMachine, type XenMachine } from '../../sim/xen.js';
import { readBytes } from '../files.js';
import type { Io } from '../io.js';
import type { SimTarget } from './sim-target.js';

/**
 * The simulated machine as a Xen guest: it looks at its bus, then an IOREQ server with the machine file's devices attaches, in a
 * thread of its own, then it looks again. `work` programs the devices while only their server has them.
 * @throws Problem `xen-fault`, `xen-unreached`, exit 3; `xen-fragment`, `xen-mismatch`, `devicetree-…`
 */
export async function withXenGuest(
  files: readonly string[],
  machineFile: Machine,
  name: string,
  io: Io,
  work: (target: SimTarget) => Promise<number>,
): Promise<number> {
  const trees = [];
  for (const file of files) trees.push(await readTree(file, io));
  const guest = xenGuest(trees);
  const xen = xenMachine(machineFile, guest);
  for (const { path } of guest.hosts.filter(({ probeOnly }) => !probeOnly)) {
    io.stderr.write(
      `pinbar: ${path} does not tell the guest to keep what it finds (linux,pci-probe-only): it may move BARs\n`,
    );
  }
  const { machine, hosts, ecam, claims } = xen;
  const early = await earlyLook(xen);
  const order = { hostBridges: machine.hostBridges, ecam, claims: claims.map(({ base, limit }) => ({ base, limit })) };
  const thread = startServerThread(order);
  try {
    const server = attachServer(xen.servers, thread.channel, { name: 'of the simulated machine' });
    const handOver = async (plan: Plan) => {
      thread.enable();
      await server.enabled;
      await requireAttached(server);
      return { guest: xen.config, said: [early, ...claimed(xen), await lateLook(xen, plan), '\n'].join('') };
    };
    return await work({ machine, name, access: server.config, hosts, handOver });
  } finally {
    await thread.end();
  }
}

async function readTree(file: string, io: Io) {
  const bytes = await readBytes(file, io);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 4 && view.getUint32(0) !== FDT_MAGIC && new TextDecoder().decode(bytes).includes('/dts-v1/')) {
    throw new Problem('xen-fragment', 'this is device tree source, and a blob is wanted', {
      where: { file },
      hint: `compile it: dtc -O dtb -o guest.dtb ${file}`,
    });
  }
  try {
    return parseDeviceTree(bytes);
  } catch (error) {
    throw error instanceof Problem ? error.at({ file }) : error;
  }
}

const line = (what: string, found: string) => `${what.padEnd(21)}${found}\n`;

/** What the guest finds before any server has attached. */
async function earlyLook(xen: XenMachine): Promise<string> {
  const count = await look(xen, true, (why) =>
    problem(
      'xen-fault',
      `before an IOREQ server has attached, the guest dies of a look at the bus: ${why}`,
      hints.early,
    ),
  );
  const base = xen.ecam[0]?.base ?? 0n;
  const answer = await xen.space.access({ kind: 'read', address: base, width: 4 });
  const by = answer.status === 'done' ? `: ${answer.by} answers with ${hex(answer.value, 8)}` : '';
  return line('guest looks early', `${count === 0 ? 'an empty bus' : `${count} functions that are not there`}${by}`);
}

/** Functions that the guest finds; where it takes a data abort, what `dies` makes of that is thrown. */
async function look({ config, hosts }: XenMachine, probe: boolean, dies: (why: string) => Problem): Promise<number> {
  try {
    return allFunctions(await enumerate(config, hosts, { probe })).length;
  } catch (error) {
    throw error instanceof Problem && error.code === 'guest-abort' ? dies(error.message) : error;
  }
}

const claimed = ({ claims }: XenMachine): string[] =>
  claims.map((range, i) => line(i === 0 ? 'IOREQ server claims' : '', range.toString()));

async function requireAttached(server: RemoteServer): Promise<void> {
  const gone = await Promise.race([server.detached, Promise.resolve(undefined)]);
  if (gone !== undefined) throw new Problem('ioreq-lost', `the IOREQ server is gone: ${gone}`, { exit: Exit.outside });
}

/** What the guest finds by a rescan, and whether every BAR of the plan answers where it lies. */
async function lateLook(xen: XenMachine, plan: Plan): Promise<string> {
  const { machine, space } = xen;
  const found = await look(xen, false, (why) => unreached(`the guest dies of its rescan: ${why}`));
  if (found !== plan.functions.length) {
    throw unreached(`after a rescan the guest finds ${found} of ${plan.functions.length} functions`);
  }
  let bars = 0;
  for (const fn of plan.functions) {
    for (const bar of fn.bars) {
      const cpu = cpuAddress(machine, fn.address, bar);
      if (cpu === undefined) continue;
      await requireReached(space, cpu, bar.size, `${fn.id} BAR ${bar.index} at ${hex(cpu)}`);
      bars++;
    }
  }
  return line('guest rescans', `${found} functions, and each of their ${bars} BARs answers where the plan has it`);
}

/** The last bytes of a BAR read as their own offset in it (src/sim/memory/pci-windows.ts, `echo`): the access has arrived there and nowhere else. */
async function requireReached(space: AddressSpace, base: bigint, size: bigint, what: string): Promise<void> {
  const width = size < 8n ? 4 : 8;
  const offset = size - BigInt(width);
  const result = await space.access({ kind: 'read', address: base + offset, width });
  if (result.status === 'abort') throw unreached(`${what} is not reached: ${abortText(result.abort)}`);
  if (result.value !== offset)
    throw unreached(`${what} is not reached: ${result.by} reads ${hex(result.value)} at its end`);
}

const hints = {
  early:
    'say in the domain’s node what answers there: trap-unmapped-accesses = <0> (Xen 4.21 and later), or mmio-background-regions over all of config space (proposed)',
  late: 'what the IOREQ server claims (pinbar,ioreq-server-ranges) has to hold config space and the windows of the host bridge',
} as const;

const problem = (code: string, what: string, hint: string) => new Problem(code, what, { exit: Exit.outside, hint });
const unreached = (what: string) => problem('xen-unreached', what, hints.late);

function cpuAddress({ hostBridges }: Machine, at: Bdf, { type, address }: PlannedBar): bigint | undefined {
  const host = hostBridges.find(
    ({ segment, buses }) => segment === at.segment && buses[0] <= at.bus && at.bus <= buses[1],
  );
  const window = host?.windows.find(
    (one) => (one.type === 'io') === (type === 'io') && address >= one.base && address - one.base < one.size,
  );
  return window && window.cpuBase + (address - window.base);
}
