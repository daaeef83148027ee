import type { Bar, Resizable } from '../../../src/machine/model.js';
import type { PlannedBar, PlannedFunction, PlannedVfBar } from '../../../src/place/plan.js';
import type { Given, Mutant, Rule } from './mutant.js';

/* Everything of the machine is in the plan, as it is, where it is pinned, at a multiple of its size. */

const onPlan =
  (change: (given: Given) => Partial<Mutant['plan']> | null) =>
  (given: Given): Mutant | null => {
    const changed = change(given);
    return changed && { machine: given.machine, plan: { ...given.plan, ...changed } };
  };

/** Changes one BAR, of those that are `fit`. */
const onBar =
  (fit: (bar: Bar, planned: PlannedBar) => boolean, change: (planned: PlannedBar) => Partial<PlannedBar>) =>
  (given: Given): Mutant | null => {
    const all = given.spots.flatMap(({ fn, planned }) =>
      fn.bars.flatMap((bar, i) => (fit(bar, planned.bars[i]!) ? [{ fn, i }] : [])),
    );
    const picked = given.one(all);
    return (
      picked &&
      given.onFunction(picked.fn.id, (own) => ({
        ...own,
        bars: own.bars.map((bar, i) => (i === picked.i ? { ...bar, ...change(bar) } : bar)),
      }))
    );
  };

const onVfBar =
  (fit: (bar: Bar) => boolean, change: (planned: PlannedVfBar) => Partial<PlannedVfBar>) =>
  (given: Given): Mutant | null => {
    const picked = given.spot(({ fn }) => fn.sriov?.bars.some(fit) ?? false);
    if (!picked) return null;
    const which = picked.fn.sriov!.bars.findIndex(fit);
    return given.onFunction(picked.fn.id, (own) => ({
      ...own,
      sriov: { bars: own.sriov!.bars.map((bar, i) => (i === which ? { ...bar, ...change(bar) } : bar)) },
    }));
  };

const onRom =
  (
    fit: (rom: { readonly pin?: bigint }) => boolean,
    change: (rom: NonNullable<PlannedFunction['rom']>) => Partial<NonNullable<PlannedFunction['rom']>>,
  ) =>
  (given: Given): Mutant | null => {
    const picked = given.spot(({ fn }) => fn.rom !== undefined && fit(fn.rom));
    return picked && given.onFunction(picked.fn.id, (own) => ({ ...own, rom: { ...own.rom!, ...change(own.rom!) } }));
  };

/** A machine whose BAR can be resized, as `to` says, and a plan in which it was made twice as large, as `said` says. */
const resized =
  (to: (size: bigint) => Resizable, grows: boolean, said: boolean) =>
  (given: Given): Mutant | null => {
    const picked = given.spot(({ fn }) => fn.bars.some(({ type }) => type !== 'io'));
    const index = picked?.fn.bars.find(({ type }) => type !== 'io')?.index;
    if (!picked) return null;
    const machine = given.ofFunction(picked.fn.id, (own) => ({
      ...own,
      bars: own.bars.map((bar) => (bar.index === index ? { ...bar, resizable: to(bar.size) } : bar)),
    }));
    const { plan } = given.onFunction(picked.fn.id, (own) => ({
      ...own,
      bars: own.bars.map((bar) =>
        bar.index === index && grows
          ? { ...bar, size: 2n * bar.size, ...(said ? { resizedFrom: bar.size } : {}) }
          : bar,
      ),
    }));
    return { machine, plan };
  };

const any = () => true;
const isPinned = ({ pin }: { readonly pin?: bigint }) => pin !== undefined;
const other = (type: Bar['type']): Bar['type'] => (type === 'mem64' ? 'mem32' : 'mem64');

export const contentRules: readonly Rule[] = [
  {
    name: 'every function is there',
    says: /is missing/,
    mutate: onPlan(({ plan, spots }) => {
      const gone = spots.at(-1)!.fn.id;
      return { functions: plan.functions.filter(({ id }) => id !== gone) };
    }),
  },
  {
    name: 'and no other',
    says: /functions that the machine has not/,
    mutate: onPlan(({ plan }) => {
      const last = plan.functions.at(-1)!;
      const address = { ...last.address, segment: 9 };
      return { functions: [...plan.functions, { ...last, id: 'stranger', address }] };
    }),
  },
  {
    name: 'each once',
    says: /functions .* twice/,
    mutate: onPlan(({ plan }) => ({ functions: [...plan.functions, plan.functions.at(-1)!] })),
  },
  {
    name: 'every bridge is there',
    says: /is it a bridge or not/,
    mutate: onPlan(({ plan }) => (plan.bridges.length > 0 ? { bridges: plan.bridges.slice(1) } : null)),
  },
  {
    name: 'each bridge once',
    says: /bridges .* twice/,
    mutate: onPlan(({ plan }) => (plan.bridges[0] ? { bridges: [...plan.bridges, plan.bridges[0]] } : null)),
  },
  {
    name: 'no bridge that is none',
    says: /is it a bridge or not/,
    mutate: (given) => {
      const plain = given.spot(({ fn }) => !fn.bridge);
      const like = given.plan.bridges[0];
      if (!plain || !like) return null;
      const bridges = [...given.plan.bridges, { ...like, id: plain.fn.id }];
      return { machine: given.machine, plan: { ...given.plan, bridges } };
    },
  },
  {
    name: 'host bridges are the machine’s',
    says: /host bridge .* is not the machine's/,
    mutate: onPlan(({ plan }) => ({
      hostBridges: plan.hostBridges.map((host) => ({ ...host, segment: host.segment + 1 })),
    })),
  },
  {
    name: 'and all of them',
    says: /not as many host bridges/,
    mutate: onPlan(({ plan }) => ({ hostBridges: plan.hostBridges.slice(1) })),
  },
  {
    name: 'and have its windows',
    says: /its windows are not the machine's/,
    mutate: onPlan(({ plan }) => ({ hostBridges: plan.hostBridges.map((host) => ({ ...host, windows: [] })) })),
  },
  {
    name: 'functions are in order of bus address',
    says: /not in order/,
    mutate: onPlan(({ plan }) => (plan.functions.length > 1 ? { functions: plan.functions.toReversed() } : null)),
  },
  {
    name: 'every BAR is there',
    says: /wrong number of BARs/,
    mutate: (given) => {
      const picked = given.spot(({ fn }) => fn.bars.length > 0);
      return picked && given.onFunction(picked.fn.id, (own) => ({ ...own, bars: own.bars.slice(1) }));
    },
  },
  ...(
    [
      ['index', ({ index }) => ({ index: index + 1 })],
      ['type', ({ type }) => ({ type: other(type) })],
      ['prefetchable or not', ({ prefetchable }) => ({ prefetchable: !prefetchable })],
      ['size', ({ size }) => ({ size: 2n * size })],
    ] satisfies [string, (bar: PlannedBar) => Partial<PlannedBar>][]
  ).flatMap(([what, change]): Rule[] => [
    { name: `a BAR has its ${what}`, says: /BAR \d: not the machine's BAR/, mutate: onBar(any, change) },
    { name: `a VF BAR has its ${what}`, says: /VF BAR \d: not the machine's/, mutate: onVfBar(any, change) },
  ]),
  ...(
    [
      ['at half its size', ({ size, address }) => ({ address: address + size / 2n })],
      ['below 0', ({ size }) => ({ address: -size })],
    ] satisfies [string, (bar: PlannedBar) => Partial<PlannedBar>][]
  ).map(([where, change]): Rule => ({
    name: `a BAR lies at a multiple of its size, not ${where}`,
    says: /BAR \d: 0x-?[0-9a-f]+ is not aligned/,
    mutate: onBar(any, change),
  })),
  {
    name: 'a BAR lies where it is pinned',
    says: /BAR \d: pinned to/,
    mutate: onBar(isPinned, ({ size, address }) => ({ address: address + size })),
  },
  {
    name: 'a BAR is said to be pinned, or not',
    says: /BAR \d: pinned or not/,
    mutate: onBar(any, ({ pinned }) => ({ pinned: !pinned })),
  },
  {
    name: 'every ROM is there',
    says: /has it a ROM or not/,
    mutate: (given) => {
      const picked = given.spot(({ fn }) => fn.rom !== undefined);
      const without = ({ id, address, bars, sriov }: PlannedFunction) => ({
        id,
        address,
        bars,
        ...(sriov && { sriov }),
      });
      return picked && given.onFunction(picked.fn.id, without);
    },
  },
  {
    name: 'no ROM that is none',
    says: /has it a ROM or not/,
    mutate: (given) => {
      const picked = given.spot(({ fn }) => !fn.rom);
      const rom = { size: 4096n, address: 0n, pinned: false };
      return picked && given.onFunction(picked.fn.id, (own) => ({ ...own, rom }));
    },
  },
  { name: 'a ROM has its size', says: /ROM: wrong size/, mutate: onRom(any, ({ size }) => ({ size: size / 2n })) },
  {
    name: 'a ROM lies at a multiple of its size',
    says: /ROM: 0x[0-9a-f]+ is not aligned/,
    mutate: onRom(any, ({ size, address }) => ({ address: address + size / 2n })),
  },
  {
    name: 'a ROM lies where it is pinned',
    says: /ROM: not where it is pinned/,
    mutate: onRom(isPinned, ({ size, address }) => ({ address: address + size })),
  },
  {
    name: 'a ROM is said to be pinned, or not',
    says: /ROM: pinned or not/,
    mutate: onRom(any, ({ pinned }) => ({ pinned: !pinned })),
  },
  {
    name: 'every group of VF BARs is there',
    says: /wrong number of VF BARs/,
    mutate: (given) => {
      const picked = given.spot(({ fn }) => fn.sriov !== undefined);
      return picked && given.onFunction(picked.fn.id, (own) => ({ ...own, sriov: { bars: [] } }));
    },
  },
  {
    name: 'a group is of all VFs',
    says: /VF BAR \d: \d+ VFs/,
    mutate: onVfBar(any, ({ count }) => ({ count: count + 1 })),
  },
  {
    name: 'a group lies at a multiple of one VF’s size',
    says: /VF BAR \d: 0x[0-9a-f]+ is not aligned/,
    mutate: onVfBar(any, ({ size, address }) => ({ address: address + size / 2n })),
  },
  {
    name: 'a group lies where it is pinned',
    says: /VF BAR \d: pinned to/,
    mutate: onVfBar(isPinned, ({ size, address }) => ({ address: address + size })),
  },
  {
    name: 'a group is said to be pinned, or not',
    says: /VF BAR \d: pinned or not/,
    mutate: onVfBar(any, ({ pinned }) => ({ pinned: !pinned })),
  },
  {
    name: 'a resizable BAR that is to keep its size does',
    says: /not the machine's BAR/,
    mutate: resized((size) => ({ sizes: [size, 2n * size], to: 'keep' }), true, true),
  },
  {
    name: 'a resizable BAR has the size that is asked for',
    says: /not the machine's BAR/,
    mutate: resized((size) => ({ sizes: [size, 2n * size], to: 2n * size }), false, false),
  },
  {
    name: 'a resizable BAR has a size that it offers',
    says: /not the machine's BAR/,
    mutate: resized((size) => ({ sizes: [size], to: 'largest' }), true, true),
  },
  {
    name: 'a BAR that was resized is said to be',
    says: /not the machine's BAR/,
    mutate: resized((size) => ({ sizes: [size, 2n * size], to: 2n * size }), true, false),
  },
];
