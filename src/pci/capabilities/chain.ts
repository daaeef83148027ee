import { UnreadRegister, type ConfigBytes } from '../config-bytes.js';
import { common, headerLayout, statusBits, type0 } from '../header.js';
import { bit, field } from '../layout.js';
import { express } from './express.js';
import { extendedById, standardById, type Capability } from './index.js';
import { CapView } from './view.js';

/** A capability list that is not one. What was found before the defect stands. */
export interface ChainIssue {
  readonly code: 'capability-chain-broken' | 'capability-cut-off';
  /** The register that is wrong, or where the capability begins that does not fit. */
  readonly register: number;
  /** Capabilities passed on the way, as registers. */
  readonly after: readonly number[];
}

interface Link {
  readonly at: number;
  readonly id: number;
  readonly version: number;
}

const EXTENDED_START = 0x100;
const EXTENDED_END = 0x1000;

/** PCI Express Base 6.0 §7.5.1.1.11: the list starts at 0x34; the two low bits of a pointer are reserved. */
function* standardChain(config: ConfigBytes, report: (issue: ChainIssue) => void): Generator<Link> {
  if (headerLayout(config.field(common.headerType)) > 1) return;
  if (!bit(config.field(common.status), statusBits.capabilityList)) return;
  const seen = new Set<number>();
  for (let at = config.field(type0.capabilitiesPointer) & ~3; at !== 0; at = config.u8(at + 1) & ~3) {
    const id = at < 0x40 ? 0xff : config.u8(at);
    if (id === 0xff || seen.has(at)) {
      report({ code: 'capability-chain-broken', register: at, after: [...seen] });
      return;
    }
    seen.add(at);
    yield { at, id, version: 0 };
  }
}

/** PCI Express Base 6.0 §7.6: headers of id (15:0), version (19:16) and next (31:20); nothing at all is a zero header. */
function* extendedChain(config: ConfigBytes, report: (issue: ChainIssue) => void): Generator<Link> {
  const seen = new Set<number>();
  for (let at = EXTENDED_START; at !== 0;) {
    if (at < EXTENDED_START || seen.has(at)) {
      report({ code: 'capability-chain-broken', register: at, after: [...seen] });
      return;
    }
    const header = config.u32(at);
    if (header === 0 && at === EXTENDED_START) return;
    if (header === 0xffff_ffff) {
      // A function without extended space reads as absent there.
      if (at !== EXTENDED_START) report({ code: 'capability-chain-broken', register: at, after: [...seen] });
      return;
    }
    seen.add(at);
    yield { at, id: field(header, 0, 16), version: field(header, 16, 4) };
    at = field(header, 20, 12) & ~3;
  }
}

/** Only a PCI Express function has extended space. False as well where the list is cut off before that shows. */
function hasExpress(config: ConfigBytes): boolean {
  try {
    return [...standardChain(config, () => undefined)].some(({ id }) => id === express.id);
  } catch (error) {
    if (error instanceof UnreadRegister) return false;
    throw error;
  }
}

/**
 * Registers (multiples of 4, ascending) of the extended space that have to be read before {@link decodeCapabilities} can
 * say more; empty when it has all. Each answer brings the next header and the body of what is known so far.
 */
export function unreadExtended(config: ConfigBytes): number[] {
  if (!hasExpress(config)) return [];
  const need = new Set<number>();
  try {
    for (const { at, id } of extendedChain(config, () => undefined)) {
      const end = Math.min(at + (extendedById.get(id)?.decoder.size ?? 4), EXTENDED_END);
      for (let register = at; register < end; register += 4) if (!config.has(register)) need.add(register);
    }
  } catch (error) {
    if (!(error instanceof UnreadRegister)) throw error;
    need.add(error.register);
  }
  return [...need].sort((a, b) => a - b);
}

/**
 * Every capability of a function, in the order of its lists; extended ones only where it is a PCI Express function.
 * Loops, pointers out of range and capabilities that run off their area are issues, never an error.
 */
export function decodeCapabilities(config: ConfigBytes): { capabilities: Capability[]; issues: ChainIssue[] } {
  const capabilities: Capability[] = [];
  const issues: ChainIssue[] = [];
  const headerType = headerLayout(config.field(common.headerType));
  const walk = (links: Iterable<Link>, extended: boolean) => {
    let last = 0;
    try {
      for (const { at, id, version } of links) {
        last = at;
        capabilities.push(decodeOne(config, { at, id, version, extended, headerType }, issues));
      }
    } catch (error) {
      if (!(error instanceof UnreadRegister)) throw error;
      issues.push({ code: 'capability-cut-off', register: error.register, after: [last] });
    }
  };
  const report = (issue: ChainIssue) => void issues.push(issue);
  walk(standardChain(config, report), false);
  if (hasExpress(config) && config.has(EXTENDED_START)) walk(extendedChain(config, report), true);
  return { capabilities, issues };
}

function decodeOne(
  config: ConfigBytes,
  link: Link & { extended: boolean; headerType: number },
  issues: ChainIssue[],
): Capability {
  const { at, id, version, extended, headerType } = link;
  const known = (extended ? extendedById : standardById).get(id);
  const placed = { at, id, extended, version };
  if (!known) return { ...placed, kind: 'raw' };
  try {
    const view = new CapView(config, at, id, version, headerType, extended ? EXTENDED_END : EXTENDED_START);
    return { ...placed, kind: known.kind, data: known.decoder.decode(view) } as Capability;
  } catch (error) {
    if (!(error instanceof UnreadRegister)) throw error;
    issues.push({ code: 'capability-cut-off', register: at, after: [] });
    return { ...placed, kind: 'raw' };
  }
}
