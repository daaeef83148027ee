/** The candidates closest to a misspelt word, best first: at most three, none where nothing is close. */
export function nearest(word: string, candidates: Iterable<string>): string[] {
  const clip = (text: string) => text.toLowerCase().slice(0, 64);
  const wanted = clip(word);
  const limit = Math.max(1, Math.floor(wanted.length / 2));
  return [...new Set(candidates)]
    .slice(0, 10_000)
    .map((candidate) => ({ candidate, distance: editDistance(wanted, clip(candidate)) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment), one row at a time. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = swap ? (before[j - 2] ?? 0) + 1 : Infinity;
      next.push(Math.min(substituted, swapped, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** `did you mean dev0 or dev1?`, or the start of the list of what there is. */
export function suggest(word: string, candidates: Iterable<string>, what: string): string {
  const all = [...new Set(candidates)];
  const near = nearest(word, all);
  if (near.length > 0) return `did you mean ${near.join(' or ')}?`;
  if (all.length === 0) return `there is no ${what}`;
  return `the ${what}s are ${all.slice(0, 12).join(', ')}${all.length > 12 ? `, and ${all.length - 12} more` : ''}`;
}
