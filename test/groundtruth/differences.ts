import type { Prediction } from '../../src/guests/prediction.js';
import { eachFunction, type Machine } from '../../src/machine/model.js';
import { formatBdf } from '../../src/pci/bdf.js';
import { span, type RecordedState } from './boots.js';

/**
 * Where a prediction differs from what was seen, BAR by BAR and window by window. The machine's functions are called by
 * the numbers that the guest gave them. `raw`: what was seen are registers, which hold something in any case.
 */
export function differences(
  machine: Machine,
  predicted: Prediction,
  seen: Readonly<Record<string, RecordedState>>,
  raw: boolean,
): string[] {
  const wrong: string[] = [];
  const functions = new Map(predicted.functions.map((fn) => [fn.id, fn]));
  const bridges = new Map(predicted.bridges.map((bridge) => [bridge.id, bridge]));
  for (const { fn } of machine.hostBridges.flatMap(({ functions: list }) => [...eachFunction(list)])) {
    const found = functions.get(fn.id);
    const state = seen[fn.id];
    if (!found || !state) {
      wrong.push(`${fn.id}: ${found ? 'not seen' : 'not predicted'}`);
      continue;
    }
    if (formatBdf(found.address) !== fn.id) wrong.push(`${fn.id}: numbered ${formatBdf(found.address)}`);
    const compare = (what: string, size: bigint, want: string | null | undefined, got: bigint | undefined) => {
      // A ROM that the kernel takes from RAM has no address of its own.
      if (want === 'shadow') return;
      const wanted = want === null || want === undefined || (raw && isNone(want, size)) ? undefined : BigInt(want);
      if (wanted !== (raw && got === 0n ? undefined : got))
        wrong.push(`${fn.id} ${what}: ${want ?? 'none'}, predicted ${got?.toString(16) ?? 'none'}`);
    };
    for (const { index, size } of fn.bars) {
      compare(`BAR ${index}`, size, state.bars[index], found.bars.find((bar) => bar.index === index)?.address);
    }
    if (fn.rom && !raw) compare('ROM', fn.rom.size, state.rom, found.rom?.address);
    for (const { index, size } of fn.sriov?.bars ?? []) {
      compare(
        `VF BAR ${index}`,
        size,
        state.vf?.[index],
        found.sriov?.bars.find((bar) => bar.index === index)?.address,
      );
    }
    const bridge = bridges.get(fn.id);
    if (!fn.bridge || !bridge) continue;
    for (const [name, recorded] of [
      ['io', 'io'],
      ['memory', 'mem'],
      ['prefetchable', 'pref'],
    ] as const) {
      const want = span(state.windows?.[recorded])?.toString();
      const got = bridge[name]?.toString();
      if (want !== got) wrong.push(`${fn.id} ${name} window: ${want ?? 'closed'}, predicted ${got ?? 'closed'}`);
    }
  }
  return wrong;
}

/** What a register holds that has no address: nothing, or the ones that firmware wrote when it gave the function up. */
const isNone = (value: string, size: bigint): boolean =>
  [0n, BigInt.asUintN(32, -size), BigInt.asUintN(64, -size)].includes(BigInt(value));
