/** A word as a POSIX shell takes it: bare where that is safe, else in single quotes. */
export const shellWord = (word: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** Words as one shell command; each group has a line of its own. */
export const shellCommand = (groups: readonly (readonly string[])[]): string =>
  `${groups.map((words) => words.map(shellWord).join(' ')).join(' \\\n  ')}\n`;

/** Text for a comment: one line, nothing that a terminal or an editor would act on. */
export const commentText = (text: string): string => text.replaceAll(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ');
