import { hex } from '../../address/format.js';
import type { AddressRange } from '../../address/range.js';
import { formatBdf } from '../../pci/bdf.js';
import type { Comparison, Fact, FunctionComparison, Renumbered, ResourceComparison } from './comparison.js';

/** A comparison as plain data for `--json`: addresses and sizes as `0x` strings, functions as `SSSS:BB:DD.F`. */
export function comparisonToJson(comparison: Comparison) {
  const { verdict, counts, functions, renumbered, extra, notes, boots } = comparison;
  return {
    pinbar: 1,
    verdict,
    counts,
    functions: functions.map(functionToJson),
    renumbered: renumbered.map(renumberedToJson),
    extra: extra.map(({ address, source }) => ({ address: formatBdf(address), source })),
    notes,
    boots,
  };
}

const functionToJson = ({ id, planned, seen, presence, detail, sources, resources }: FunctionComparison) => ({
  id,
  address: formatBdf(planned),
  ...(seen ? { seen: formatBdf(seen) } : {}),
  presence,
  ...optional('detail', detail),
  sources,
  resources: resources.map(resourceToJson),
});

const resourceToJson = ({ name, status, planned, pinned, movedTo, detail, facts }: ResourceComparison) => ({
  bar: name,
  status,
  planned: planned ? rangeToJson(planned) : null,
  pinned,
  ...optional('movedTo', movedTo === undefined ? undefined : hex(movedTo)),
  ...optional('detail', detail),
  facts: facts.map(factToJson),
});

const factToJson = ({ listing, status, shown, seen, size, detail, source }: Fact) => ({
  listing,
  status,
  ...optional('shown', shown === undefined ? undefined : hex(shown)),
  ...optional('seen', seen === undefined ? undefined : hex(seen)),
  ...optional('size', size === undefined ? undefined : hex(size)),
  ...optional('detail', detail),
  source,
});

const renumberedToJson = ({ address, ...rest }: Renumbered) => ({ ...rest, address: formatBdf(address) });

const rangeToJson = ({ base, limit }: AddressRange) => ({ base: hex(base), limit: hex(limit) });

const optional = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
