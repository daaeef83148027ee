import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadCapture } from '../import/capture/load.js';
import { formatBdf } from '../pci/bdf.js';
import { decodeCapabilities } from '../pci/capabilities/chain.js';
import { capability } from '../pci/capabilities/index.js';
import { parseAddition, withAdditions } from './additions.js';
import { TwinDevice } from './device.js';
import { twinFunction } from './function.js';
import { PageBudget } from './region.js';

const capture = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
const GPU = '0009:03:00.0';

function added(...texts: string[]) {
  const fn = capture.functions.find(({ address }) => formatBdf(address) === GPU)!;
  const addresses = new Map(fn.bars.map(({ index, busAddress }) => [index!, busAddress!]));
  return withAdditions(
    twinFunction(fn, () => undefined),
    texts.map(parseAddition),
    addresses,
  );
}

describe('capabilities that are added to a twin', () => {
  it('Enhanced Allocation fixes each BAR at its host address, and what was there stays', () => {
    const { config } = added(`${GPU}=ea`);
    const { capabilities, issues } = decodeCapabilities(config);
    expect(issues).toEqual([]);
    expect(capabilities.map(({ kind }) => kind)).toEqual([
      'enhancedAllocation',
      'express',
      'msix',
      'advancedErrorReporting',
    ]);
    expect(
      capability(capabilities, 'enhancedAllocation')!.data.entries.map((entry) => ({
        ...{ of: entry.equivalent, is: entry.primary, enabled: entry.enabled },
        ...{ base: entry.base.toString(16), size: entry.size.toString(16) },
      })),
    ).toEqual([
      { of: 'bar0', is: 'memory-prefetchable', enabled: true, base: '6c8002000000', size: '1000000' },
      { of: 'bar2', is: 'memory-prefetchable', enabled: true, base: '6b8000000000', size: '4000000000' },
      { of: 'bar4', is: 'memory-prefetchable', enabled: true, base: '6c8000000000', size: '2000000' },
    ]);
  });

  it('a resizable BAR takes a size that it has, and no other', () => {
    const fn = added(`${GPU}=resizable:bar2:64MiB`, `${GPU}=sriov:16:2MiB`);
    const list = decodeCapabilities(fn.config).capabilities;
    const resizable = capability(list, 'resizableBar')!;
    expect(resizable.data.bars).toEqual([
      { index: 2, sizes: Array.from({ length: 13 }, (_, n) => 1n << BigInt(26 + n)), size: 1n << 38n },
    ]);
    expect(capability(list, 'singleRootIov')!.data).toMatchObject({ totalVfs: 16, firstVfOffset: 1, vfStride: 1 });

    const device = new TwinDevice(fn, () => undefined, new PageBudget(0));
    const write = (register: number, value: number) => {
      const data = Buffer.alloc(4);
      data.writeUInt32LE(value);
      device.write(7, BigInt(register), data);
    };
    const read = (register: number) => {
      const data = Buffer.alloc(4);
      device.read(7, BigInt(register), data);
      return data.readUInt32LE();
    };
    const sized = () => {
      for (const register of [0x18, 0x1c]) write(register, 0xffff_ffff);
      return [read(0x18), read(0x1c)];
    };
    expect(sized()).toEqual([0x0000_000c, 0xffff_ffc0]);
    write(resizable.at + 8, 6 << 8);
    expect(read(resizable.at + 8)).toBe(2 + (1 << 5) + (6 << 8));
    expect(sized()).toEqual([0xfc00_000c, 0xffff_ffff]);
    write(resizable.at + 8, 5 << 8);
    expect(sized()).toEqual([0xfc00_000c, 0xffff_ffff]);
    device.reset();
    expect(sized()).toEqual([0x0000_000c, 0xffff_ffc0]);
  });

  it.each([
    [`${GPU}=ea`, `${GPU}=ea`, 'already'],
    [`${GPU}=sriov:1:4KiB`, `${GPU}=sriov:1:4KiB`, 'already'],
    [`${GPU}=resizable:bar1:64MiB`, undefined, 'no BAR 1'],
    [`${GPU}=resizable:bar0:32MiB`, undefined, 'no BAR 0 of at least'],
    [`${GPU}=resizable:bar0:3MiB`, undefined, 'power of two'],
    [`${GPU}=sriov:0:4KiB`, undefined, 'does not say'],
    [`${GPU}=sriov:70000:4KiB`, undefined, 'does not say'],
    [`${GPU}=more`, undefined, 'does not say'],
  ])('%s %s is refused', (first, second, why) => {
    expect(() => added(first, ...(second === undefined ? [] : [second]))).toThrow(why);
  });
});
