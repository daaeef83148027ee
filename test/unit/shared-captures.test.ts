import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { captureFrom } from '../../src/import/capture/load.js';
import { mergeCapture } from '../../src/import/capture/merge.js';
import type { Capture } from '../../src/import/capture/model.js';
import { captureText } from '../../src/import/capture/save.js';
import { readGuestText } from '../../src/import/guest-text.js';
import { sharedFolder } from '../support/shared.js';

/** What a capture holds, in numbers. */
interface Counts {
  readonly functions: number;
  readonly bars: number;
  readonly roms: number;
  readonly windows: number;
  readonly bridges: number;
}

const countsOf = ({ functions }: Capture): Counts => ({
  functions: functions.length,
  bars: functions.reduce((sum, fn) => sum + fn.bars.length, 0),
  roms: functions.filter((fn) => fn.rom).length,
  windows: functions.reduce(
    (sum, fn) => sum + Object.values(fn.windows ?? {}).filter((window) => window !== null).length,
    0,
  ),
  bridges: functions.filter((fn) => fn.buses).length,
});

const count = (text: string, pattern: RegExp) => text.match(pattern)?.length ?? 0;

/** sysfs as text: a line `resource[n]` that is not all zeros is a resource. */
function countSysfs(text: string): Counts {
  const set = (numbers: string) =>
    count(text, new RegExp(`^resource\\[(?:${numbers})\\] (?!0x0{16} 0x0{16} 0x0{16})`, 'gm'));
  return {
    functions: count(text, /^== /gm),
    bars: set('[0-5]'),
    // Some kernels have no resource where the register of a device holds something.
    roms: text
      .split(/^== /m)
      .filter(
        (block) =>
          /^resource\[6\] (?!0x0{16} 0x0{16} 0x0{16})/m.test(block) ||
          (/^config 030: (?!00 00 00 00)/m.test(block) && !/^class 0x0604/m.test(block)),
      ).length,
    windows: set('13|14|15'),
    bridges: text
      .split(/^== /m)
      .filter((block) => /^config 010:(?: [0-9a-f]{2}){9} (?!00)/m.test(block) && /^class 0x0604/m.test(block)).length,
  };
}

/** lspci: words where there are any, else registers by hand. */
function countLspci(text: string): Counts {
  const blocks = text.split(/^(?=(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7] )/m).filter((block) => block.trim());
  const each = blocks.map((block): Counts => {
    const own = block.split('Single Root I/O')[0]!;
    if (/^\s+(?:Control|Flags):/m.test(block)) {
      return {
        functions: 1,
        bars: count(own, /^\s+Region \d: /gm),
        roms: count(own, /^\s+(?:\[virtual\] )?Expansion ROM at/gm),
        windows: count(own, /behind bridge: [0-9a-f]+-[0-9a-f]+(?!.*\[disabled\])/gm),
        bridges: count(own, /^\s+Bus: primary/gm),
      };
    }
    const bytes = [...block.matchAll(/^([0-9a-f]0):((?: [0-9a-f]{2}){16})$/gm)].flatMap(([, , row]) =>
      row!
        .trim()
        .split(' ')
        .map((two) => parseInt(two, 16)),
    );
    const u32 = (at: number) =>
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
    const bridge = (bytes[0x0e]! & 0x7f) === 1;
    let bars = 0;
    for (let at = 0x10; at < (bridge ? 0x18 : 0x28); at += 4) {
      if (u32(at) === 0) continue;
      bars++;
      if ((u32(at) & 7) === 4) at += 4;
    }
    const open = [
      (bytes[0x1c]! & 0xf0) <= (bytes[0x1d]! & 0xf0) && u32(0x1c) % 0x10000 !== 0,
      u32(0x20) % 0x10000 <= u32(0x20) >>> 16,
      (u32(0x24) & 0xfff0) + u32(0x28) * 0x10000 <= ((u32(0x24) >>> 16) & 0xfff0) + u32(0x2c) * 0x10000 &&
        u32(0x24) !== 0,
    ];
    return {
      functions: 1,
      bars,
      roms: u32(bridge ? 0x38 : 0x30) === 0 ? 0 : 1,
      windows: bridge ? open.filter(Boolean).length : 0,
      bridges: bridge && bytes[0x19] !== 0 ? 1 : 0,
    };
  });
  const sum = (key: keyof Counts) => each.reduce((total, one) => total + one[key], 0);
  return {
    functions: sum('functions'),
    bars: sum('bars'),
    roms: sum('roms'),
    windows: sum('windows'),
    bridges: sum('bridges'),
  };
}

const none = { bars: 0, roms: 0, windows: 0 };
const countKind: Readonly<Record<string, (text: string) => Counts>> = {
  'sysfs-flat': countSysfs,
  'lspci-xxxx': countLspci,
  'lspci-vvv': countLspci,
  'lspci-t': (text) => ({
    ...none,
    functions: count(text, /\b[01][0-9a-f]\.[0-7]/g),
    bridges: count(text, /\.[0-7]-\[/g),
  }),
  'hwloc-pci': (text) => ({
    ...none,
    functions: count(text, /^(?:bridge|device) /gm),
    bridges: count(text, /^bridge /gm),
  }),
  'iommu-groups': (text) => ({ ...none, functions: count(text, /^IOMMU Group/gm), bridges: 0 }),
};

const folder = sharedFolder('captures');
const names = folder ? readdirSync(folder).filter((name) => !name.includes('.')) : [];

describe.skipIf(!folder)('public captures', () => {
  it.each(names)('%s comes in whole, and out again', (name) => {
    const { files } = JSON.parse(readFileSync(join(folder!, name, 'meta.json'), 'utf8')) as {
      files: { file: string; kind: string }[];
    };
    const texts = files.map(({ file, kind }) => ({
      file,
      kind,
      text: readFileSync(join(folder!, name, file), 'utf8'),
    }));
    const capture = mergeCapture(texts.flatMap(({ file, text }) => readGuestText(file, text)));
    expect(countsOf(capture)).toEqual(countKind[texts[0]!.kind]!(texts[0]!.text));
    expect(captureFrom(JSON.parse(captureText(capture)))).toEqual(capture);
    expect(capture.conflicts).toEqual([]);
  });
});
