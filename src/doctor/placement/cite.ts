import type { LogLine } from '../../import/log/line.js';
import type { Story } from '../scene/stories.js';

/** A finding cites no more lines than a person reads. */
const MOST_CITED = 12;

/** Lines in the order given, each once. */
export function cite(...lines: readonly (LogLine | undefined | readonly (LogLine | undefined)[])[]): LogLine[] {
  const seen = new Set<string>();
  const cited: LogLine[] = [];
  for (const line of lines.flat()) {
    if (!line || cited.length >= MOST_CITED) continue;
    const key = `${line.source.file}:${line.source.line}`;
    if (seen.has(key)) continue;
    seen.add(key);
    cited.push(line);
  }
  return cited;
}

const failures = new Set(['no-space', 'conflict', 'not-covered', 'no-address', 'not-claimed']);

/** The line that says that a resource failed: the first that says why, which “failed to assign” does not. */
export function failureLine(story: Story): LogLine | undefined {
  const failed = story.events.filter(({ verb }) => failures.has(verb));
  return (failed.find(({ line }) => !line.text.includes('failed to assign')) ?? failed[0])?.line;
}

/** The line that says where a resource lies. */
export const placedLine = (story: Story): LogLine | undefined =>
  story.events.findLast(({ verb, range }) => (verb === 'assigned' || verb === 'found') && range !== undefined)?.line;
