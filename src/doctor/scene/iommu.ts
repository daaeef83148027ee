import { rangeOfHex } from '../../import/lines.js';
import { AddressRange } from '../../address/range.js';
import type { LogLine } from '../../import/log/line.js';
import { said } from '../evidence.js';
import type { Scene } from './scene.js';

/** Where writes of devices become interrupts on an x86 host (Intel SDM vol. 3, §11.11.1; AMD64 APM vol. 2). */
const X86_MSI = AddressRange.of(0xfee0_0000n, 0xfeef_ffffn);

export interface MsiRange {
  readonly range: AddressRange;
  readonly why: string;
  readonly line?: LogLine;
}

/** The host's MSI range: as its reserved regions show it, or that of x86. */
export function msiRange({ evidence }: Scene): MsiRange {
  const shown = said(evidence, 'reserved-region').find(({ values }) => values['type'] === 'msi');
  const range = rangeOfHex(shown?.values['base'], shown?.values['limit']);
  if (shown && range) {
    return { range, why: `The host's reserved regions list ${range.toString()} as its MSI range.`, line: shown.line };
  }
  return { range: X86_MSI, why: `On x86 hosts ${X86_MSI.toString()} is the MSI range.` };
}

/** Address bits of the host's IOMMU, where the input shows them. */
export function iommuBits({
  evidence,
}: Pick<Scene, 'evidence'>): { readonly bits: number; readonly line: LogLine } | undefined {
  const told = said(evidence, 'iommu-width', 'aw-bits')[0];
  if (told?.values['bits']) return { bits: Number(told.values['bits']), line: told.line };
  const caps = said(evidence, 'dmar-cap').flatMap(({ values, line }) => {
    const cap = BigInt(`0x${values['cap'] ?? '0'}`);
    // MGAW, bits 21:16 of the capability register, plus one (Intel VT-d specification §11.4.2).
    return cap === 0n ? [] : [{ bits: Number((cap >> 16n) & 0x3fn) + 1, line }];
  });
  return caps.toSorted((a, b) => a.bits - b.bits)[0];
}
