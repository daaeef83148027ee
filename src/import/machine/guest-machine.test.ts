import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatBdf, formatSlot, parseBdf } from '../../pci/bdf.js';
import { eachFunction, type Machine } from '../../machine/model.js';
import { loadMachine } from '../../machine/load.js';
import { machineFileText } from '../../machine/save.js';
import { place } from '../../place/place.js';
import { Problem } from '../../problem/problem.js';
import { loadCapture } from '../capture/load.js';
import { mergeCapture } from '../capture/merge.js';
import type { Capture } from '../capture/model.js';
import { readGuestText } from '../guest-text.js';
import { parseDevices } from './chosen.js';
import { guestMachine } from './guest-machine.js';

const example = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
const of = (devices: string, mirror: boolean, capture = example) =>
  guestMachine(capture, { devices: parseDevices(devices), mirror });
const fromText = (text: string): Capture => mergeCapture(readGuestText('lspci.txt', text));

/** `slot id kind` a line, indented by depth, then pins. */
function sketch({ hostBridges }: Machine): string[] {
  const depth = new Map<string, number>();
  return [...eachFunction(hostBridges[0]?.functions ?? [])].map(({ fn, parent }) => {
    const own = parent ? (depth.get(parent.id) ?? 0) + 1 : 0;
    depth.set(fn.id, own);
    const pins = fn.bars
      .filter(({ pin }) => pin !== undefined)
      .map(({ index, pin }) => ` ${index}@${pin?.toString(16)}`);
    return `${'  '.repeat(own)}${formatSlot(fn.slot)} ${fn.bridge?.kind ?? fn.id}${pins.join('')}`;
  });
}

const failure = (run: () => unknown): Problem => {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('a guest with devices of a captured host', () => {
  it('has the same ports and switches, and every BAR at its host address', () => {
    const { machine, notes } = of('0009:04:00.0,0009:03:00.0', true);
    expect(sketch(machine)).toEqual([
      '01.0 root-port',
      '  00.0 upstream-port',
      '    00.0 downstream-port',
      '      00.0 dev-0009-03-00-0 0@6c8002000000 2@6b8000000000 4@6c8000000000',
      '    01.0 downstream-port',
      '      00.0 dev-0009-04-00-0 0@6d0000000000',
    ]);
    expect(machine.properties).toEqual({ 'highmem-mmio-size': '64TiB' });
    expect(machine.reserved.map(({ range }) => range.toString())).toEqual(['0x8000000-0x80fffff']);
    expect(notes).toEqual([]);
    const plan = place(machine);
    expect(plan.status).toBe('placed');
    if (plan.status !== 'placed') return;
    const [seen] = plan.functions.filter(({ id }) => id === 'dev-0009-03-00-0');
    const host = example.functions.find(({ address }) => formatBdf(address) === '0009:03:00.0');
    expect(seen?.bars.map(({ address }) => address)).toEqual(host?.bars.map(({ busAddress }) => busAddress));
  });

  it('without mirroring has a root port for each device, and no pins', () => {
    const { machine } = of('0009:04:00.0,0009:03:00.0', false);
    expect(sketch(machine)).toEqual([
      '01.0 root-port',
      '  00.0 dev-0009-04-00-0',
      '02.0 root-port',
      '  00.0 dev-0009-03-00-0',
    ]);
    // 256 GiB and more behind one port fit into the board's own 512 GiB.
    expect(machine.properties).toEqual({});
    expect(machine.reserved).toHaveLength(1);
    expect(place(machine).status).toBe('placed');
  });

  it('knows which function of the host stands behind an id', () => {
    const { hosts } = of('0009:04:00.0', true);
    expect([...hosts].map(([id, { address }]) => `${id} ${formatBdf(address)}`)).toEqual([
      'port-0009-00-00-0 0009:00:00.0',
      'port-0009-01-00-0 0009:01:00.0',
      'port-0009-02-01-0 0009:02:01.0',
      'dev-0009-04-00-0 0009:04:00.0',
    ]);
  });

  it('comes back from its text as the same machine', async () => {
    for (const mirror of [true, false]) {
      const { file, machine } = of('0009:03:00.0,0009:04:00.0,0009:05:00.0', mirror);
      expect(await loadMachine(machineFileText(file), 'x.yaml')).toEqual(machine);
    }
  });

  it('takes more address space than the board has by itself where a plan needs it', () => {
    const capture: Capture = {
      ...example,
      functions: example.functions.map((fn) =>
        fn.bars.length > 0 && fn.bars.every(({ size }) => size !== undefined)
          ? { ...fn, bars: fn.bars.map((bar) => (bar.index === 2 ? { ...bar, size: 1n << 40n } : bar)) }
          : fn,
      ),
    };
    const { machine } = of('0009:03:00.0', false, capture);
    // The BAR fills the window of 1 TiB; the others find room below 4 GiB.
    expect(machine.properties).toEqual({ 'highmem-mmio-size': '1TiB' });
    expect(place(machine).status).toBe('placed');
  });
});

const pcHost = `00:00.0 Host bridge [0600]: Intel Corporation Device [8086:1237]
00:01.0 PCI bridge [0604]: Intel Corporation Device [8086:1901] (prog-if 00 [Normal decode])
	Bus: primary=00, secondary=01, subordinate=01, sec-latency=0
	Capabilities: [88] Express (v2) Root Port (Slot+), MSI 00
00:01.1 PCI bridge [0604]: Intel Corporation Device [8086:1905] (prog-if 00 [Normal decode])
	Bus: primary=00, secondary=02, subordinate=02, sec-latency=0
	Capabilities: [88] Express (v2) Root Port (Slot+), MSI 00
01:00.0 VGA compatible controller [0300]: NVIDIA Corporation Device [10de:2204] (prog-if 00 [VGA controller])
	Region 0: Memory at f6000000 (32-bit, non-prefetchable) [size=16M]
	Region 1: Memory at 4000000000 (64-bit, prefetchable) [size=32G]
	Region 5: I/O ports at 3000 [size=128]
	Expansion ROM at f7000000 [disabled] [size=512K]
	IOMMU group: 1
01:00.1 Audio device [0403]: NVIDIA Corporation Device [10de:1aef]
	Region 0: Memory at f7080000 (32-bit, non-prefetchable) [size=16K]
	IOMMU group: 1
02:00.1 Ethernet controller [0200]: Intel Corporation Device [8086:1521]
	Region 0: Memory at 10000000 (32-bit, non-prefetchable) [size=512K]
	Region 3: Memory at <unassigned> (32-bit, non-prefetchable) [size=16K]
`;

describe('a guest of a PC', () => {
  const capture = fromText(pcHost);

  it('is a q35, as its host bridge says, with 32-bit BARs and ports pinned, too', () => {
    const { machine, notes } = of('01:00.0,01:00.1', true, capture);
    expect(machine.board).toBe('q35');
    expect(sketch(machine)).toEqual([
      '01.0 root-port',
      '  00.0 dev-0000-01-00-0 0@f6000000 1@4000000000 5@3000',
      '  00.1 dev-0000-01-00-1 0@f7080000',
    ]);
    expect(place(machine).status).toBe('placed');
    expect(notes).toEqual([
      'the capture does not name the architecture; by its root ports and host bridges it is x86_64',
      expect.stringContaining('reserved_regions'),
    ]);
  });

  it('says what it does not pin, which functions move, and what shares the IOMMU group', () => {
    const { machine, notes } = of('01:00.0,02:00.1', true, capture);
    expect(sketch(machine)).toEqual([
      '01.0 root-port',
      '  00.0 dev-0000-01-00-0 0@f6000000 1@4000000000 5@3000',
      '02.0 root-port',
      '  00.0 dev-0000-02-00-1',
    ]);
    expect(notes.join('\n')).toMatch(/0000:02:00\.1: not at the same device and function as on the host/);
    expect(notes.join('\n')).toMatch(/no address on the host: 0000:02:00\.1 BAR 3/);
    expect(notes.join('\n')).toMatch(/no window at their host addresses: 0000:02:00\.1 BAR 0 \(0x10000000\)/);
    expect(notes.join('\n')).toMatch(/IOMMU group 1 also holds 0000:01:00\.1/);
  });

  it('without mirroring keeps the functions of one device together', () => {
    expect(sketch(of('01:00.1,01:00.0,02:00.1', false, capture).machine)).toEqual([
      '01.0 root-port',
      '  00.0 dev-0000-01-00-0',
      '  00.1 dev-0000-01-00-1',
      '02.0 root-port',
      '  00.0 dev-0000-02-00-1',
    ]);
  });

  it.each([
    ['03:00.0', 'device-unknown', /no function at 0000:03:00\.0/],
    ['00:01.0', 'device-is-bridge', /a bridge/],
    ['01:00.0,01:00.0', 'device-twice', /named twice/],
    ['', 'usage', /no device/],
    ['1:0.0', 'bdf-syntax', /not a PCI address/],
  ])('%j is refused: %s', (devices, code, message) => {
    const problem = failure(() => of(devices, true, capture));
    expect(problem.code).toBe(code);
    expect(problem.message).toMatch(message);
  });

  it('refuses what the capture does not show', () => {
    const unsized = fromText(pcHost.replace(' [size=32G]', ''));
    expect(failure(() => of('01:00.0', true, unsized)).message).toMatch(/does not show the size of BAR 1/);
    const alone = fromText(pcHost.slice(pcHost.indexOf('01:00.0')));
    expect(failure(() => of('01:00.0', true, alone)).code).toBe('mirror-path');
    expect(failure(() => of('01:00.0', false, alone)).code).toBe('board-needed');
  });
});

it('gives virtual functions a place where a guest looks for them', () => {
  const vf = (name: string) => `${name} Ethernet controller [0200]: Intel Corporation Device [8086:1520]
	Region 0: Memory at f1000000 (64-bit, prefetchable) [size=16K]
`;
  const capture = fromText(`${pcHost}${vf('02:10.1')}${vf('02:10.5')}`);
  expect(sketch(of('02:10.1,02:10.5', true, capture).machine)).toEqual([
    '01.0 root-port',
    expect.stringContaining('  00.0 dev-0000-02-10-1'),
    expect.stringContaining('  00.1 dev-0000-02-10-5'),
  ]);
  expect(parseBdf('02:10.1').device).toBe(16);
});
