import { parseAddress } from '../../address/format.js';
import { withDevices } from '../../export/devices.js';
import type { Exported } from '../../export/exported.js';
import { formats, type ExportFormat } from '../../export/formats.js';
import { nearest } from '../../problem/nearest.js';
import { Exit, Problem } from '../../problem/problem.js';
import { work, type Context } from '../context.js';
import { readMachine, readPlanOrMachine } from '../documents.js';
import { readBytes, writeOutput } from '../files.js';
import { styleFor, type Io } from '../io.js';
import { printable } from '../render/printable.js';
import { renderTable } from '../render/table.js';
import type { ExportFlags } from './flags.js';

export async function exportPlan(this: Context, flags: ExportFlags, name?: string, file?: string): Promise<void> {
  await work(this, async (io) => {
    if (name === undefined) {
      io.stdout.write(renderFormats(io));
      return Exit.done;
    }
    const format = find(name);
    const exported = await write(format, file, flags, io);
    const { content, notes } = exported;
    if (flags.out !== undefined) await writeOutput(flags.out, content);
    else if (format.binary && io.stdout.isTTY) throw binaryOnTerminal(format);
    else io.stdout.write(content);
    for (const note of notes) io.stderr.write(`note: ${printable(note)}\n`);
    return Exit.done;
  });
}

async function write(format: ExportFormat, file: string | undefined, flags: ExportFlags, io: Io): Promise<Exported> {
  if (file === undefined) {
    throw new Problem('usage', 'there is nothing to export', {
      hint: `name a plan or a machine file: pinbar export ${format.name} plan.json`,
    });
  }
  if ([file, flags.machine, flags.base].filter((one) => one === '-').length > 1) {
    throw new Problem('usage', 'standard input can be read once, and - is given more than once');
  }
  const own = await readPlanOrMachine(file, io);
  const given = flags.machine === undefined ? own.machine : (await readMachine(flags.machine, io)).machine;
  const devices = [...(flags.host ?? []), ...(flags.device ?? [])];
  if (!given && devices.length > 0) {
    throw new Problem('usage', `${devices[0] ?? ''} says what a device is, and there is no machine file to add it to`, {
      hint: 'add --machine FILE, the machine file that the plan was made of',
    });
  }
  const machine = given && withDevices(given, flags.host ?? [], flags.device ?? []);
  const base = flags.base === undefined ? undefined : await readBytes(flags.base, io);
  const toText = await format.load();
  return toText({
    plan: own.plan,
    ...(machine ? { machine } : {}),
    ...(base ? { base } : {}),
    options: flags.ecam === undefined ? {} : { ecam: parseAddress(flags.ecam) },
  });
}

function find(name: string): ExportFormat {
  const names = formats.map((one) => one.name);
  const found = formats.find((one) => one.name === name);
  if (found) return found;
  const close = nearest(name, names);
  throw new Problem('export-format', `pinbar does not write a format ${printable(name.slice(0, 60))}`, {
    hint: close.length > 0 ? `did you mean ${close.join(' or ')}?` : `it writes ${names.join(', ')}`,
  });
}

const binaryOnTerminal = ({ name }: ExportFormat) =>
  new Problem('usage', `${name} is binary, and standard output is a terminal`, { hint: 'add --out FILE' });

const renderFormats = (io: Io): string =>
  renderTable(
    [
      { title: 'format', text: ({ name }: ExportFormat) => name },
      { title: 'what it is', text: ({ brief }: ExportFormat) => brief },
    ],
    formats,
    styleFor(io.stdout, io.env).bold,
  );
