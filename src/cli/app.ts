import {
  buildApplication,
  buildRouteMap,
  help,
  version,
  type Application,
  type Command,
  type RouteMap,
} from '@stricli/core';
import { VERSION } from './version.js';
import { attachCommand } from './commands/attach.js';
import { boardsCommand } from './commands/boards.js';
import { diffCommand } from './commands/diff.js';
import { importCommand } from './commands/import.js';
import { doctorCommand } from './commands/doctor.js';
import { exportCommand } from './commands/export.js';
import { planCommand } from './commands/plan.js';
import { predictCommand } from './commands/predict.js';
import { runCommand } from './commands/run.js';
import { sizeCommand } from './commands/size.js';
import { scanCommand } from './commands/scan.js';
import { twinCommand } from './commands/twin.js';
import { verifyCommand } from './commands/verify.js';
import type { Context } from './context.js';
import { withHelp } from './help.js';
import type { Io } from './io.js';
import { usageText } from './usage.js';

const commands = {
  run: runCommand,
  attach: attachCommand,
  plan: planCommand,
  predict: predictCommand,
  verify: verifyCommand,
  scan: scanCommand,
  boards: boardsCommand,
  import: importCommand,
  diff: diffCommand,
  size: sizeCommand,
  export: exportCommand,
  doctor: doctorCommand,
  twin: twinCommand,
};

export const commandNames: readonly string[] = Object.keys(commands);

const docs = {
  brief: 'plans, pins and proves where PCI BARs land in guest physical memory',
  fullDescription: [
    'pinbar plans, pins and proves where a virtual machine’s PCI BARs land in guest physical memory, on stock QEMU,',
    'firmware and guest kernels.',
    '',
    '  pinbar run --pin dev0=bar2@0x6b8000000000 -- qemu-system-aarch64 …',
    '  pinbar plan machine.pinbar.yaml',
  ].join('\n'),
};

/** The commands, with messages about `argv` in the style of `io`. */
export function makeApp(argv: readonly string[], io: Io): Application<Context> {
  const text = usageText(argv, io);
  const formatting = {
    caseStyle: 'convert-camel-to-kebab',
    useAliasInUsageLine: false,
    onlyRequiredInUsageLine: false,
  } as const;
  const fitting = <T extends Command<Context> | RouteMap<Context>>(target: T) => withHelp(target, io.stdout.columns);
  const routes = Object.fromEntries(Object.entries(commands).map(([name, command]) => [name, fitting(command)]));
  return buildApplication<Context>(
    fitting(buildRouteMap<string, Context>({ routes, docs })),
    {
      name: 'pinbar',
      scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
      localization: { loadText: () => text },
    },
    {
      help: help({ brief: text.briefs.help, defaultForRouteMap: true, formatting }),
      version: version({ brief: text.briefs.version, info: { currentVersion: VERSION } }),
    },
  );
}
