import { alignDown, alignUp, maxOf } from '../address/align.js';
import { GiB, MiB } from '../address/kinds.js';
import { AddressRange } from '../address/range.js';
import { RangeSet } from '../address/range-set.js';
import type { Machine } from '../machine/model.js';
import type { Attempt, Candidate } from './candidate.js';
import { firstOf } from './candidate.js';
import type { ReservedClaim } from './claims.js';
import type { Core } from './conflict.js';
import { Evidence, isPinned } from './evidence.js';
import { listed } from './names.js';

/** Reserved ranges given up, and RAM put elsewhere. */
export function* rangeRemedies(machine: Machine, core: Core): Iterable<Attempt> {
  if (core.field !== 'memory') return;
  const ram = core.claims.filter((claim) => claim.kind === 'reserved' && claim.reason === undefined);
  if (ram.length > 0) yield firstOf(splitRam(machine, core));
  for (const claim of core.claims) {
    if (claim.kind === 'reserved' && claim.reason !== undefined) yield firstOf([givenUp(machine, claim, claim.reason)]);
  }
}

/** The same RAM with none under the pins that it meets: what is cut out goes on behind the last piece. */
function* splitRam(machine: Machine, core: Core): Iterable<Candidate> {
  const evidence = new Evidence(machine, 'memory', core.claims);
  const ram = RangeSet.of(machine.ram);
  const pins = evidence.needs.filter(isPinned).flatMap((need) =>
    (evidence.hostOf(need)?.windows ?? []).flatMap(({ base, size, cpuBase }) => {
      const { pin } = need;
      if (pin.base < base || pin.limit >= base + size) return [];
      const seen = [0n, cpuBase - base].map((shift) => AddressRange.of(pin.base + shift, pin.limit + shift));
      return seen.filter((range) => ram.overlaps(range));
    }),
  );
  if (pins.length === 0) return;
  for (const step of [GiB, MiB]) {
    const holes = RangeSet.of(
      pins.map(({ base, limit }) => AddressRange.of(alignDown(base, step), alignUp(limit + 1n, step) - 1n)),
    ).ranges;
    const kept = ram.subtract(holes);
    // A board starts its RAM where its firmware and kernels look for it.
    if (kept.ranges[0]?.base !== machine.ram[0]?.base) return;
    const end = [...machine.ram, ...holes].reduce((high, { limit }) => maxOf(high, limit), 0n);
    const rest = AddressRange.sized(alignUp(end + 1n, GiB), ram.size - kept.size);
    const pieces = RangeSet.of([...kept, rest]).ranges;
    const change = `split the RAM so that none lies at ${listed(holes.map(String))}: ${listed(pieces.map(String))} (machine.ram as a list, or --split-ram)`;
    yield { change, machine: { ...machine, ram: pieces } };
  }
}

function givenUp(machine: Machine, { range }: ReservedClaim, reason: string): Candidate {
  const change = `give up the reserved range ${range.toString()} (${reason}), if nothing needs it`;
  return { change, machine: { ...machine, reserved: machine.reserved.filter((one) => one.range !== range) } };
}
