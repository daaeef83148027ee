import { describe, expect, it } from 'vitest';
import { parseGuests, predict } from '../../src/guests/predict.js';
import type { Prediction } from '../../src/guests/prediction.js';
import { eachFunction, type Machine } from '../../src/machine/model.js';
import { formatBdf } from '../../src/pci/bdf.js';
import { BOOTS, bootsOf, flavours, machineOf, span, type Boot, type RecordedState } from '../groundtruth/boots.js';

/** Which guests a folder of recorded boots is of. */
const guestsOf = (flavour: string): { readonly firmware?: string; readonly kernel: string } => {
  const kernel = `linux-${/linux.*-(\d+\.\d+)/.exec(flavour)?.[1] ?? ''}`;
  if (flavour.startsWith('linux-dt')) return { kernel };
  if (flavour.startsWith('seabios')) return { firmware: 'seabios', kernel };
  if (flavour.startsWith('ovmf')) return { firmware: 'ovmf-2022.11', kernel };
  return { firmware: flavour.includes('7.2-qemu11') ? 'edk2-2026.08' : 'edk2-2022.11', kernel };
};

/** Where the prediction differs from what the registers held, BAR by BAR and window by window. */
function differences(
  machine: Machine,
  predicted: Prediction,
  seen: Readonly<Record<string, RecordedState>>,
  raw: boolean,
) {
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

describe.skipIf(flavours().length === 0)(`recorded boots in ${BOOTS}`, () => {
  for (const flavour of flavours()) {
    const { firmware, kernel } = guestsOf(flavour);
    const judge = (names: string, seen: (boot: Boot) => Boot['final'], raw: boolean) => {
      const wrong = bootsOf(flavour).flatMap((boot) => {
        const machine = machineOf(boot);
        const predicted = predict(machine, parseGuests(names));
        const state = seen(boot);
        if (!boot.booted || !state) return predicted.stopped === undefined ? [`${boot.name}: it stopped`] : [];
        if (predicted.stopped !== undefined) return [`${boot.name}: predicted to stop: ${predicted.stopped}`];
        const found = differences(machine, predicted, state, raw);
        return found.length > 0 ? [`${boot.name}: ${found.slice(0, 3).join('; ')}`] : [];
      });
      process.stdout.write(
        `${flavour}, ${names}: ${bootsOf(flavour).length - wrong.length} of ${bootsOf(flavour).length} boots exact\n`,
      );
      expect(wrong).toEqual([]);
    };
    if (firmware) it(`${flavour}: what ${firmware} leaves`, () => judge(firmware, ({ first }) => first, true));
    const all = firmware ? `${firmware},${kernel}` : kernel;
    it(`${flavour}: what ${all} makes of it`, () => judge(all, ({ final }) => final, false));
  }
});
