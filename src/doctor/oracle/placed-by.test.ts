import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { diagnose } from '../diagnose.js';
import { diagnosisToJson } from '../json.js';
import { EvidenceReader, gather } from '../read.js';
import { diagnosisSchema } from '../schema.js';
import type { PlacedBy } from '../finding.js';
import { judgePlacement } from './placed-by.js';
import { withPlacement } from './with-placement.js';

/** What guests of test/lab/placements.ts printed: `own.` without pins, `pinned.` with two BARs pinned. */
const folder = new URL('../samples/placed-by/', import.meta.url);
const textOf = (name: string) => readFileSync(new URL(`${name}.txt`, folder), 'utf8');
const names = readdirSync(folder).map((file) => file.replace('.txt', ''));

const evidenceOf = (...texts: string[]) =>
  gather(
    texts.map((text, i) => {
      const reader = new EvidenceReader(`${i}.txt`);
      reader.pushBytes(new TextEncoder().encode(text));
      return reader.finish();
    }),
  );
const judge = (...texts: string[]): PlacedBy[] => judgePlacement(evidenceOf(...texts)).flatMap((one) => one.placedBy);
const verdicts = (...texts: string[]) => judge(...texts).map(({ guest, verdict }) => `${guest} ${verdict}`);
const moved = (one: PlacedBy | undefined) => one?.differs.map(({ address, what }) => `${address} ${what}`) ?? [];

describe('logs of guests that placed by themselves', () => {
  it.each([
    ['own.aarch64', ['linux-6.12 own']],
    ['own.riscv64', ['linux-6.12 own']],
    ['own.riscv64-tight', ['linux-6.12 own']],
    ['own.aarch64-edk2', ['edk2-2025.02 own', 'linux-6.12 own']],
    ['own.x86_64', ['seabios-1.16.3 own', 'linux-6.12 own']],
    ['own.x86_64-ovmf', ['ovmf-2022.11 own', 'linux-6.12 own']],
  ])('%s', (name, expected) => expect(verdicts(textOf(name))).toEqual(expected));
});

describe('as kernels before 6.9 word it', () => {
  const index = (range: string) => (range.startsWith('[io') ? 13 : range.includes('pref') ? 15 : 14);
  const older = (text: string) =>
    text
      .replaceAll(
        /bridge window (\[[^\]]*\]): assigned/g,
        (_, range: string) => `BAR ${index(range)}: assigned ${range}`,
      )
      .replaceAll(/BAR (\d) (\[[^\]]*\]): assigned/g, 'BAR $1: assigned $2')
      .replaceAll(/ROM (\[[^\]]*\]): assigned/g, 'BAR 6: assigned $1')
      .replaceAll(
        /: BAR (\d) (\[[^\]]*\])\n/g,
        (_, bar: string, range: string) => `: reg 0x${(16 + 4 * Number(bar)).toString(16)}: ${range}\n`,
      )
      .replaceAll(/: ROM (\[[^\]]*\])\n/g, ': reg 0x30: $1\n');

  it.each(['own.aarch64', 'own.x86_64', 'own.x86_64-ovmf', 'pinned.aarch64'])('%s', (name) => {
    const text = older(textOf(name));
    expect(text).toContain(': reg 0x10: [');
    expect(verdicts(text)).toEqual(verdicts(textOf(name)));
  });

  it('VF BARs', () => {
    const { resources } = evidenceOf(
      '[    1.0] pci 0000:01:00.0: VF(n) BAR0 space: [mem 0x00000000-0x00007fff 64bit] (contains BAR0 for 2 VFs)\n',
    );
    expect(resources.map(({ name, size }) => [name, size])).toEqual([['vf0', 0x8000n]]);
  });
});

describe('logs of guests with pinned BARs', () => {
  const pinned = {
    aarch64: [0x8b_4000_0000n, 0x8b_5000_0000n],
    riscv64: [0x5_4000_0000n, 0x5_5000_0000n],
    x86_64: [0x6b_8000_0000n, 0x6b_9000_0000n],
  } as const;

  it.each([
    ['pinned.aarch64', 'linux-6.12', pinned.aarch64],
    ['pinned.aarch64-edk2', 'linux-6.12', pinned.aarch64],
    ['pinned.riscv64', 'linux-6.12', pinned.riscv64],
    ['pinned.x86_64', 'qboot', pinned.x86_64],
  ])('%s: something else than %s decided, and the pinned BARs are named', (name, guest, at) => {
    const found = judge(textOf(name)).find((one) => one.guest === guest);
    expect(found?.verdict).toBe('other');
    expect(found?.differs[0]?.shown?.base).toBe(at[0]);
    expect(found?.differs.map(({ shown }) => shown?.base)).toContain(at[1]);
    expect(found?.summary).toContain(`0x${at[0].toString(16)}`);
  });

  it('behind firmware whose reservations no log shows it stays open, and says what would tell', () => {
    const [firmware] = judge(textOf('pinned.x86_64-ovmf'));
    expect(firmware).toMatchObject({ guest: 'ovmf-2022.11', verdict: 'open' });
    expect(firmware?.differs[0]?.shown?.base).toBe(0x6b_8000_0000n);
    expect(firmware?.missing[0]?.command).toContain('cmdline');
  });
});

describe('with QEMU’s arguments', () => {
  // prettier-ignore
  const command = [
    'qemu-system-x86_64 -machine q35 -cpu max -m 512M -nographic -nodefaults -serial stdio',
    '-device pcie-root-port,id=rp1,chassis=1,addr=1.0', '-device pci-testdev,id=test,bus=rp1,membar=64M',
    '-device pcie-root-port,id=rp2,chassis=2,addr=2.0,hotplug=off', '-device x3130-upstream,id=up,bus=rp2',
    '-device xio3130-downstream,id=dn0,bus=up,chassis=3,slot=0', '-object memory-backend-ram,id=memory,size=16M',
    '-device ivshmem-plain,id=shared,memdev=memory,bus=dn0', '-device secondary-vga,id=vga,addr=5.0,romfile=',
    '-netdev user,id=n0,restrict=on', '-device virtio-net-pci,id=net,netdev=n0,addr=6.0',
  ].join(' ');
  const text = textOf('pinned.x86_64-ovmf-2025.02');

  it('nothing of the firmware is open any more', () => {
    expect(verdicts(text)).toEqual(['ovmf-2025.02 open', 'linux-6.12 own']);
    expect(verdicts(text, command)).toEqual(['ovmf-2025.02 other', 'linux-6.12 own']);
    const [firmware] = judge(text, command);
    expect(firmware?.differs[0]?.shown?.base).toBe(0x6b_8000_0000n);
    expect(judge(textOf('own.x86_64'), command)[1]?.summary).not.toContain('hot-plug');
  });

  it('those of another machine do not count', () => {
    for (const other of [
      command.replace(/-device xio3130\S+/, ''),
      command.replace('addr=1.0', 'addr=9.0'),
      'x -device y',
    ])
      expect(verdicts(text, other)).toEqual(['ovmf-2025.02 open', 'linux-6.12 own']);
  });
});

describe('a log in which something lies elsewhere', () => {
  const text = textOf('own.aarch64');
  /** The function and the BAR of a line that assigns it. */
  const assigned = [
    ...text.matchAll(/^.* (\S+): BAR (\d) \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)( 64bit)?[^\]]*\]: assigned$/gm),
  ];

  it.each(assigned.map(([line, at = '', bar = '', base = '', limit = '']) => ({ line, at, bar, base, limit })))(
    '$at BAR $bar',
    ({ line, at, bar, base, limit }) => {
      const by = BigInt(`0x${limit}`) - BigInt(`0x${base}`) + 1n;
      const up = (digits: string) => (BigInt(`0x${digits}`) + by).toString(16);
      const changed = text.replace(line, line.replace(base, up(base)).replace(limit, up(limit)));
      const [found] = judge(changed);
      expect(found).toMatchObject({ guest: 'linux-6.12', verdict: 'other' });
      expect(moved(found)).toEqual([`${at} ${bar}`]);
      expect(found?.evidence.map(({ raw }) => raw)).toContain(line.replace(base, up(base)).replace(limit, up(limit)));
    },
  );

  it('kernel options, kernels that were not measured and machines of no model are said to be open', () => {
    const [line = '', base = ''] = /BAR 2 \[mem 0x(8000000000)-0x8003ffffff 64bit pref\]: assigned/.exec(text) ?? [];
    const changed = text.replace(line, line.replace(base, '8008000000').replace('8003ffffff', '800bffffff'));
    expect(verdicts(changed)).toEqual(['linux-6.12 other']);
    const open = (...other: string[]) => {
      const [found] = judge(...other);
      return `${found?.verdict ?? ''}: ${found?.summary ?? ''}`;
    };
    expect(open(changed.replace('Kernel command line: ', 'Kernel command line: pci=realloc '))).toMatch(
      /^open: .*pci=realloc, which is not modelled/,
    );
    expect(open(changed.replace('Linux version 6.12', 'Linux version 6.14'))).toMatch(
      /^open: .*6\.14 was not measured/,
    );
    expect(open(changed.replace(/^.*pciehp: Slot #.*\n/gm, ''))).toMatch(/^open: .*which ports are hot-plug capable/);
    expect(
      open(text.replaceAll('aarch64', 'ppc64').replaceAll('arm64', 'ppc64').replaceAll('4010000000', '10000000')),
    ).toMatch(/^open: .*no model of Linux/);
  });

  it('lines that are missing are named, not guessed', () => {
    const without = (pattern: RegExp) => judge(text.replace(pattern, ''))[0];
    expect(without(/^.*Linux version.*\n/gm)).toMatchObject({ guest: 'linux', verdict: 'open' });
    expect(without(/^.*root bus resource.*\n/gm)?.summary).toContain('root bus resource');
    expect(without(/^.*0000:01:00\.0: \[1b36:.*\n/gm)?.summary).toContain('whose first line is not');
    expect(without(/^.*0000:01:00\.0: BAR 2 \[mem [^\]]*\]\n/gm)?.summary).toContain('size is not shown');
    expect(without(/^.*0000:00:02\.0.*\n/gm)?.verdict).toBe('open');
    expect(judge('pci 0000:00:01.0: [1b36:000c] type 01 class 0x060400 PCIe Root Port\n')).toEqual([]);
  });
});

describe('findings about missing room', () => {
  const diagnosisOf = (text: string) => {
    const evidence = evidenceOf(text);
    return withPlacement(diagnose(evidence), evidence).findings[0];
  };

  it('where another order has room it is said, and pinbar run is the remedy', () => {
    const found = diagnosisOf(textOf('own.riscv64-tight'));
    expect(found?.summary).toMatch(
      /leaves 0000:00:05\.0 BAR 2 without an address, although there is room for everything/,
    );
    expect(found?.proof).toMatch(/A search over all orders places every memory BAR .* 0000:00:05\.0 BAR 2 at 0x[4-7]/);
    expect(found?.remedies.map(({ where, change }) => `${where} ${change}`)).toEqual([
      'qemu pinbar run -- QEMU …, with the same arguments',
    ]);
  });

  it('where none has, it is said that pinning does not help', () => {
    const displays = readFileSync(new URL('../recorded/window-too-small-32bit.three-displays.txt', folder), 'utf8');
    const found = diagnosisOf(displays);
    expect(found?.proof).toMatch(/= 0x50003000 bytes .* No order of placement has room for everything/);
    expect(found?.remedies.map(({ where }) => where)).toEqual(['hardware']);
  });

  it('where the kernel did not do as its model does nothing is added', () => {
    const text = textOf('own.riscv64-tight').replace('Linux version 6.12', 'Linux version 7.2');
    expect(verdicts(text)).toEqual(['linux-7.2 open']);
    expect(diagnosisOf(text)?.summary).not.toContain('room for everything');
  });
});

describe('what comes after the boot', () => {
  // prettier-ignore
  const added = [
    '[   12.000001] pci 0000:01:00.1: [1af4:1041] type 00 class 0x020000 PCIe Endpoint',
    '[   12.000002] pci 0000:01:00.1: BAR 1 [mem 0x00000000-0x00000fff]',
    '[   12.000003] pci 0000:01:00.1: BAR 1 [mem 0x11005000-0x11005fff]: assigned',
    '[   12.000004] pcieport 0000:00:01.0: bridge window [mem 0x8000000000-0x8003ffffff 64bit pref]: releasing',
    '[   12.000005] pci 0000:01:00.0: BAR 2 [mem 0x8000000000-0x8003ffffff 64bit pref]: releasing',
    '[   12.000006] pci 0000:01:00.0: BAR 2 [mem 0x8100000000-0x81ffffffff 64bit pref]: assigned',
  ].join('\n');
  const button = '[   12.000000] pcieport 0000:00:01.0: pciehp: Slot(0): Card present\n';

  it.each(['own.aarch64', 'own.riscv64', 'own.x86_64'])('%s: is not the kernel’s placement at boot', (name) => {
    const before = verdicts(textOf(name));
    expect(verdicts(`${textOf(name)}${added}\n`)).toEqual(before);
    expect(verdicts(`${textOf(name)}${button}${added}\n`)).toEqual(before);
  });

  it('a log that is cut before its end is not held against its kernel', () => {
    const text = textOf('pinned.aarch64');
    const [found] = judge(text.slice(0, text.indexOf('resource 4 [') - 60));
    expect(found).toMatchObject({ verdict: 'open' });
    expect(found?.summary).toContain('ends before');
    expect(found?.missing).not.toEqual([]);
  });
});

it('several boots and files are told apart', () => {
  expect(verdicts(textOf('own.aarch64') + textOf('pinned.aarch64'))).toEqual(['linux-6.12 own', 'linux-6.12 other']);
  expect(verdicts(textOf('pinned.aarch64'), textOf('own.aarch64'))).toEqual(['linux-6.12 other', 'linux-6.12 own']);
});

it.each(names)('%s: as JSON it is what the schema says, and what is cited stands there', (name) => {
  const text = textOf(name);
  const evidence = evidenceOf(text);
  const json = v.parse(diagnosisSchema, diagnosisToJson(withPlacement(diagnose(evidence), evidence)));
  expect(json.placedBy?.length).toBeGreaterThan(0);
  const lines = text.split('\n');
  for (const one of json.placedBy ?? []) {
    for (const { line, text: cited } of one.evidence) expect(lines[line - 1]).toBe(cited);
  }
});
