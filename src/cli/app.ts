import { buildApplication, buildRouteMap, text_en } from '@stricli/core';
import { VERSION } from './version.js';
import { planCommand } from './commands/plan.js';
import { runCommand } from './commands/run.js';
import { verifyCommand } from './commands/verify.js';
import type { Context } from './context.js';

const routes = buildRouteMap<'plan' | 'run' | 'verify', Context>({
  routes: { run: runCommand, plan: planCommand, verify: verifyCommand },
  docs: {
    brief: 'plans, pins and proves where PCI BARs land in guest physical memory',
    fullDescription: [
      'pinbar plans, pins and proves where a virtual machine’s PCI BARs land in guest physical memory, on stock QEMU,',
      'firmware and guest kernels.',
      '',
      '  pinbar run --pin dev0=bar2@0x6b8000000000 -- qemu-system-aarch64 …',
      '  pinbar plan machine.pinbar.yaml',
    ].join('\n'),
  },
});

export const app = buildApplication<Context>(routes, {
  name: 'pinbar',
  versionInfo: { currentVersion: VERSION },
  scanner: { caseStyle: 'allow-kebab-for-camel', allowArgumentEscapeSequence: true },
  documentation: { disableAnsiColor: false },
  localization: { loadText: () => text_en },
});
