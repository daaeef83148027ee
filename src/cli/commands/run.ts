import { buildCommand } from '@stricli/core';
import type { Context } from '../context.js';
import type { RunFlags } from './flags.js';
import { pinningFlags } from './pinning-flags.js';

export const runCommand = buildCommand<RunFlags, string[], Context>({
  loader: async () => (await import('./run-work.js')).run,
  parameters: {
    flags: {
      ...pinningFlags,
      splitRam: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Give the guest its RAM in parts, in the place of -m: the first at the board’s base, the others above',
        placeholder: 'LOW+HIGH[@ADDR]',
      },
      planOut: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Write the plan as JSON to this file',
        placeholder: 'FILE',
      },
      timeLimit: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Search no longer than this, such as 30s or 2min; then the outcome is undecided (exit code 2)',
        placeholder: 'TIME',
      },
      transport: {
        kind: 'enum',
        values: ['qtest', 'gdb'],
        default: 'qtest',
        brief: 'How QEMU’s memory is reached: its qtest server, or its gdbstub',
      },
      verify: {
        kind: 'boolean',
        default: false,
        brief: 'Check at every reset and at the end that the guest has kept the plan; exit code 3 where it has not',
      },
      strict: {
        kind: 'boolean',
        default: false,
        brief: 'End with exit code 3 where firmware is found to have moved what is pinned',
      },
      uefiDriver: {
        kind: 'boolean',
        default: true,
        brief: 'Do not give UEFI firmware the driver by which EDK2 takes the plan',
      },
      sim: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Do it on the simulated machine that this machine file describes; needs no QEMU',
        placeholder: 'FILE',
      },
      xen: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief:
          'With --sim: as a Xen guest on Arm whose device tree fragments these are, compiled; its IOREQ server comes late',
        placeholder: 'DTB',
      },
      twin: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'Serve the functions of this capture, behind ports and switches as on the host, at their host addresses',
        placeholder: 'CAPTURE',
      },
      devices: {
        kind: 'parsed',
        parse: String,
        optional: true,
        brief: 'With --twin: these functions alone',
        placeholder: 'ADDRESS[,ADDRESS]',
      },
      region: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'With --twin: what lies behind a BAR or a ROM: memory (default), echo, constant:VALUE, file:PATH',
        placeholder: 'ADDRESS/barN=RULE',
      },
      add: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief: 'With --twin: this function also has Enhanced Allocation, or resizable:barN:SIZE, sriov:VFS:SIZE',
        placeholder: 'ADDRESS=ea',
      },
      absent: {
        kind: 'parsed',
        parse: String,
        variadic: true,
        optional: true,
        brief:
          'With --twin: this function is an empty slot at first; it appears after that many seconds, or at SIGUSR2',
        placeholder: 'ADDRESS[@SECONDS][,hotplug]',
      },
      twinMemory: {
        kind: 'parsed',
        parse: String,
        default: '512MiB',
        brief: 'With --twin: keep at most this much of what the guest writes to BARs',
        placeholder: 'SIZE',
      },
      json: { kind: 'boolean', default: false, brief: 'With --sim: print the plan as JSON' },
      verbose: { kind: 'boolean', default: false, brief: 'Say every stage, with its time' },
      quiet: { kind: 'boolean', default: false, brief: 'Print no table, only problems' },
    },
    positional: {
      kind: 'array',
      parameter: { parse: String, brief: 'After --: the QEMU command line, as it is', placeholder: 'QEMU ARGS' },
    },
    aliases: { q: 'quiet' },
  },
  docs: {
    brief: 'Start QEMU with every BAR where it belongs',
    fullDescription: [
      'Starts stock QEMU paused, enumerates its PCI tree, solves, programs every BAR and bridge window, tells the guest to',
      'keep them, and lets it run; the same again at every reset. fixed-bars=, pci-pre-enum= and pcie-mmio-window= in the QEMU',
      'command line are taken out and honoured. The exit code is QEMU’s own; 1 bad input, 2 no valid plan, 3 something',
      'outside failed.',
    ].join('\n'),
    customUsage: [
      '[--pin ID=barN@ADDR]... [--machine FILE] [--plan-out FILE] [--verify] -- qemu-system-aarch64 ARGS...',
      '--twin CAPTURE [--devices ADDRESS[,ADDRESS]] [OPTIONS]... -- qemu-system-aarch64 ARGS...',
      '--sim FILE [--xen GUEST.DTB --xen DOMAIN.DTB]',
    ],
  },
});
