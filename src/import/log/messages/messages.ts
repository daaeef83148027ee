import { functionMessage } from '../resource-event.js';
import type { LogLine } from '../line.js';
import { driverRules } from './driver.js';
import { iommuRules } from './iommu.js';
import { kernelRules } from './kernel.js';
import { noiseRules } from './noise.js';
import { peerRules } from './peer.js';
import type { Message, MessageRule } from './rule.js';
import { vmmRules } from './vmm.js';

const all = [...kernelRules, ...iommuRules, ...driverRules, ...vmmRules, ...peerRules, ...noiseRules] as const;

/** What a message says; more than one may hold of a line. */
export type MessageCode = (typeof all)[number]['code'];
export type { Message, MessageRule };

const rules: readonly MessageRule[] = all;

/** The literal parts of messages: a line with none of them is no message. */
export const messageWords: readonly string[] = [...new Set(rules.flatMap(({ words }) => words))];

/** The rules that a line can match which holds the word of this number in {@link messageWords}. */
export const rulesOfWord: readonly (readonly MessageRule[])[] = messageWords.map((word) =>
  rules.filter(({ words }) => words.includes(word)),
);

/** Of a longer line only the start is searched. */
const LONGEST_SEARCHED = 2048;

/** Every message that a line is, of those that `rules` can find. */
export function messagesIn(line: LogLine, among: Iterable<MessageRule> = rules): Message[] {
  const text = line.text.length > LONGEST_SEARCHED ? line.text.slice(0, LONGEST_SEARCHED) : line.text;
  const found: Message[] = [];
  for (const { code, pattern } of among) {
    const match = pattern.exec(text);
    if (match && !found.some((one) => one.code === code)) {
      found.push({ kind: 'message', code, values: match.groups ?? {}, line });
    }
  }
  return found;
}

/** The function that a message is about, where its line names one. */
export const subjectOf = (message: Message) => functionMessage(message.line.text)?.address;
