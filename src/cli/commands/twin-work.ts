import { chosenFunctions, indexOf, parseDevices } from '../../import/machine/chosen.js';
import { formatBdf, type Bdf } from '../../pci/bdf.js';
import { Exit, Problem } from '../../problem/problem.js';
import { interrupted } from '../../twin/interrupt.js';
import { parseAddition } from '../../twin/additions.js';
import { parseLateRule, type LateRule } from '../../twin/late.js';
import { separateArguments, separateDevice, type LateIds, type SeparateTwin } from '../../twin/qemu-arguments.js';
import { parseMemory, parseRegionRule } from '../../twin/rules.js';
import { requireServed, serveTwins, type Twin } from '../../twin/serve.js';
import { work, type Context } from '../context.js';
import { styleFor, type Io } from '../io.js';
import { Progress } from '../progress.js';
import { readCapture } from '../read-capture.js';
import { renderTable } from '../render/table.js';
import { passableFunctions } from '../twin-functions.js';
import type { TwinFlags } from './flags.js';

export async function twin(this: Context, flags: TwinFlags, ...files: string[]): Promise<void> {
  await work(this, async (io) => {
    const rules = (flags.region ?? []).map(parseRegionRule);
    const absent = (flags.absent ?? []).map(parseLateRule);
    requireNoTime(absent);
    const late = absent.filter(({ hotplug }) => !hotplug);
    const additions = (flags.add ?? []).map(parseAddition);
    const memory = parseMemory(flags.memory);
    const capture = await readCapture(files, io);
    const served =
      flags.devices === undefined
        ? passableFunctions(capture)
        : chosenFunctions(indexOf(capture), parseDevices(flags.devices));
    const progress = new Progress(io.stderr, false);
    const ended = interrupted();
    const twins = await serveTwins(served, { rules, late, additions, memory, notice: (text) => progress.line(text) });
    try {
      twins.late.followClients();
      for (const { at } of absent)
        requireServed(
          twins.list.map(({ fn }) => fn),
          at,
        );
      const ids = lateIds(absent);
      io.stdout.write(flags.json ? asJson(twins.list, ids) : asText(twins.list, ids, io));
      progress.line('serving until it is interrupted');
      await ended;
    } finally {
      await twins.close();
    }
    return Exit.done;
  });
}

/**
 * Functions that are plugged in are so by whoever has the QEMU.
 * @throws Problem `twin-absent` where it is to be done at some time
 */
function requireNoTime(rules: readonly LateRule[]): void {
  const timed = rules.find(({ after, hotplug }) => hotplug && after !== undefined);
  if (!timed) return;
  const name = formatBdf(timed.at);
  throw new Problem(
    'twin-absent',
    `${name} cannot be plugged in at some time: that is for QEMU's monitor to do, which is not pinbar's here`,
    {
      hint: `leave @SECONDS out, and the command to do it with is printed; pinbar run --twin does it itself`,
    },
  );
}

const nameOf = (address: Bdf) => formatBdf(address).replace(/[:.]/g, '-');
const deviceId = (address: Bdf) => `dev-${nameOf(address)}`;

const separate = ({ fn, socket }: Twin): SeparateTwin => ({
  id: deviceId(fn.address),
  port: `port-${nameOf(fn.address)}`,
  socket,
});

function lateIds(rules: readonly LateRule[]): LateIds {
  const ids = (plugged: boolean) =>
    new Set(rules.filter(({ hotplug }) => hotplug === plugged).map(({ at }) => deviceId(at)));
  return { silent: ids(false), hotplug: ids(true) };
}

const argumentsOf = (list: readonly Twin[], late: LateIds) => separateArguments(list.map(separate), late);

/** What plugs them in, for QEMU's QMP monitor. */
const commandsOf = (list: readonly Twin[], { hotplug }: LateIds) =>
  list
    .map(separate)
    .filter(({ id }) => hotplug.has(id))
    .map((twin) => ({ execute: 'device_add', arguments: separateDevice(twin) }));

const hex4 = (value: number) => value.toString(16).padStart(4, '0');

const asJson = (list: readonly Twin[], late: LateIds): string => {
  const twins = list.map(({ fn, socket }) => ({
    address: formatBdf(fn.address),
    vendor: `0x${hex4(fn.vendor)}`,
    device: `0x${hex4(fn.device)}`,
    socket,
  }));
  const document = {
    pinbar: 1,
    twins,
    qemuArguments: argumentsOf(list, late),
    hotplug: commandsOf(list, late),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
};

function asText(list: readonly Twin[], late: LateIds, io: Io): string {
  const style = styleFor(io.stdout, io.env);
  const table = renderTable<Twin>(
    [
      { title: 'FUNCTION', text: ({ fn }) => formatBdf(fn.address), paint: (cell) => style.bold(cell) },
      { title: 'ID', text: ({ fn }) => `${hex4(fn.vendor)}:${hex4(fn.device)}` },
      { title: 'SOCKET', text: ({ socket }) => socket },
    ],
    list,
    style.bold,
  );
  const words = argumentsOf(list, late).map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
  const lines = words.flatMap((word, i) => (i % 2 === 0 ? [`  ${word} ${words[i + 1] ?? ''}`] : []));
  const commands = commandsOf(list, late).map((command) => `  ${JSON.stringify(command)}\n`);
  const plug = commands.length > 0 ? `\n${style.bold('QMP commands that plug in')}\n${commands.join('')}` : '';
  return `${table}\n${style.bold('QEMU’s arguments (10.1 and later)')}\n${lines.join(' \\\n')}\n${plug}`;
}
