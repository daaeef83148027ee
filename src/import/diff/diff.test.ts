import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatBdf } from '../../pci/bdf.js';
import { place } from '../../place/place.js';
import { loadCapture } from '../capture/load.js';
import { mergeCapture } from '../capture/merge.js';
import { readGuestText } from '../guest-text.js';
import { parseDevices } from '../machine/chosen.js';
import { guestMachine } from '../machine/guest-machine.js';
import { diff, type Difference } from './diff.js';
import { snapshotOfCapture, snapshotOfPlan } from './snapshot.js';

const host = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
const planned = (mirror: boolean, devices = '0009:03:00.0,0009:04:00.0') => {
  const plan = place(guestMachine(host, { devices: parseDevices(devices), mirror }).machine);
  if (plan.status !== 'placed') throw new Error(plan.status);
  return snapshotOfPlan(plan);
};
const ofText = (text: string) => snapshotOfCapture(mergeCapture(readGuestText('lspci.txt', text)));
const brief = ({ functions }: Difference) =>
  functions.map(({ a, b, how, resources }) =>
    [formatBdf(a.address), formatBdf(b.address), how, ...resources.map(({ name, change }) => `${name}:${change}`)].join(
      ' ',
    ),
  );

const boot = `01:00.0 VGA compatible controller [0300]: NVIDIA Corporation Device [10de:2204]
	Region 0: Memory at f6000000 (32-bit, non-prefetchable) [size=16M]
	Region 1: Memory at 4000000000 (64-bit, prefetchable) [size=32G]
	IOMMU group: 1
02:00.0 Ethernet controller [0200]: Intel Corporation Device [8086:1521]
	Region 0: Memory at 10000000 (32-bit, non-prefetchable) [size=512K]
	IOMMU group: 2
03:00.0 Ethernet controller [0200]: Intel Corporation Device [8086:1521]
	Region 0: Memory at 10080000 (32-bit, non-prefetchable) [size=512K]
`;

describe('two moments of one machine', () => {
  it('are the same where nothing moved', () => {
    const result = diff(ofText(boot), ofText(boot));
    expect(result.verdict).toBe('same');
    expect(result.groups.map(({ group, verdict }) => `${group} ${verdict}`)).toEqual(['1 holds', '2 holds']);
  });

  it('show what moved, lost its address, changed its size, went away and came', () => {
    const later = boot
      .replace('4000000000', '5000000000')
      .replace('Memory at f6000000', 'Memory at <unassigned>')
      .replace('at 10000000 (32-bit, non-prefetchable) [size=512K]', 'at 10000000 (32-bit, non-prefetchable) [size=1M]')
      .replace('03:00.0', '09:00.0')
      .replace(/$/, '0a:00.0 Audio device [0403]: NVIDIA Corporation Device [10de:1aef]\n');
    const result = diff(ofText(boot), ofText(later));
    expect(brief(result)).toEqual([
      '0000:01:00.0 0000:01:00.0 address 0:lost 1:moved',
      '0000:02:00.0 0000:02:00.0 address 0:resized',
      // The same device behind another bus number.
      '0000:03:00.0 0000:09:00.0 kind 0:same',
    ]);
    expect(result.appeared.map(({ address }) => formatBdf(address))).toEqual(['0000:0a:00.0']);
    expect(result.verdict).toBe('differs');
    expect(result.groups.map(({ group, verdict }) => `${group} ${verdict}`)).toEqual(['1 differs', '2 differs']);
  });

  it('does not take another device at the same address for the same one', () => {
    const other = boot.replace('10de:2204', '1002:67df');
    const result = diff(ofText(boot), ofText(other));
    expect(result.vanished.map(({ address }) => formatBdf(address))).toEqual(['0000:01:00.0']);
    expect(result.appeared).toHaveLength(1);
  });
});

describe('a host and a guest', () => {
  it('have the same addresses where the guest mirrors the host', () => {
    const result = diff(snapshotOfCapture(host), planned(true));
    expect(result.verdict).toBe('same');
    expect(result.groups.map(({ group, verdict }) => `${group} ${verdict}`)).toEqual(['15 holds', '16 holds']);
  });

  it('have others where it does not', () => {
    const result = diff(snapshotOfCapture(host), planned(false));
    expect(result.verdict).toBe('differs');
    expect(result.groups.map(({ verdict }) => verdict)).toEqual(['differs', 'differs']);
  });

  it('are matched by kind where the guest shows its own bus numbers', () => {
    const guest = ofText(`00:02.0 3D controller [0302]: NVIDIA Corporation Device [10de:2342]
	Region 2: Memory at 6b8000000000 (64-bit, prefetchable) [size=256G]
`);
    const withoutSubsystems = host.functions.map((fn) => ({ ...fn, subsystem: { vendor: 0, device: 0 } }));
    const result = diff(snapshotOfCapture({ ...host, functions: withoutSubsystems }), guest);
    expect(brief(result)[0]).toMatch(/^0009:03:00\.0 0000:00:02\.0 kind 0:vanished 2:same/);
    // What the guest does not show is not known to be the same.
    expect(result.groups.map(({ group, verdict }) => `${group} ${verdict}`)).toEqual(['15 differs']);
  });

  it('have nothing in common where they have not', () => {
    expect(
      diff(planned(true), ofText('00:1f.0 ISA bridge [0601]: Intel Corporation Device [8086:2918]\n')).verdict,
    ).toBe('nothing-comparable');
  });
});
