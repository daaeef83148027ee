import type { ConstraintSubject, Plan } from './plan.js';

/** An address, or a bus number, that is another in a later plan. */
export interface Move {
  readonly id: string;
  readonly subject: ConstraintSubject;
  readonly from: bigint;
  readonly to: bigint;
}

export interface Moves {
  readonly moved: readonly Move[];
  /** Addresses and bus numbers that are the same in both. */
  readonly stayed: number;
}

type Key = `${string} ${ConstraintSubject}`;

/** What two plans have in common, BARs, ROMs, VF BAR groups and secondary bus numbers, and where it lies in each. */
export function movesOf(before: Plan, after: Plan): Moves {
  const was = new Map(placesOf(before).map(({ key, at }) => [key, at]));
  const both = placesOf(after).flatMap(({ key, id, subject, at }) => {
    const from = was.get(key);
    return from === undefined ? [] : [{ id, subject, from, to: at }];
  });
  const moved = both.filter(({ from, to }) => from !== to);
  return { moved, stayed: both.length - moved.length };
}

function placesOf(plan: Plan): { key: Key; id: string; subject: ConstraintSubject; at: bigint }[] {
  const place = (id: string, subject: ConstraintSubject, at: bigint) => ({
    key: `${id} ${subject}` as const,
    id,
    subject,
    at,
  });
  return [
    ...plan.bridges.map(({ id, secondary }) => place(id, 'secondary', BigInt(secondary))),
    ...plan.functions.flatMap(({ id, bars, rom, sriov }) => [
      ...bars.map(({ index, address }) => place(id, index, address)),
      ...(rom ? [place(id, 'rom', rom.address)] : []),
      ...(sriov?.bars ?? []).map(({ index, address }) => place(id, `vf${index}`, address)),
    ]),
  ];
}
