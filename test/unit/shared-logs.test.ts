import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hex } from '../../src/address/format.js';
import type { AddressRange } from '../../src/address/range.js';
import { mergeCapture } from '../../src/import/capture/merge.js';
import type { CapturedFunction } from '../../src/import/capture/model.js';
import { readGuestText } from '../../src/import/guest-text.js';
import { formatBdf } from '../../src/pci/bdf.js';
import { sharedFolder } from '../support/shared.js';

/** A boot as it was recorded: the kernel's lines, and what registers held at its end. */
interface Recorded {
  readonly booted: boolean;
  readonly log: readonly string[];
  readonly functions: readonly {
    readonly bdf: string;
    readonly seen: boolean;
    readonly vendor: string;
    readonly device: string;
    readonly bars: readonly { readonly index: number; readonly type: string; readonly size: string }[];
    readonly pcie: { readonly portType: string } | null;
    readonly bridge: { readonly secondary: number; readonly subordinate: number } | null;
  }[];
  readonly final: Readonly<
    Record<string, { readonly bars: Readonly<Record<string, string | null>>; readonly windows?: Windows }>
  >;
}
type Windows = Readonly<Record<'io' | 'mem' | 'pref', { readonly start: string; readonly end: string } | null>>;

/** One line a BAR and a bridge. */
function recorded({ functions, final }: Recorded): string[] {
  return functions
    .filter(({ seen }) => seen)
    .flatMap(({ bdf, vendor, device, bars, bridge }) => [
      `${bdf} ${vendor}:${device}`,
      ...bars.map(
        ({ index, type, size }) => `${bdf} BAR ${index} ${type} ${size} ${final[bdf]?.bars[index] ?? 'none'}`,
      ),
      ...(bridge ? [`${bdf} to ${bridge.secondary}-${bridge.subordinate}`] : []),
      ...Object.entries(bridge ? (final[bdf]?.windows ?? {}) : {}).flatMap(([name, window]) =>
        window ? [`${bdf} ${name} ${window.start}-${window.end}`] : [],
      ),
    ]);
}

const windows = { io: 'io', memory: 'mem', prefetchable: 'pref' } as const;
const id = (value: number | undefined) => value?.toString(16).padStart(4, '0');

function imported({ address, vendor, device, bars, buses, windows: own }: CapturedFunction): string[] {
  const at = formatBdf(address);
  const range = ({ base, limit }: AddressRange) => `${hex(base)}-${hex(limit)}`;
  return [
    `${at} ${id(vendor)}:${id(device)}`,
    ...bars.map(
      (bar) =>
        `${at} BAR ${bar.index} ${bar.type} ${hex(bar.size ?? 0n)} ${bar.state === 'unassigned' ? 'none' : hex(bar.address ?? 0n)}`,
    ),
    ...(buses ? [`${at} to ${buses.secondary}-${buses.subordinate}`] : []),
    ...(['io', 'memory', 'prefetchable'] as const).flatMap((name) => {
      const window = own?.[name]?.range;
      return window ? [`${at} ${windows[name]} ${range(window)}`] : [];
    }),
  ];
}

const flavours = ['linux-dt-arm64-6.12', 'linux-dt-arm64-7.2', 'linux-dt-riscv64-6.12', 'seabios-q35-linux-6.1'];
const folder = sharedFolder('groundtruth');
const files = folder
  ? flavours.flatMap((flavour) => readdirSync(join(folder, flavour)).map((file) => `${flavour}/${file}`))
  : [];

describe.skipIf(!folder)('kernel logs of recorded boots', () => {
  it.each(files)('%s: the log alone gives functions, BARs and windows as the registers had them', (file) => {
    const boot = JSON.parse(readFileSync(join(folder!, file), 'utf8')) as Recorded;
    if (!boot.booted) return;
    const capture = mergeCapture(readGuestText('log', boot.log.join('\n')));
    // These logs are without the lines that only repeat the final state: bus numbers are among them, and what tells that a
    // window that was open at 0 after power-on is closed.
    const [seen, held] = [capture.functions.flatMap(imported), recorded(boot)];
    const isNumbering = (line: string) => / to \d+-\d+$| (?:io|pref) 0x0-/.test(line);
    expect(seen.filter((line) => !isNumbering(line)).toSorted()).toEqual(
      held.filter((line) => !isNumbering(line)).toSorted(),
    );
    expect(held).toEqual(expect.arrayContaining(seen.filter((line) => line.includes(' to '))));
  });
});
