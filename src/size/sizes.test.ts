import { describe, expect, it } from 'vitest';
import { parseGuests, predict } from '../guests/predict.js';
import { Problem } from '../problem/problem.js';
import { machineWith } from './machine.js';
import { devicesOfBars, windowNeed } from './need.js';
import { sizesFor } from './sizes.js';

const GiB = 1n << 30n;
const sizes = (...bars: string[]) => sizesFor({ devices: devicesOfBars(bars), ram: 4n * GiB });
const values = (...bars: string[]) =>
  Object.fromEntries(sizes(...bars).answers.map(({ option, where, value }) => [`${option} (${where})`, value]));

describe('devices described by their BARs', () => {
  it('have a BAR of each kind that is said of them', () => {
    const devices = devicesOfBars(['512GiB*2', '64MiB*1:32', '4K:64n', '256*2:io']);
    expect(
      devices.map(({ id, bars }) => [
        id,
        ...bars.map(({ type, prefetchable, size }) => `${type} ${prefetchable} ${size}`),
      ]),
    ).toEqual([
      ['dev0', 'mem64 true 549755813888', 'mem32 false 67108864', 'mem64 false 4096', 'io false 256'],
      ['dev1', 'mem64 true 549755813888', 'io false 256'],
    ]);
    expect(devices.map((one) => windowNeed(one, 'memory'))).toEqual([
      { sizes: [64n << 20n, 4096n], size: (64n << 20n) + 4096n, align: 64n << 20n },
      { sizes: [], size: 0n, align: 0n },
    ]);
  });

  it.each(['', '3MiB', '8GiB:32', '1G*0', '1G*999', '1G:65', '1K:io', 'x*2', '1G*2*2'])('%j is refused', (text) => {
    expect(() => devicesOfBars([text])).toThrow(Problem);
  });
});

describe('what stacks have to be told', () => {
  it('leaves defaults alone where they do', () => {
    const found = Object.entries(values('16MiB', '64KiB:32')).filter(
      ([option]) => !/phys|address bits|pref64|hpmmiopref|GB/.test(option),
    );
    expect(found.map(([, value]) => value)).toEqual(found.map(() => null));
  });

  it('says the numbers of eight devices with 512 GiB and 64 MiB each', () => {
    expect(values('512GiB*8', '64MiB*8:32')).toMatchSnapshot();
  });

  it('gives the smallest highmem-mmio-size that the guests take, by their models', () => {
    for (const bars of [['256GiB*3'], ['1TiB*2', '512GiB*1'], ['128GiB*5']]) {
      const devices = devicesOfBars(bars);
      const answer = sizes(...bars).answers.find(({ option }) => option === 'highmem-mmio-size');
      const left = (size: string) =>
        predict(
          machineWith(devices, { arch: 'aarch64', ram: 4n * GiB, properties: { 'highmem-mmio-size': size } }),
          parseGuests('linux-6.12'),
        ).unplaced.length;
      expect(left(answer?.value ?? '512G')).toBe(0);
      if (answer?.smaller && answer.smaller.value !== '256G') expect(left(answer.smaller.value)).toBeGreaterThan(0);
    }
  });

  it('says what no option changes', () => {
    expect(sizes('512MiB*8:32').notes.join('\n')).toMatch(/virt \(aarch64\).*4 GiB in all, do not fit.*\n.*q35/);
    const { notes } = sizesFor({ devices: devicesOfBars(['512GiB*8']), ram: 4n * GiB, hostBits: 46, iommuBits: 39 });
    expect(notes.join('\n')).toMatch(/the host's IOMMU translates 39/);
    expect(notes.join('\n')).not.toMatch(/the host's CPU/);
  });
});
