import type { Evidence } from './evidence.js';
import type { Missing, Scope } from './finding.js';
import { ask } from './missing.js';

const FUNCTION = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/;

export function shownIn(evidence: Evidence): Scope {
  const { files, resources, regions, observations, map, messages } = evidence;
  if (files.every(({ isCapture }) => isCapture)) return 'nothing';
  const bars =
    resources.some(({ space, name }) => space === 'memory' && typeof name === 'number') ||
    regions.some(({ space, name }) => space === 'memory' && name !== 'rom') ||
    map.some(({ name }) => FUNCTION.test(name)) ||
    observations.some(({ functions }) =>
      functions.some((fn) => fn.resources.some(({ space, name }) => space === 'memory' && typeof name === 'number')),
    );
  if (bars) return 'bars';
  const { hosts, functions, bridges, dma, lspci, trees, commands, tags } = evidence;
  const facts = [resources, regions, map, hosts, functions, bridges, dma, lspci, trees, commands, tags];
  const listed = observations.some((one) => one.functions.length + (one.groups?.length ?? 0) > 0);
  return messages.size > 0 || listed || facts.some((list) => list.length > 0) ? 'other' : 'nothing';
}

/** What to run where nothing wrong was found in an input that does not show BARs. */
export const toShow = (scope: Scope): Missing[] => (scope === 'bars' ? [] : [ask.kernelLog, ask.device()]);
