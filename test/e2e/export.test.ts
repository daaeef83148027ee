import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { twoRoots } from '../support/export-source.js';
import { qemuBinary, type GuestArch } from '../lab/lab.js';
import { pinbar, RunningPinbar } from '../lab/pinbar.js';
import { readPlan, type WrittenPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';

/** What `info qtree` of a QEMU says that stands before its first instruction. */
async function deviceTree(program: string, args: readonly string[]): Promise<string> {
  const qemu = spawn(program, [...args, '-S', '-display', 'none', '-monitor', 'stdio']);
  onTestFinished(() => void qemu.kill('SIGKILL'));
  const ended = once(qemu, 'close');
  let [shown, errors] = ['', ''];
  qemu.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  qemu.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    // What is not out when QEMU quits is lost: wait for the next prompt.
    if (/info qtree[^]*\n\(qemu\) $/.test(shown)) qemu.stdin.end('quit\n');
  });
  qemu.stdin.write('info qtree\n');
  const [code] = (await ended) as [number | null];
  expect(errors).toBe('');
  expect(code).toBe(0);
  return shown;
}

interface Slotted {
  readonly driver: string;
  /** The bus that it is on, which has the id of its bridge. */
  readonly bus: string;
  slot: string;
}

/** The PCI devices of `info qtree` that have an id, by it. */
function readQtree(text: string): Record<string, Slotted> {
  const found: [string, Slotted][] = [];
  const buses: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const depth = line.search(/\S/) / 2;
    const [, bus] = /^\s*bus: (.*)$/.exec(line) ?? [];
    if (bus !== undefined) buses[depth] = bus;
    const [, driver, id] = /^\s*dev: ([^,]+), id "(.*)"$/.exec(line) ?? [];
    if (driver !== undefined && id !== undefined) found.push([id, { driver, bus: buses[depth - 1] ?? '', slot: '' }]);
    const [, slot] = /^\s*addr = ([0-9a-f.]+)$/.exec(line) ?? [];
    const last = found.at(-1)?.[1];
    if (slot !== undefined && last) last.slot = slot;
  }
  return Object.fromEntries(found.filter(([id, { slot }]) => id !== '' && slot !== ''));
}

/** A command line as a shell takes it apart. */
function words(command: string): string[] {
  const { stdout, status } = spawnSync('sh', ['-c', `printf '%s\\0' ${command}`], { encoding: 'utf8' });
  expect(status).toBe(0);
  return stdout.split('\0').slice(0, -1);
}

/** What has to be the same: where everything lies. What the board has of its own is in one of them alone. */
const places = ({ bridges, functions }: WrittenPlan) => ({
  bridges,
  functions: functions
    .filter(({ bars, id }) => bars.length > 0 || bridges.some((bridge) => bridge.id === id))
    // The proposed options pin 64-bit prefetchable BARs alone.
    .map(({ bars, ...rest }) => ({ ...rest, bars: bars.map((bar) => ({ ...bar, pinned: false })) })),
});

const testdev = (pin: string) => `
          bars:
            - { index: 0, type: mem32, size: 4KiB }
            - { index: 1, type: io, size: 256, pin: 0x1000 }
            - { index: 2, type: mem64, prefetchable: true, size: 1GiB, pin: ${pin} }
          qemuDevice: pci-testdev,membar=1G`;
const port = 'bars: [{ index: 0, type: mem32, size: 4KiB }]';

const secondary = (bus: number | undefined) => (bus === undefined ? '{}' : `{ secondary: ${bus} }`);

/** A device of several functions, a switch, hotplug room, and what the board has itself. */
const machineFile = (board: string, pin: string, own: string, buses: readonly number[] = []) => `
pinbar: 1
machine: ${board}
hostBridges:
  - id: pcie.0
    functions:
${own}
      - id: rp1
        slot: "1.0"
        ${port}
        bridge:
          kind: root-port
          io: 32
          pin: ${secondary(buses[0])}
          functions:
            - id: up
              slot: "0.0"
              bridge:
                kind: upstream-port
                io: 32
                pin: ${secondary(buses[1])}
                functions:
                  - { id: down0, slot: "0.0", bridge: { kind: downstream-port, io: 32, pin: ${secondary(buses[2])}, functions: [
                      { id: disk0, slot: "0.0", qemuDevice: "nvme,serial=a b", bars: [{ index: 0, type: mem64, size: 16KiB }] }] } }
                  - { id: down1, slot: "1.0", bridge: { kind: downstream-port, io: 32, hotplug: pcie, pin: ${secondary(buses[3])} } }
      - id: rp2
        slot: "2.0"
        ${port}
        bridge: { kind: root-port, io: 32, hotplug: pcie, pin: ${secondary(buses[4])}, reserve: { memory: 4MiB, prefetchable: 32MiB } }
      - id: dev0
        slot: "3.0"${testdev(pin).replaceAll('\n    ', '\n  ')}
      - id: dev1
        slot: "3.1"
        qemuDevice: pci-testdev
        bars: [{ index: 0, type: mem32, size: 4KiB }, { index: 1, type: io, size: 256, pin: 0x1100 }]
`;

const ich9 = `
      - { id: "0000:00:1f.0", slot: "1f.0" }
      - { id: "0000:00:1f.2", slot: "1f.2", bars: [{ index: 4, type: io, size: 32 }, { index: 5, type: mem32, size: 4KiB }] }
      - { id: "0000:00:1f.3", slot: "1f.3", bars: [{ index: 4, type: io, size: 64 }] }`;
const hostBridge = '      - { id: "0000:00:00.0", slot: "0.0", vendor: 0x1b36, device: 0x0008, class: 0x060000 }';

const boards: readonly [GuestArch, string][] = [
  [
    'aarch64',
    machineFile(
      '{ arch: aarch64, board: virt, ram: 1GiB, qemu: "10.0", properties: { highmem-mmio-size: 64TiB } }',
      '0x6b8000000000',
      hostBridge,
    ),
  ],
  ['riscv64', machineFile('{ arch: riscv64, board: virt, ram: 1GiB }', '0x640000000', hostBridge)],
  [
    'x86_64',
    machineFile(
      '{ arch: x86_64, board: q35, ram: 1GiB, physicalAddressBits: 40 }',
      '0x6b80000000',
      ich9,
      [2, 3, 5, 4, 1],
    ),
  ],
];

describeInLab('exported QEMU commands', ['qemu-10.0', 'qemu-10.0-riscv64', 'qemu-10.0-x86_64'], () => {
  it.each(boards)('%s: QEMU has every device where the plan has it', async (arch, text) => {
    const file = join(scratchFolder(), 'machine.yaml');
    writeFileSync(file, text);
    const { output, errors, end } = await pinbar(['export', 'qemu', file]);
    expect(errors).toMatch(/^note: 3 addresses are pinned[^\n]*\n$/);
    expect(end).toBe(0);

    const [program, ...args] = words(output);
    expect(program).toBe(`qemu-system-${arch}`);
    const tree = await deviceTree(qemuBinary('10.0', arch), args);
    const there = readQtree(tree);
    expect(there).toEqual({
      rp1: { driver: 'pcie-root-port', bus: 'pcie.0', slot: '01.0' },
      up: { driver: 'x3130-upstream', bus: 'rp1', slot: '00.0' },
      down0: { driver: 'xio3130-downstream', bus: 'up', slot: '00.0' },
      disk0: { driver: 'nvme', bus: 'down0', slot: '00.0' },
      down1: { driver: 'xio3130-downstream', bus: 'up', slot: '01.0' },
      rp2: { driver: 'pcie-root-port', bus: 'pcie.0', slot: '02.0' },
      dev0: { driver: 'pci-testdev', bus: 'pcie.0', slot: '03.0' },
      dev1: { driver: 'pci-testdev', bus: 'pcie.0', slot: '03.1' },
    });
    expect(tree).toContain('serial = "a b"');
  });

  it.each([
    ['x86_64', twoRoots()],
    ['aarch64', twoRoots('{ arch: aarch64, board: virt, ram: 1GiB }')],
  ] as const)('%s: a second root bus, and what lies on it', async (arch, text) => {
    const [file, found] = ['machine.yaml', 'found.json'].map((name) => join(scratchFolder(), name));
    writeFileSync(file!, text);
    const { output, end } = await pinbar(['export', 'run', file!]);
    expect(end).toBe(0);
    const command = words(output);
    const qemu = command.slice(command.indexOf('--') + 1);
    expect(readQtree(await deviceTree(qemuBinary('10.0', arch), qemu.slice(1)))).toEqual({
      node1: { driver: 'pxb-pcie', bus: 'pcie.0', slot: '1e.0' },
      rp1: { driver: 'pcie-root-port', bus: 'pcie.0', slot: '01.0' },
      dev0: { driver: 'pci-testdev', bus: 'rp1', slot: '00.0' },
      rp2: { driver: 'pcie-root-port', bus: 'node1', slot: '00.0' },
      dev1: { driver: 'pci-testdev', bus: 'rp2', slot: '00.0' },
    });
    // What lies on the board's own bus is pinned as before.
    const own = command.slice(2, command.indexOf('--'));
    const bios = arch === 'x86_64' ? ['-bios', 'qboot.rom'] : [];
    const program = [qemuBinary('10.0', arch), ...qemu.slice(1), ...bios, '-S', '-display', 'none', '-serial', 'null'];
    const paused = new RunningPinbar(['run', '--verbose', '--plan-out', found!, ...own, '--', ...program]);
    await paused.shows(/ms {2}running/, 'errors');
    paused.signal('SIGTERM');
    expect((await paused.ended).end).toBe(0);
    const dev0 = readPlan(found!).functions.find(({ id }) => id === 'dev0');
    expect(dev0?.bars.find(({ index }) => index === 2)?.address).toBe('0xc040000000');
  });

  it.each(
    boards.flatMap(([arch, text]) =>
      ['run', 'qemu-rfc', ...(arch === 'aarch64' ? ['qemu-pci-bars'] : [])].map((form) => [arch, form, text] as const),
    ),
  )('%s, %s: pinbar run puts everything where the plan has it', async (arch, form, text) => {
    const folder = scratchFolder();
    const [file, wanted, found] = ['machine.yaml', 'plan.json', 'found.json'].map((name) => join(folder, name));
    writeFileSync(file!, text);
    expect((await pinbar(['plan', file!, '--out', wanted!])).end).toBe(0);
    const exported = await pinbar(['export', form, wanted!, '--machine', file!]);
    expect(exported.end).toBe(0);

    const command = words(exported.output);
    const own = form === 'run' ? command.slice(2, command.indexOf('--')) : [];
    const qemu = form === 'run' ? command.slice(command.indexOf('--') + 1) : command;
    expect(qemu[0]).toBe(`qemu-system-${arch}`);
    const bios = arch === 'x86_64' ? ['-bios', 'qboot.rom'] : [];
    const program = [qemuBinary('10.0', arch), ...qemu.slice(1), ...bios, '-S', '-display', 'none', '-serial', 'null'];
    const paused = new RunningPinbar(['run', '--verbose', '--plan-out', found!, ...own, '--', ...program]);
    await paused.shows(/ms {2}running/, 'errors');
    paused.signal('SIGTERM');
    expect((await paused.ended).end).toBe(0);
    expect(places(readPlan(found!))).toEqual(places(readPlan(wanted!)));
  });
});
