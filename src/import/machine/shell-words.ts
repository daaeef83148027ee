import { Problem } from '../../problem/problem.js';

const QEMU = /(?:^|\/)(?:qemu-system-[a-z0-9_]+|qemu-kvm)$/;
/** What may come before the program: a prompt, what starts it, options of that, variables. */
const before =
  /^(?:[$#%>]|[\w.@:~-]+[$#]|sudo|exec|nohup|time|taskset|numactl|nice|env|setpriv|-\S+|[\d,-]+|[A-Za-z_]\w*=.*)$/s;
/** Lines that may come before a command and say nothing: comments, a shell's settings, the head of libvirt's log. */
const preamble = /^\s*(?:#|$|export |cd |set |ulimit |[A-Za-z_]\w*=|\d{4}-\d\d-\d\d \S+: starting up )/;

/** Whether a text is a QEMU command line, as in a script, behind a prompt, or in libvirt's log; by its beginning. */
export function looksLikeQemuCommand(head: string): boolean {
  for (const line of logicalLines(head)) {
    if (commandOf(line, false)) return true;
    if (!preamble.test(line)) return false;
  }
  return false;
}

/**
 * The words of the first QEMU command in a shell's text, the program first. Nothing is expanded; what comes after a `;`, `&`,
 * `|` or a redirection is left out.
 * @throws Problem `qemu-command` where there is none, or where a quote is not closed
 */
export function qemuWords(text: string): string[] {
  for (const line of logicalLines(text)) {
    const words = commandOf(line, true);
    if (words) return words;
  }
  throw new Problem('qemu-command', 'there is no QEMU command in it', {
    hint: 'give the whole command, from qemu-system-… on',
  });
}

/** Lines, with those that end in a backslash or inside of quotes joined to the next. */
function* logicalLines(text: string): Generator<string> {
  const pattern = /(?:'[^']*'|"(?:[^"\\]|\\[^])*"|\\[^]|[^\n\\'"]|['"](?=[^'"]*$))+|\n/g;
  for (const [line] of text.replace(/\r\n/g, '\n').matchAll(pattern)) {
    if (line !== '\n') yield line.replace(/\\\n/g, ' ');
  }
}

function commandOf(line: string, strict: boolean): string[] | undefined {
  // A root prompt looks like a comment.
  const words = split(
    line.replace(/^\s*[$#] (?=\S*(?:qemu-|sudo|exec|[A-Z_]+=))/, ''),
    strict && line.includes('qemu-'),
  );
  const at = words.findIndex((word) => !before.test(word));
  const program = words[at];
  return program !== undefined && QEMU.test(program) ? words.slice(at) : undefined;
}

/** The words of one command, as a POSIX shell cuts them. */
function split(line: string, strict: boolean): string[] {
  const words: string[] = [];
  const token = /\s+|\d*[<>]|((?:[^\s;&|<>()'"\\]|'[^']*'|"(?:[^"\\]|\\[^])*"|\\[^])+)|(['"\\])|[;&|<>()]/gy;
  for (let match = token.exec(line); match; match = token.exec(line)) {
    const [whole, word, open] = match;
    if (word?.startsWith('#')) break;
    if (word !== undefined) words.push(unquoted(word));
    else if (open !== undefined && strict) {
      throw new Problem('qemu-command', `a quote or backslash (${open}) stands alone`, {
        hint: 'give the whole command',
      });
    } else if (!/^\s/.test(whole)) break;
  }
  return words;
}

const unquoted = (word: string): string =>
  word.replace(
    /'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])/g,
    (_, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\([$`"\\])/g, '$1') ?? escaped ?? '',
  );
