import type { ConfigBytes } from '../../pci/config-bytes.js';
import { common, statusBits, type0 } from '../../pci/header.js';
import { bit } from '../../pci/layout.js';
import type { Observation } from '../observation.js';
import type { CapturedFunction, Missing } from './model.js';

export interface MissingOptions {
  /** Why something that a system holds back from ordinary users is not there. */
  readonly withheld?: Missing['why'];
  /** What was found missing while reading. */
  readonly found?: readonly Missing[];
}

const CAPABILITIES = 'capabilities: SR-IOV, resizable BARs, ACS, serial numbers, port types';

/** What a capture lacks, and what that would have added. */
export function missingIn(
  functions: readonly CapturedFunction[],
  observations: readonly Observation[],
  { withheld = 'copy', found = [] }: MissingOptions,
): Missing[] {
  const missing: Missing[] = [...found];
  const count = (lacks: (fn: CapturedFunction) => boolean) => functions.filter(lacks).length;
  const add = (functions: number, what: string, why: Missing['why'], adds: string) => {
    if (functions > 0) missing.push({ what, why, adds, functions });
  };
  const told = (fn: CapturedFunction) => fn.portType !== undefined || fn.acs !== undefined || fn.serial !== undefined;
  add(
    count((fn) => reach(fn.config) === 'header' && !told(fn)),
    'config space beyond the first 64 bytes',
    withheld,
    CAPABILITIES,
  );
  add(
    count((fn) => reach(fn.config) === 'standard' && fn.portType !== undefined && fn.acs === undefined && !fn.sriov),
    'extended config space, from 0x100 on',
    'copy',
    'SR-IOV, resizable BARs, ACS, serial numbers',
  );
  add(
    count((fn) => fn.bars.some(({ size }) => size === undefined)),
    'sizes of BARs, which registers do not tell',
    'copy',
    'what a machine file needs; `lspci -vvv` and the files /sys/bus/pci/devices/*/resource have them',
  );
  for (const { notes } of observations) {
    for (const { code, text } of notes) {
      if (code === 'read-without-root' && !missing.some(({ what }) => text.startsWith(what))) {
        const what = /^\S+/.exec(text)?.[0] ?? text;
        missing.push({ what, why: 'root', adds: 'host bridge windows, RAM' });
      }
    }
  }
  return missing;
}

/** How far config space was read: its capability list says whether there is more. */
function reach(config: ConfigBytes | undefined): 'none' | 'header' | 'standard' | 'extended' {
  if (!config?.has(0) || !config.has(type0.capabilitiesPointer.offset)) return 'none';
  if (!bit(config.field(common.status), statusBits.capabilityList)) return 'none';
  const first = config.u8(type0.capabilitiesPointer.offset) & ~3;
  if (first !== 0 && !config.has(first)) return 'header';
  return config.has(0x100) ? 'extended' : 'standard';
}
