import { hex } from '../../address/format.js';
import { configFacts } from '../config-facts.js';
import type { CapabilityFacts } from '../function-facts.js';
import type { SeenFunction, Source } from '../observation.js';
import type { Conflicts } from './conflicts.js';
import { mergeResources } from './merge-resources.js';
import type { CapturedFunction } from './model.js';
import type { Statement } from './statement.js';

/** What all listings say of one function, put together; the first statement counts most. */
export function mergeFunction(given: readonly Statement[], conflicts: Conflicts): CapturedFunction | undefined {
  const config = given.map(({ fn }) => fn.config).find((bytes) => bytes !== undefined);
  const statements = given.flatMap(withRegisters);
  const [first] = statements;
  if (!first) return undefined;
  const { address } = first.fn;
  const merged: Record<string, unknown> = {};
  for (const { key, name, show, same } of scalars) {
    let kept: { value: unknown; source: Source } | undefined;
    for (const { fn } of statements) {
      const value = fn[key];
      if (value === undefined) continue;
      if (!kept) kept = { value, source: fn.source };
      else if (name && !same(kept.value as never, value as never)) {
        const other = { value: show(value as never), source: fn.source };
        conflicts.add(address, name, { value: show(kept.value as never), source: kept.source }, other);
      }
    }
    if (kept) merged[key] = kept.value;
  }
  const capabilities = mergeCapabilities(statements);
  const buses = statements.map(({ fn }) => fn.buses).find((one) => one !== undefined && one.secondary > 0);
  return {
    ...merged,
    ...capabilities,
    address,
    ...(buses ? { buses: { secondary: buses.secondary, ...subordinateOf(statements, buses.secondary) } } : {}),
    ...mergeResources(
      address,
      statements,
      {
        totalVfs: capabilities.sriov?.totalVfs,
        resizable: capabilities.resizable ?? [],
        isVirtual: merged['physicalFunction'] !== undefined,
      },
      conflicts,
    ),
    ...(config ? { config } : {}),
  };
}

/** A statement and, after it, what the registers say that came with it. */
function withRegisters(statement: Statement): Statement[] {
  const { config, source, address } = statement.fn;
  const facts = config && configFacts(config, source);
  if (!facts) return [statement];
  // A listing of registers is one statement; one of the system's numbers with a dump below it makes two.
  return [statement, { kind: 'hex-dump', fn: { address, source, ...facts } }];
}

interface Scalar<K extends keyof SeenFunction> {
  readonly key: K;
  /** What it is in words; undefined where listings may well differ. */
  readonly name?: string;
  readonly show: (value: NonNullable<SeenFunction[K]>) => string;
  readonly same: (a: SeenFunction[K], b: SeenFunction[K]) => boolean;
}

const equal = (a: unknown, b: unknown) => a === b;
const scalar = <K extends keyof SeenFunction>(
  key: K,
  name?: string,
  show: Scalar<K>['show'] = String,
  same: Scalar<K>['same'] = equal,
) => ({ key, ...(name === undefined ? {} : { name }), show, same });

const id = (value: number) => hex(value, 4);

const scalars = [
  scalar('parent'),
  scalar('vendor', 'vendor id', id),
  scalar('device', 'device id', id),
  scalar(
    'subsystem',
    'subsystem',
    ({ vendor, device }) => `${id(vendor)}:${id(device)}`,
    (a, b) => a?.vendor === b?.vendor && a?.device === b?.device,
  ),
  // Listings without a programming interface show only the upper 16 bits.
  scalar('class', 'class', id, (a = 0, b = 0) => a >> 8 === b >> 8),
  scalar('revision', 'revision', (value) => hex(value, 2)),
  scalar('title'),
  scalar('headerType', 'header type'),
  scalar('driver'),
  scalar('numaNode', 'NUMA node'),
  scalar('iommuGroup', 'IOMMU group'),
  scalar('physicalFunction'),
  scalar('decodes'),
] as const;

function subordinateOf(statements: readonly Statement[], secondary: number): { subordinate?: number } {
  for (const { fn } of statements) {
    if (fn.buses?.secondary === secondary && fn.buses.subordinate !== undefined) {
      return { subordinate: fn.buses.subordinate };
    }
  }
  return {};
}

/** The first statement that has a capability counts for it. */
function mergeCapabilities(statements: readonly Statement[]): CapabilityFacts {
  const lists = statements.flatMap(({ fn }) => fn.capabilities ?? []);
  return lists.reduceRight<CapabilityFacts>((merged, one) => ({ ...merged, ...one }), {});
}
