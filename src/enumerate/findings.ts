import { hex } from '../address/format.js';
import { formatBdf, type Bdf } from '../pci/bdf.js';
import type { BarIssue } from '../pci/bar.js';
import type { ChainIssue } from '../pci/capabilities/chain.js';

/** Something that is not as the specification has it. Enumeration goes on around it. */
export type Finding = { readonly at: Bdf } & (
  | BarIssue
  | (Omit<BarIssue, 'code'> & { readonly code: `vf-${BarIssue['code']}` })
  | ChainIssue
  | { readonly code: 'config-retry' | 'vanished' }
  | { readonly code: 'header-type'; readonly headerType: number }
  | { readonly code: 'port-type'; readonly portType: string | number }
  | { readonly code: 'command-not-kept'; readonly wrote: number; readonly read: number }
  | { readonly code: 'no-bus-left'; readonly buses: readonly [number, number] }
  | { readonly code: 'bus-numbers-not-kept'; readonly wrote: readonly number[]; readonly read: readonly number[] }
  | { readonly code: 'bus-numbers-unusable'; readonly secondary: number; readonly subordinate: number }
  | { readonly code: 'ari-chain-broken'; readonly next: number }
  | { readonly code: 'too-many-functions'; readonly limit: number }
);

const register = (value: number | null) => (value === null ? 'nothing' : hex(value, 8));

function barText({ code, index, before, ones }: { code: string; index: number; before: number; ones: number | null }) {
  const seen = `it held ${register(before)} and read ${register(ones)} after all ones were written`;
  switch (code) {
    case 'bar-type-reserved':
      return `BAR ${index} has the reserved type 11 in bits 2:1; ${seen}; it is left out`;
    case 'bar-type-changed':
      return `BAR ${index} let its read-only type bits be written, so it is no BAR; ${seen}; it is left out`;
    case 'bar-too-small':
      return `BAR ${index} asks for fewer bytes than a BAR can: its type bits can be written; ${seen}; it is taken as the smallest there is`;
    case 'bar-below-1m':
      return `BAR ${index} asks for an address below 1 MiB, which no longer exists; it is taken as a 32-bit BAR`;
    case 'bar-no-upper-half':
      return `BAR ${index} says that it has 64 bits, but there is no register for the upper half; it is left out`;
    case 'bar-mask-holes':
      return `BAR ${index} has writable address bits with holes between them; ${seen}; the lowest one is its size`;
    default:
      return `BAR ${index} has no writable address bit; ${seen}; it is left out`;
  }
}

/** One sentence for people. */
export function findingText(finding: Finding): string {
  const at = formatBdf(finding.at);
  switch (finding.code) {
    case 'bar-type-reserved':
    case 'bar-type-changed':
    case 'bar-too-small':
    case 'bar-below-1m':
    case 'bar-no-upper-half':
    case 'bar-mask-holes':
    case 'bar-size-absurd':
      return `${at}: ${barText(finding)}`;
    case 'vf-bar-type-reserved':
    case 'vf-bar-type-changed':
    case 'vf-bar-too-small':
    case 'vf-bar-below-1m':
    case 'vf-bar-no-upper-half':
    case 'vf-bar-mask-holes':
    case 'vf-bar-size-absurd':
      return `${at}: VF ${barText({ ...finding, code: finding.code.slice(3) })}`;
    case 'capability-chain-broken':
      return `${at}: the capability list points to ${hex(finding.register)}, which is no capability or was passed before; the rest of the list is not read`;
    case 'capability-cut-off':
      return `${at}: the capability at ${hex(finding.register)} runs past the end of its area or of what was read`;
    case 'config-retry':
      return `${at}: the function still answers with Configuration Request Retry; it is taken as absent`;
    case 'vanished':
      return `${at}: the function answered with a vendor id and then with all ones; it is taken as absent`;
    case 'header-type':
      return `${at}: header type ${hex(finding.headerType)} is neither a device (0) nor a PCI bridge (1); it is left alone`;
    case 'port-type':
      return `${at}: a bridge whose PCI Express port type is ${finding.portType}, which no bridge has; it is taken as a conventional one`;
    case 'command-not-kept':
      return `${at}: the Command register kept decoding on (wrote ${hex(finding.wrote)}, read ${hex(finding.read)}), so its BARs were not sized`;
    case 'no-bus-left':
      return `${at}: no bus number is left for this bridge in ${finding.buses[0]}-${finding.buses[1]}; what lies behind it is not seen`;
    case 'bus-numbers-not-kept':
      return `${at}: the bridge did not keep its bus numbers (wrote ${finding.wrote.join(', ')}, read ${finding.read.join(', ')}); what lies behind it is not seen`;
    case 'bus-numbers-unusable':
      return `${at}: the bridge routes buses ${finding.secondary} to ${finding.subordinate}, which is no range of its own; what lies behind it is not seen`;
    case 'ari-chain-broken':
      return `${at}: the ARI list goes on to function ${finding.next}, which does not follow or does not answer; the rest is not seen`;
    case 'too-many-functions':
      return `${at}: more than ${finding.limit} functions answer; the rest is not looked at`;
    default:
      return finding satisfies never;
  }
}
