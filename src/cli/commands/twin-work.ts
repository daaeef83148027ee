import { chosenFunctions, indexOf, parseDevices } from '../../import/machine/chosen.js';
import { formatBdf } from '../../pci/bdf.js';
import { Exit } from '../../problem/problem.js';
import { interrupted } from '../../twin/interrupt.js';
import { parseAddition } from '../../twin/additions.js';
import { parseLateRule } from '../../twin/late.js';
import { twinDevice } from '../../twin/qemu-arguments.js';
import { parseMemory, parseRegionRule } from '../../twin/rules.js';
import { serveTwins, type Twin } from '../../twin/serve.js';
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
    const late = (flags.absent ?? []).map(parseLateRule);
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
    twins.late.followClients();
    try {
      io.stdout.write(flags.json ? asJson(twins.list) : asText(twins.list, io));
      progress.line('serving until it is interrupted');
      await ended;
    } finally {
      await twins.close();
    }
    return Exit.done;
  });
}

/** A root port of its own for each, and the twin behind it. */
const argumentsOf = (list: readonly Twin[]): string[] =>
  list.flatMap(({ fn, socket }, i) => {
    const name = formatBdf(fn.address).replace(/[:.]/g, '-');
    const bus = `port-${name}`;
    return [
      ...['-device', `pcie-root-port,id=${bus},chassis=${i + 1}`],
      ...['-device', twinDevice(socket, { id: `dev-${name}`, bus })],
    ];
  });

const hex4 = (value: number) => value.toString(16).padStart(4, '0');

const asJson = (list: readonly Twin[]): string => {
  const twins = list.map(({ fn, socket }) => ({
    address: formatBdf(fn.address),
    vendor: `0x${hex4(fn.vendor)}`,
    device: `0x${hex4(fn.device)}`,
    socket,
  }));
  return `${JSON.stringify({ pinbar: 1, twins, qemuArguments: argumentsOf(list) }, null, 2)}\n`;
};

function asText(list: readonly Twin[], io: Io): string {
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
  const words = argumentsOf(list).map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
  const lines = words.flatMap((word, i) => (i % 2 === 0 ? [`  ${word} ${words[i + 1] ?? ''}`] : []));
  return `${table}\n${style.bold('QEMU’s arguments (10.1 and later)')}\n${lines.join(' \\\n')}\n`;
}
