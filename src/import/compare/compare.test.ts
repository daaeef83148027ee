import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  dmesg,
  dressings,
  lspci,
  proc,
  sysfs,
  type Dressing,
  type Guest,
} from '../../../test/support/guest-listings.js';
import { randomPlan } from '../../../test/support/random-plan.js';
import type { Plan, PlannedBar } from '../../place/plan.js';
import { readGuestText } from '../guest-text.js';
import { compare } from './compare.js';

/** Each format, and which planned resources it shows. */
const formats = {
  'lspci -vvv': { print: (guest: Guest) => lspci(guest), shows: () => true },
  'lspci -v': {
    print: (guest: Guest) => lspci(guest, { terse: true }),
    shows: (name: string) => !name.startsWith('vf'),
  },
  'sysfs, headings': { print: (guest: Guest) => sysfs(guest), shows: () => true },
  'sysfs, grep': { print: (guest: Guest) => sysfs(guest, { grep: true }), shows: () => true },
  'sysfs without SR-IOV': {
    print: (guest: Guest) => sysfs(guest, { iov: false }),
    shows: (name: string) => !name.startsWith('vf'),
  },
  'dmesg 6.12': { print: (guest: Guest) => dmesg(guest, '6.12'), shows: () => true },
  'dmesg 5.10': { print: (guest: Guest) => dmesg(guest, '5.10'), shows: () => true },
} as const;
type Format = keyof typeof formats;
const format = fc.constantFrom(...(Object.keys(formats) as Format[]));
const dressing = fc.constantFrom(...(Object.keys(dressings) as Dressing[]));

const statuses = (plan: Plan, text: string) =>
  compare(plan, readGuestText('guest.txt', text)).functions.flatMap(({ id, resources }) =>
    resources.map(({ name, status }) => ({ id, name: String(name), status })),
  );

/** The same guest with one BAR elsewhere: above everything that a random plan uses. */
function withMoved(plan: Plan, id: string, index: number): { guest: Guest; to: bigint } {
  const elsewhere = { io: 0xe000n, mem32: 0x3000_0000n, mem64: 0xf0_0000_0000n };
  let to = 0n;
  const moved = (bar: PlannedBar): PlannedBar => ({ ...bar, address: (to = elsewhere[bar.type]) });
  const functions = plan.functions.map((fn) =>
    fn.id === id ? { ...fn, bars: fn.bars.map((bar) => (bar.index === index ? moved(bar) : bar)) } : fn,
  );
  return { guest: { functions, bridges: plan.bridges }, to };
}

/** Buses numbered from 0x20 down instead of from 1 up. */
function renumbered(plan: Plan): Guest {
  const bus = (planned: number) => (planned === 0 ? 0 : 0x20 - planned);
  return {
    functions: plan.functions.map((fn) => ({ ...fn, address: { ...fn.address, bus: bus(fn.address.bus) } })),
    bridges: plan.bridges.map((bridge) => ({
      ...bridge,
      secondary: bus(bridge.secondary),
      subordinate: bus(bridge.subordinate),
    })),
  };
}

const anyBar = (plan: Plan, pick: number) => {
  const bars = plan.functions.flatMap((fn) => fn.bars.map((bar) => ({ id: fn.id, index: bar.index })));
  return bars[pick % bars.length]!;
};

describe('a guest that kept its plan', () => {
  it('holds in every format, however it was logged', () => {
    fc.assert(
      fc.property(randomPlan, format, dressing, (plan, name, dress) => {
        const { print, shows } = formats[name];
        const comparison = compare(plan, readGuestText('guest.txt', dressings[dress](print(plan))));
        for (const { resources } of comparison.functions) {
          for (const { name: resource, status } of resources) {
            expect(status, `${resource}`).toBe(shows(String(resource)) ? 'holds' : 'not-shown');
          }
        }
        expect(comparison.counts).toMatchObject({ moved: 0, unassigned: 0, missing: 0, extra: 0 });
        expect(comparison.verdict).toBe(comparison.counts['not-shown'] > 0 ? 'incomplete' : 'holds');
        expect(comparison.renumbered).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('holds in /proc/iomem and /proc/ioports together, in one file', () => {
    fc.assert(
      fc.property(randomPlan, dressing, (plan, dress) => {
        const text = dressings[dress](`${proc(plan, 'memory')}\n${proc(plan, 'io')}\n`);
        const found = statuses(plan, text);
        expect(found.filter(({ status }) => status !== 'holds')).toEqual([]);
      }),
    );
  });

  it('holds when the guest numbered its buses anew, and the bridges are named', () => {
    fc.assert(
      fc.property(randomPlan, fc.constantFrom<Format>('lspci -vvv', 'dmesg 6.12', 'dmesg 5.10'), (plan, name) => {
        const comparison = compare(plan, readGuestText('guest.txt', formats[name].print(renumbered(plan))));
        expect(comparison.verdict).toBe('holds');
        expect(comparison.renumbered.map(({ id }) => id).sort()).toEqual(plan.bridges.map(({ id }) => id).sort());
        expect(comparison.extra).toEqual([]);
      }),
    );
  });

  it('is renumbered in listings without bus numbers too, where another file shows them', () => {
    fc.assert(
      fc.property(randomPlan, (plan) => {
        const guest = renumbered(plan);
        const seen = [...readGuestText('lspci.txt', lspci(guest)), ...readGuestText('sysfs.txt', sysfs(guest))];
        const comparison = compare(plan, seen);
        expect(comparison.verdict).toBe('holds');
        expect(comparison.functions.every(({ sources }) => sources.length === 2)).toBe(true);
      }),
    );
  });
});

describe('a guest that moved one BAR', () => {
  it('shows exactly that one as moved, and where to', () => {
    fc.assert(
      fc.property(randomPlan, format, dressing, fc.nat(), (plan, name, dress, pick) => {
        const { id, index } = anyBar(plan, pick);
        const { guest, to } = withMoved(plan, id, index);
        const comparison = compare(plan, readGuestText('guest.txt', dressings[dress](formats[name].print(guest))));
        const moved = comparison.functions.flatMap((fn) =>
          fn.resources.map((resource) => ({ id: fn.id, ...resource })),
        );
        expect(comparison.verdict).toBe('differs');
        expect(moved.filter(({ status }) => !['holds', 'not-shown'].includes(status))).toMatchObject([
          { id, name: index, status: 'moved', movedTo: to },
        ]);
      }),
      { numRuns: 300 },
    );
  });

  it('/proc/iomem: moved, or said not to be comparable where it could be another; everything else holds', () => {
    fc.assert(
      fc.property(randomPlan, fc.nat(), (plan, pick) => {
        const { id, index } = anyBar(plan, pick);
        const { guest } = withMoved(plan, id, index);
        const found = statuses(plan, `${proc(guest, 'memory')}\n${proc(guest, 'io')}`);
        const off = found.filter(({ status }) => status !== 'holds');
        expect(off).toHaveLength(1);
        expect(off[0]).toMatchObject({ id, name: String(index) });
        expect(['moved', 'not-comparable']).toContain(off[0]!.status);
      }),
    );
  });
});

describe('several boots in one log', () => {
  it('the last one with PCI lines counts', () => {
    fc.assert(
      fc.property(randomPlan, fc.nat(), (plan, pick) => {
        const { id, index } = anyBar(plan, pick);
        const moved = dmesg(withMoved(plan, id, index).guest, '6.12');
        const kept = dmesg(plan, '6.12');
        expect(compare(plan, readGuestText('log', `${moved}\n${kept}`))).toMatchObject({
          verdict: 'holds',
          boots: [{ boot: 2, of: 2 }],
        });
        expect(compare(plan, readGuestText('log', `${kept}\n${moved}\nLinux version 6.12`))).toMatchObject({
          verdict: 'differs',
          boots: [{ boot: 2, of: 3 }],
        });
      }),
    );
  });
});
