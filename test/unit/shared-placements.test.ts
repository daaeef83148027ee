import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { judgePlacement } from '../../src/doctor/oracle/placed-by.js';
import { EvidenceReader, gather } from '../../src/doctor/read.js';
import { sharedFolder } from '../support/shared.js';

/** A boot of a real guest: the kernel's lines about PCI alone, without the first lines of its log. */
interface Recorded {
  readonly booted: boolean;
  readonly kernelVersion: string;
  readonly machine: {
    readonly type: string;
    readonly memory: string;
    readonly options: string | null;
    readonly cpu: string;
    readonly globals: readonly string[];
  };
  readonly args: readonly string[];
  readonly log: readonly string[];
}

const folder = sharedFolder('groundtruth');
const flavours = folder
  ? readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
  : [];
const bootsOf = (flavour: string) =>
  readdirSync(join(folder!, flavour)).map((name) => ({
    name,
    boot: JSON.parse(readFileSync(join(folder!, flavour, name), 'utf8')) as Recorded,
  }));

const GIB = 1n << 30n;
const hex = (value: bigint) => `0x${value.toString(16).padStart(16, '0')}`;

/** The lines that a log has before those about PCI: the kernel's version, and on x86 RAM and firmware. */
function headOf(flavour: string, { machine, kernelVersion }: Recorded): string[] {
  const arch = machine.type.startsWith('q35') ? 'x86_64' : machine.type.startsWith('riscv') ? 'riscv64' : 'aarch64';
  const version = `Linux version ${kernelVersion} (${arch}-linux-gnu-gcc)`;
  if (arch !== 'x86_64')
    return flavour.startsWith('edk2') ? [version, 'DMI: QEMU KVM Virtual Machine, BIOS 0.0.0'] : [version];
  const size = BigInt(parseInt(machine.memory, 10)) * GIB;
  const low = size >= 0xb0000000n ? 2n * GIB : size;
  return [
    version,
    `BIOS-e820: [mem ${hex(0x100000n)}-${hex(low - 1n)}] usable`,
    ...(size > low ? [`BIOS-e820: [mem ${hex(4n * GIB)}-${hex(4n * GIB + size - low - 1n)}] usable`] : []),
    `DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS ${flavour.startsWith('seabios') ? '1.16.2-debian-1.16.2-1' : '0.0.0'}`,
  ];
}

/** The QEMU command of a boot. */
const commandOf = ({ machine: { type, options, cpu, memory, globals }, args }: Recorded) =>
  [
    `qemu-system-${type.startsWith('q35') ? 'x86_64' : type.startsWith('riscv') ? 'riscv64' : 'aarch64'}`,
    ...['-machine', `${type.startsWith('q35') ? 'q35' : 'virt'}${options ? `,${options}` : ''}`],
    ...['-cpu', cpu, '-m', memory, '-nodefaults', ...globals, ...args],
  ].join(' ');

function judge(name: string, lines: readonly string[]) {
  const reader = new EvidenceReader(name);
  for (const line of lines) reader.push(line);
  const placedBy = judgePlacement(gather([reader.finish()])).flatMap((one) => one.placedBy);
  return {
    kernel: placedBy.find(({ guest }) => guest.startsWith('linux')),
    firmware: placedBy.find(({ guest }) => !guest.startsWith('linux')),
  };
}

describe.skipIf(!folder)('kernel logs of recorded boots, where nothing was pinned', () => {
  it.each(flavours)(
    '%s: each is the own order of its kernel, and never said to be something else',
    (flavour) => {
      const count = { boots: 0, own: 0, firmware: 0 };
      const wrong: string[] = [];
      for (const { name, boot } of bootsOf(flavour)) {
        if (!boot.booted) continue;
        const { kernel, firmware } = judge(name, [...headOf(flavour, boot), ...boot.log]);
        count.boots++;
        if (kernel?.verdict === 'own') count.own++;
        else wrong.push(`${name}: ${kernel?.summary ?? 'nothing'}`);
        if (firmware?.verdict === 'own') count.firmware++;
        if (firmware?.verdict === 'other') wrong.push(`${name}: ${firmware.summary}`);
      }
      process.stdout.write(`${flavour}: kernel ${count.own}, firmware ${count.firmware} of ${count.boots} boots\n`);
      expect(count.boots).toBeGreaterThan(0);
      expect(wrong).toEqual([]);
    },
    120_000,
  );

  it.each(flavours.filter((flavour) => !flavour.startsWith('linux')))(
    '%s: with QEMU’s arguments the firmware is known to have placed by itself, too',
    (flavour) => {
      const wrong: string[] = [];
      for (const { name, boot } of bootsOf(flavour)) {
        if (!boot.booted) continue;
        const { firmware } = judge(name, [...headOf(flavour, boot), ...boot.log, commandOf(boot)]);
        if (firmware?.verdict !== 'own') wrong.push(`${name}: ${firmware?.summary ?? 'nothing'}`);
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );

  it.each(flavours)(
    '%s: with one BAR elsewhere none is',
    (flavour) => {
      const unseen: string[] = [];
      for (const { name, boot } of bootsOf(flavour)) {
        const at = boot.log.findLastIndex((line) => /: BAR \d \[mem .*\]: assigned$/.test(line));
        const [, base = '', limit = ''] = /\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)/.exec(boot.log[at] ?? '') ?? [];
        if (base === '') continue;
        const by = 0x1000_0000n;
        const up = (digits: string) => (BigInt(`0x${digits}`) + by).toString(16);
        const line = boot.log[at]!.replace(base, up(base)).replace(limit, up(limit));
        const { kernel } = judge(name, [...headOf(flavour, boot), ...boot.log.toSpliced(at, 1, line)]);
        if (kernel?.verdict === 'own') unseen.push(name);
      }
      expect(unseen).toEqual([]);
    },
    240_000,
  );
});
