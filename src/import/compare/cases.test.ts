import { describe, expect, it } from 'vitest';
import { AddressRange } from '../../address/range.js';
import type { HostWindow } from '../../machine/model.js';
import { parseBdf } from '../../pci/bdf.js';
import type { Plan, PlannedBar, PlannedBridge, PlannedFunction } from '../../place/plan.js';
import { readGuestText } from '../guest-text.js';
import { compare, compareBoots } from './compare.js';
import { comparisonToJson } from './json.js';

const bar = (index: number, type: PlannedBar['type'], address: bigint, size = 0x1000n): PlannedBar => ({
  index,
  type,
  prefetchable: type === 'mem64',
  size,
  address,
  pinned: false,
});
const fn = (id: string, address: string, ...bars: PlannedBar[]): PlannedFunction => ({
  id,
  address: parseBdf(address),
  bars,
});
const identity: readonly HostWindow[] = [
  { type: 'io', base: 0n, size: 0x1_0000n, cpuBase: 0n },
  { type: 'mem32', base: 0x1000_0000n, size: 0x2000_0000n, cpuBase: 0x1000_0000n },
  { type: 'mem64', base: 0x80_0000_0000n, size: 0x10_0000_0000n, cpuBase: 0x80_0000_0000n },
];
const port: PlannedBridge = {
  id: 'rp1',
  address: parseBdf('00:01.0'),
  primary: 0,
  secondary: 1,
  subordinate: 1,
  io: null,
  memory: AddressRange.sized(0x1000_0000n, 0x20_0000n),
  prefetchable: AddressRange.sized(0x80_0000_0000n, 0x4000_0000n),
};
const rp1 = fn('rp1', '00:01.0');
const dev0 = fn('dev0', '01:00.0', bar(0, 'mem32', 0x1000_0000n), bar(2, 'mem64', 0x80_0000_0000n, 0x4000_0000n));

function planOf(
  functions: readonly PlannedFunction[],
  windows = identity,
  bridges: readonly PlannedBridge[] = [port],
): Plan {
  return {
    status: 'placed',
    ram: [],
    hostBridges: [{ id: 'pcie.0', segment: 0, buses: [0, 1], windows }],
    bridges,
    functions,
  };
}
const plan = planOf([rp1, dev0]);

const bridgeText = `00:01.0 PCI bridge: Test
\tBus: primary=00, secondary=01, subordinate=01, sec-latency=0
\tI/O behind bridge: [disabled] [32-bit]
\tMemory behind bridge: 10000000-101fffff [size=2M] [32-bit]
\tPrefetchable memory behind bridge: 8000000000-803fffffff [size=1G] [64-bit]
`;
const deviceText = `01:00.0 Network controller: Test
\tRegion 0: Memory at 10000000 (32-bit, non-prefetchable) [size=4K]
\tRegion 2: Memory at 8000000000 (64-bit, prefetchable) [size=1G]
`;
const run = (text: string, of = plan) => compare(of, readGuestText('guest.txt', text));
const resource = (text: string, id: string, name: string | number, of = plan) =>
  run(text, of)
    .functions.find((found) => found.id === id)
    ?.resources.find((found) => found.name === name);

describe('what lspci can say of a BAR', () => {
  const bar0 = (words: string) =>
    resource(`${bridgeText}\n01:00.0 Network controller: Test\n\tRegion 0: ${words}\n`, 'dev0', 0);

  it.each([
    ['Memory at 10000000 (32-bit, non-prefetchable) [size=4K]', 'holds'],
    ['Memory at 10000000 (32-bit, non-prefetchable) [disabled] [size=4K]', 'disabled'],
    ['Memory at 10000000 (32-bit, non-prefetchable) [virtual] [size=4K]', 'unassigned'],
    ['[virtual] Memory at 10000000 (32-bit, non-prefetchable) [size=4K]', 'unassigned'],
    ['Memory at <unassigned> (32-bit, non-prefetchable) [size=4K]', 'unassigned'],
    ['Memory at <ignored> (32-bit, non-prefetchable) [size=4K]', 'unassigned'],
    ['Memory at 10001000 (32-bit, non-prefetchable) [size=4K]', 'moved'],
    ['Memory at 10000000 (32-bit, non-prefetchable) [size=8K]', 'moved'],
    ['Memory at 10001000 (32-bit, non-prefetchable) [disabled]', 'moved'],
    ['Memory at 1000', 'not-shown'],
  ])('%s: %s', (words, status) => expect(bar0(words)?.status).toBe(status));

  it('says where it went, with the line that shows it', () => {
    expect(bar0('Memory at 10001000 (32-bit, non-prefetchable)')).toMatchObject({
      movedTo: 0x1000_1000n,
      facts: [{ listing: 'lspci', shown: 0x1000_1000n, source: { file: 'guest.txt', line: 8 } }],
    });
  });
});

describe('functions', () => {
  it('is missing where the bridge above is shown; its resources are not called unassigned', () => {
    const found = run(`00:00.0 Host bridge: Test\n\n${bridgeText}`);
    expect(found.verdict).toBe('differs');
    expect(found.functions[1]).toMatchObject({
      presence: 'missing',
      resources: [{ status: 'not-shown' }, { status: 'not-shown' }],
    });
    expect(found.extra).toMatchObject([{ address: { bus: 0, device: 0 } }]);
  });

  it('is not missing where only some other function was asked for', () => {
    expect(run(bridgeText)).toMatchObject({ verdict: 'incomplete', counts: { missing: 0 } });
    expect(run(deviceText).functions[0]).toMatchObject({ presence: 'not-shown' });
  });

  it('is missing where the bridge above got no bus number', () => {
    const found = run(bridgeText.replace('secondary=01, subordinate=01', 'secondary=00, subordinate=00'));
    expect(found.functions[1]).toMatchObject({
      presence: 'missing',
      detail: expect.stringContaining('no bus number') as string,
    });
  });

  it('is not looked for where function 0 of its device is not planned', () => {
    const ram = fn('ram', '00:1e.1', bar(2, 'mem64', 0x90_0000_0000n));
    const found = run(`${bridgeText}\n${deviceText}`, planOf([rp1, ram, dev0]));
    expect(found.functions[1]).toMatchObject({ presence: 'not-scanned' });
    expect(found).toMatchObject({ verdict: 'holds', counts: { functions: 2, 'not-shown': 0 } });
  });
});

describe('bridge windows', () => {
  it('all hold; the closed one is compared too where it is shown', () => {
    expect(run(bridgeText).functions[0]?.resources.map(({ name, status }) => [name, status])).toEqual([
      ['io', 'holds'],
      ['memory', 'holds'],
      ['prefetchable', 'holds'],
    ]);
  });

  it('is unassigned when closed, moved when of another size; one that the plan closes may be open', () => {
    expect(resource(bridgeText.replace('10000000-101fffff [size=2M]', '[disabled]'), 'rp1', 'memory')?.status).toBe(
      'unassigned',
    );
    expect(resource(bridgeText.replace(': [disabled]', ': 00001000-00001fff [size=4K]'), 'rp1', 'io')).toMatchObject({
      status: 'holds',
      detail: 'the plan closes it, and the guest opened it',
    });
    expect(resource(bridgeText.replace('101fffff [size=2M]', '102fffff [size=3M]'), 'rp1', 'memory')).toMatchObject({
      status: 'moved',
      detail: expect.stringContaining('0x300000 bytes') as string,
    });
  });

  it('of /proc/iomem: two windows that both moved cannot be told apart', () => {
    const text = '20000000-201fffff : PCI Bus 0000:01\n9000000000-903fffffff : PCI Bus 0000:01\n';
    expect(run(text).functions[0]?.resources.map(({ status }) => status)).toEqual(['not-comparable', 'not-comparable']);
  });
});

describe('addresses that are not bus addresses', () => {
  const translated = identity.map((window) =>
    window.type === 'mem64' ? { ...window, cpuBase: 0x90_0000_0000n } : window,
  );

  it('memory is translated with the window of the plan', () => {
    const shown = deviceText.replace('8000000000', '9000000000');
    expect(resource(shown, 'dev0', 2, planOf([rp1, dev0], translated))?.status).toBe('holds');
    expect(
      resource(shown.replace('9000000000', '9040000000'), 'dev0', 2, planOf([rp1, dev0], translated)),
    ).toMatchObject({
      status: 'moved',
      movedTo: 0x80_4000_0000n,
    });
    // What lies in no window of CPU addresses may have been printed as a bus address (lspci -b).
    expect(resource(deviceText, 'dev0', 2, planOf([rp1, dev0], translated))?.status).toBe('holds');
    const elsewhere = deviceText.replace('8000000000', '8040000000');
    expect(resource(elsewhere, 'dev0', 2, planOf([rp1, dev0], translated))?.status).toBe('not-comparable');
  });

  it('a bridge window may be printed either way', () => {
    const other = bridgeText.replace('8000000000-803fffffff', '9000000000-903fffffff');
    for (const text of [bridgeText, other]) {
      expect(resource(text, 'rp1', 'prefetchable', planOf([rp1, dev0], translated))?.status).toBe('holds');
    }
  });

  it("the kernel's own lines are believed first", () => {
    const root =
      'pci_bus 0000:00: root bus resource [mem 0xa000000000-0xafffffffff] (bus address [0x8000000000-0x8fffffffff])\n';
    expect(resource(root + deviceText.replace('8000000000', 'a000000000'), 'dev0', 2)?.status).toBe('holds');
  });

  it('everything off by the same amount, outside all windows, is no move', () => {
    const off = (shift: number) =>
      `== 0000:01:00.0\n${row(0x1000_0000 + shift, 0x1000, 0x40200)}\n${row(0, 0, 0)}\n${row(0x80_0000_0000 + shift, 0x4000_0000, 0x142208)}`;
    const row = (base: number, size: number, flags: number) =>
      [base, Math.max(base + size - 1, 0), flags].map((value) => `0x${value.toString(16).padStart(16, '0')}`).join(' ');
    expect(run(off(0))).toMatchObject({ counts: { holds: 2 } });
    expect(run(off(0x100_0000_0000))).toMatchObject({
      verdict: 'nothing-comparable',
      counts: { 'not-comparable': 2, moved: 0 },
    });
    expect(run(off(0x20_0000))).toMatchObject({ verdict: 'differs', counts: { moved: 2 } });
  });

  it('ports of several host bridges: equal numbers hold, others are not compared unless the kernel lists its windows', () => {
    const base = planOf(
      [fn('a', '00:02.0', bar(0, 'io', 0x1000n, 0x100n)), fn('b', '80:02.0', bar(0, 'io', 0x2000n, 0x100n))],
      identity,
      [],
    );
    const two: Plan = {
      ...base,
      hostBridges: [...base.hostBridges, { id: 'pxb', segment: 0, buses: [0x80, 0x80], windows: identity }],
    };
    const text = (b: string) =>
      `00:02.0 X: Test\n\tRegion 0: I/O ports at 1000 [size=256]\n\n80:02.0 X: Test\n\tRegion 0: I/O ports at ${b} [size=256]\n`;
    expect(run(text('2000'), two)).toMatchObject({ verdict: 'holds' });
    expect(resource(text('12000'), 'b', 0, two)).toMatchObject({ status: 'not-comparable' });
    const roots = `pci_bus 0000:00: root bus resource [io  0x0000-0xffff]\npci_bus 0000:80: root bus resource [io  0x10000-0x1ffff] (bus address [0x0000-0xffff])\n`;
    expect(resource(roots + text('12000'), 'b', 0, two)).toMatchObject({ status: 'holds' });
    expect(resource(roots + text('13000'), 'b', 0, two)).toMatchObject({ status: 'moved', movedTo: 0x3000n });
  });
});

describe('several listings', () => {
  it('what the machine shows now outranks how the log says it came about', () => {
    const log = 'pci 0000:01:00.0: BAR 2 [mem size 0x40000000 64bit pref]: failed to assign\n';
    expect(resource(log, 'dev0', 2)?.status).toBe('unassigned');
    expect(resource(log + deviceText, 'dev0', 2)).toMatchObject({
      status: 'holds',
      facts: [{ listing: 'lspci' }, { listing: 'dmesg' }],
    });
  });

  it('of two listings of the present the one that shows a fault decides', () => {
    const iomem = '10002000-10002fff : 0000:01:00.0\n8000000000-803fffffff : 0000:01:00.0\n';
    expect(resource(`${deviceText}\n${iomem}`, 'dev0', 0)).toMatchObject({
      status: 'moved',
      facts: [{ listing: 'iomem' }, { listing: 'lspci' }],
    });
  });

  it('of the same listing twice the later counts', () => {
    expect(run(`${deviceText.replace('10000000', '10003000')}\n${deviceText}`)).toMatchObject({
      counts: { moved: 0, holds: 2 },
    });
  });

  it('compares every boot by its number', () => {
    const boot = (address: string) =>
      `Linux version 6.1\npci 0000:01:00.0: BAR 0 [mem 0x${address}000-0x${address}fff]: assigned\n`;
    const seen = readGuestText('log', boot('10000') + boot('10001') + boot('10000'));
    expect(compareBoots(plan, seen).map(({ boot: n, comparison }) => [n, comparison.counts.moved])).toEqual([
      [1, 0],
      [2, 1],
      [3, 0],
    ]);
  });
});

it('without root nothing is compared, and the reader is told', () => {
  const found = run('00000000-00000000 : PCI Bus 0000:00\n  00000000-00000000 : 0000:01:00.0\n');
  expect(found).toMatchObject({
    verdict: 'nothing-comparable',
    counts: { moved: 0, missing: 0 },
    notes: [{ code: 'read-without-root' }],
  });
});

it('is plain data as JSON', () => {
  const text = `${bridgeText}\n${deviceText.replace('10000000', '10001000')}`;
  const json: unknown = JSON.parse(JSON.stringify(comparisonToJson(run(text))));
  expect(json).toMatchObject({
    pinbar: 1,
    verdict: 'differs',
    counts: { holds: 4, moved: 1, functions: 2 },
    functions: [
      { id: 'rp1', address: '0000:00:01.0', seen: '0000:00:01.0', presence: 'seen' },
      {
        id: 'dev0',
        resources: [
          {
            bar: 0,
            status: 'moved',
            planned: { base: '0x10000000', limit: '0x10000fff' },
            movedTo: '0x10001000',
            facts: [{ listing: 'lspci', shown: '0x10001000', source: { file: 'guest.txt', line: 8 } }],
          },
          { bar: 2, status: 'holds' },
        ],
      },
    ],
  });
});
