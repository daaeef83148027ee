import type { PlannedBridge } from '../../../src/place/plan.js';
import type { Given, Mutant, Rule, Spot } from './mutant.js';

/* Bus numbers: ranges nest and are disjoint, VFs keep to theirs, pins hold, order where nothing is pinned. */

const onHost =
  (change: (buses: readonly [number, number], given: Given) => readonly [number, number]) =>
  (given: Given): Mutant => {
    const { machine, plan } = given;
    const [first, ...rest] = plan.hostBridges;
    const hostBridges = [{ ...first!, buses: change(first!.buses, given) }, ...rest];
    return { machine, plan: { ...plan, hostBridges } };
  };

type OpenSpot = Spot & { readonly bridge: PlannedBridge };
const isBridge = (spot: Spot): spot is OpenSpot => spot.bridge !== undefined;

const onBridge =
  (
    fit: (spot: OpenSpot, given: Given) => boolean,
    change: (bridge: PlannedBridge, spot: OpenSpot, given: Given) => Partial<PlannedBridge>,
  ) =>
  (given: Given): Mutant | null => {
    const spot = given.one(given.spots.filter(isBridge).filter((one) => fit(one, given)));
    return spot && given.onBridge(spot.fn.id, change(spot.bridge, spot, given));
  };

/** Another bridge on the same bus. */
const siblings = (given: Given, spot: Spot): OpenSpot[] =>
  given.spots
    .filter(isBridge)
    .filter((other) => other !== spot && other.parent === spot.parent && other.host === spot.host);

/** One VF, at a routing id that many buses away. */
const withVf = (given: Given, spot: Spot, buses: number): Mutant => ({
  machine: given.ofFunction(spot.fn.id, (fn) => ({
    ...fn,
    sriov: { ...fn.sriov!, firstVfOffset: buses * 256, vfStride: 0 },
  })),
  plan: given.plan,
});

const lastOf = (given: Given, { parent, host }: Spot): number =>
  parent?.bridge?.subordinate ?? given.plan.hostBridges[host]!.buses[1];

const isPinned = (given: Given): boolean =>
  given.spots.some(({ fn }) => fn.bridge?.pin.secondary !== undefined || fn.bridge?.pin.subordinate !== undefined);

export const busRules: readonly Rule[] = [
  {
    name: 'the root bus is the first of the range',
    says: /its root bus is/,
    mutate: onHost(([first, last]) => [first + 1, last]),
  },
  {
    name: 'buses keep to the host bridge’s range',
    says: /leave its range/,
    mutate: onHost(([first], { machine }) => [first, machine.hostBridges[0]!.buses[1] + 1]),
  },
  { name: 'the range is not upside down', says: /leave its range/, mutate: onHost(([first]) => [first, first - 1]) },
  {
    name: 'host bridges of a segment share no bus number',
    says: /use the same bus numbers/,
    mutate: ({ machine, plan }) => {
      if (machine.hostBridges.length < 2) return null;
      const one = <T extends object>(host: T): T => ({ ...host, segment: 0 });
      return {
        machine: { ...machine, hostBridges: machine.hostBridges.map(one) },
        plan: { ...plan, hostBridges: plan.hostBridges.map(one) },
      };
    },
  },
  {
    name: 'numbers go up in slot order where none is pinned',
    says: /in an earlier slot/,
    mutate: (given) => {
      const spot = given.one(given.spots.filter(isBridge).filter((one) => siblings(given, one).length > 0));
      const other = spot && siblings(given, spot)[0];
      if (!other || isPinned(given)) return null;
      const numbers = ({ bridge: { secondary, subordinate } }: OpenSpot) => ({ secondary, subordinate });
      const { plan } = given.onBridge(spot.fn.id, numbers(other));
      const bridges = plan.bridges.map((bridge) =>
        bridge.id === other.fn.id ? { ...bridge, ...numbers(spot) } : bridge,
      );
      return { machine: given.machine, plan: { ...plan, bridges } };
    },
  },
  {
    name: 'a bridge routes all that is behind it',
    says: /is not behind|buses, \d+ reserved/,
    mutate: onBridge(
      ({ bridge, fn }) => bridge.subordinate > bridge.secondary && fn.bridge!.pin.subordinate === undefined,
      ({ subordinate }) => ({ subordinate: subordinate - 1 }),
    ),
  },
  {
    name: 'and no more than the bridge above it',
    says: /is not behind/,
    mutate: onBridge(
      () => true,
      (_, spot, given) => ({ subordinate: lastOf(given, spot) + 1 }),
    ),
  },
  {
    name: 'its buses are not the bus that it sits on',
    says: /is not behind|is taken by/,
    mutate: onBridge(
      () => true,
      ({ primary }) => ({ secondary: primary }),
    ),
  },
  {
    name: 'subordinate is not below secondary',
    says: /subordinate below secondary/,
    mutate: onBridge(
      () => true,
      ({ secondary }) => ({ subordinate: secondary - 1 }),
    ),
  },
  {
    name: 'siblings share no bus number',
    says: /is taken by/,
    mutate: onBridge(
      (spot, given) => siblings(given, spot).length > 0,
      (_, spot, given) => {
        const { secondary, subordinate } = given.one(siblings(given, spot))!.bridge;
        return { secondary, subordinate };
      },
    ),
  },
  {
    name: 'VFs answer on no bus of a bridge',
    says: /is taken by VFs|VFs on bus \d+: bus \d+ is taken by/,
    mutate: (given) => {
      const spot = given.spot((one) => one.fn.sriov !== undefined && siblings(given, one).length > 0);
      const other = spot && given.one(siblings(given, spot));
      return other && withVf(given, spot, other.bridge.secondary - spot.planned.address.bus);
    },
  },
  {
    name: 'VFs answer on buses that the bridge above routes',
    says: /VFs on bus \d+: bus \d+ is not behind/,
    mutate: (given) => {
      const spot = given.spot(({ fn }) => fn.sriov !== undefined);
      return spot && withVf(given, spot, lastOf(given, spot) - spot.planned.address.bus + 1);
    },
  },
  {
    name: 'a function is on the bus that its bridge has',
    says: /not on bus/,
    mutate: (given) => {
      const spot = given.spot(() => true);
      return spot && given.onFunction(spot.fn.id, (fn) => ({ ...fn, address: { ...fn.address, bus: 255 } }));
    },
  },
  {
    name: 'and of that segment',
    says: /not on bus/,
    mutate: (given) => {
      const spot = given.spot(() => true);
      return spot && given.onFunction(spot.fn.id, (fn) => ({ ...fn, address: { ...fn.address, segment: 7 } }));
    },
  },
  {
    name: 'a function is in its slot',
    says: /not in its slot/,
    mutate: (given) => {
      const spot = given.spot(() => true);
      return spot && given.onFunction(spot.fn.id, (fn) => ({ ...fn, address: { ...fn.address, fn: 7 } }));
    },
  },
  {
    name: 'a bridge’s primary bus is the one it sits on',
    says: /primary bus \d+, but it sits on/,
    mutate: onBridge(
      () => true,
      ({ primary }) => ({ primary: primary + 1 }),
    ),
  },
  {
    name: 'a bridge has one address',
    says: /bridge entry at another address/,
    mutate: onBridge(
      () => true,
      ({ address }, _, given) => ({ address: { ...address, ...given.one([{ fn: 6 }, { bus: 99 }, { segment: 5 }]) } }),
    ),
  },
  ...(['secondary', 'subordinate'] as const).map((which): Rule => ({
    name: `the ${which} bus is the one that is pinned`,
    says: new RegExp(`${which} is not \\d+`),
    mutate: (given) => {
      const spot = given.one(given.spots.filter(isBridge));
      return spot && given.ofBridge(spot.fn.id, { pin: { ...spot.fn.bridge!.pin, [which]: spot.bridge[which] + 1 } });
    },
  })),
  {
    name: 'bus numbers are left for hotplug, in one piece',
    says: /room for \d+ more buses, \d+ reserved/,
    mutate: (given) => {
      const spot = given.one(given.spots.filter(isBridge));
      if (!spot) return null;
      const { secondary, subordinate } = spot.bridge;
      const used = given.spots.filter(({ parent }) => parent === spot).filter(isBridge);
      const most =
        subordinate - secondary - used.reduce((sum, { bridge: b }) => sum + b.subordinate - b.secondary + 1, 0);
      return given.ofBridge(spot.fn.id, { reserve: { ...spot.fn.bridge!.reserve, buses: most + 1 } });
    },
  },
];
