import type { Choice, Decisions, WindowKind } from './item.js';

/** A choice, and how it is taken. */
export interface Taken {
  readonly choice: Choice;
  readonly kind: WindowKind;
}

/** Of what can stand for each other, how many are taken in one way; what stands alone is a group of its own. */
type Counts = ReadonlyMap<string, number>;

const groupOf = ({ choice, kind }: Taken): string => `${kind} ${choice.group ?? choice.key}`;

/** Ways to take choices that were found to be impossible together, whatever else is decided. */
export class Nogoods {
  readonly #known: Counts[] = [];

  add(taken: readonly Taken[]): void {
    const counts = new Map<string, number>();
    for (const one of taken) counts.set(groupOf(one), (counts.get(groupOf(one)) ?? 0) + 1);
    this.#known.push(counts);
  }

  /** What of `taken` is known to be impossible together: as little as can be beside what is decided. Null: nothing is. */
  within(taken: readonly Taken[], decisions: Decisions): Taken[] | null {
    const groups = new Map<string, Taken[]>();
    for (const one of taken) {
      const group = groups.get(groupOf(one));
      if (group) group.push(one);
      else groups.set(groupOf(one), [one]);
    }
    let best: Taken[] | null = null;
    let least = Infinity;
    for (const counts of this.#known) {
      const found: Taken[] = [];
      const isMet = [...counts].every(([key, count]) => {
        const group = groups.get(key) ?? [];
        const sorted = group.toSorted(
          (a, b) => Number(decisions.has(b.choice.key)) - Number(decisions.has(a.choice.key)),
        );
        found.push(...sorted.slice(0, count));
        return group.length >= count;
      });
      if (!isMet) continue;
      const open = found.filter(({ choice }) => !decisions.has(choice.key)).length;
      if (open < least) [best, least] = [found, open];
    }
    return best;
  }
}
