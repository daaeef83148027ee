import type { Bdf } from '../../pci/bdf.js';
import type { Plan } from '../../place/plan.js';
import { bdfKey } from '../observation.js';
import type { FunctionComparison } from './comparison.js';
import type { View } from './view.js';

/** Functions that no operating system looks for: the plan has nothing at function 0 of their device. */
function neverScanned(plan: Plan, address: Bdf): boolean {
  const devfn = bdfKey(address) & 0xff;
  if ((devfn & 7) === 0) return false;
  const first = bdfKey(address) - (devfn & 7);
  return !plan.functions.some((fn) => bdfKey(fn.address) === first);
}

/** Whether the guest has a planned function, and where, as all files together say it. */
export function presenceOf(
  plan: Plan,
  planned: Bdf,
  bridgeAbove: Bdf | undefined,
  views: readonly View[],
): Pick<FunctionComparison, 'seen' | 'presence' | 'detail' | 'sources'> {
  const found = views.flatMap(({ numbering, listings }) => {
    const address = numbering.guest(planned);
    return address ? listings.flatMap(({ functions }) => functions.get(bdfKey(address)) ?? []) : [];
  });
  const [first] = found;
  if (first) return { seen: first.address, presence: 'seen', sources: found.map(({ source }) => source) };
  if (neverScanned(plan, planned)) {
    const detail = 'function 0 of its device is not there, so that no guest looks for it';
    return { presence: 'not-scanned', detail, sources: [] };
  }
  for (const { numbering, shown } of views) {
    const address = numbering.guest(planned);
    if (!address)
      return { presence: 'missing', detail: 'the bridge above it has no bus number in the guest', sources: [] };
    const lack = shown.lacks(address, bridgeAbove && (numbering.guest(bridgeAbove) ?? undefined));
    if (lack) return { presence: 'missing', detail: lack.detail, sources: lack.source ? [lack.source] : [] };
  }
  return { presence: 'not-shown', sources: [] };
}
