import { describe, expect, it } from 'vitest';
import { sourceOf, twoRoots } from '../../../test/support/export-source.js';
import { exportQemu } from './qemu.js';

const exported = async (text: string, form: 'stock' | 'run' = 'stock') => exportQemu(await sourceOf(text), form);

/** A device in the place of the port on the second root bus. */
const endpointOnly = (text: string): string =>
  text.replace(/id: rp2[^]*$/, 'id: rp2\n        slot: "0.0"\n        qemuDevice: edu\n');

describe('root buses beside the board’s own', () => {
  it('are made by pxb-pcie, with ports on them', async () => {
    const { content, notes } = await exported(twoRoots());
    expect((content as string).split(' \\\n  ').filter((line) => line.startsWith('-device'))).toEqual([
      '-device pxb-pcie,id=node1,bus=pcie.0,addr=1e.0,bus_nr=128',
      '-device pcie-root-port,id=rp1,bus=pcie.0,addr=01.0,chassis=1,hotplug=off',
      '-device pci-testdev,membar=1G,id=dev0,bus=rp1,addr=00.0',
      '-device pcie-root-port,id=rp2,bus=node1,addr=00.0,chassis=2,hotplug=off',
      '-device pci-testdev,membar=16G,id=dev1,bus=rp2,addr=00.0\n',
    ]);
    expect(notes[0]).toBe('no option of QEMU says which windows node1 has: firmware takes them from the board’s');
  });

  it('keep off slots that are taken', async () => {
    const { content } = await exported(twoRoots().replace('slot: "1.0"', 'slot: "1e.0"'));
    expect(content).toContain('-device pxb-pcie,id=node1,bus=pcie.0,addr=1d.0,bus_nr=128');
  });

  it('lose their pins, which pinbar run does not keep', async () => {
    const { content, notes } = await exported(twoRoots(), 'run');
    expect((content as string).match(/--pin \S+/g)).toEqual(['--pin dev0=bar2@0xc040000000']);
    expect(notes).toContain('the pins of dev1 are left out: pinbar run does not place what lies behind pxb-pcie');
  });

  it.each([
    [
      'of another segment',
      twoRoots(undefined, 'segment: 1'),
      'node1 is of segment 0x0001, and all root buses of a QEMU machine are of one segment',
    ],
    [
      'on pc',
      twoRoots('{ arch: x86_64, board: pc, ram: 1GiB, physicalAddressBits: 40 }'),
      'node1 cannot be a root bus of its own: the pxb of QEMU’s pc has a bridge of its own',
    ],
    [
      'on riscv64',
      twoRoots('{ arch: riscv64, board: virt, ram: 1GiB }'),
      'node1 cannot be a root bus of its own: QEMU has no pxb-pcie on riscv64',
    ],
    [
      'above bus 0xfe',
      endpointOnly(twoRoots(undefined, 'buses: [0xff, 0xff]')),
      'node1 has root bus 0xff, and QEMU takes none above 0xfe',
    ],
    [
      'with a device that is no port',
      endpointOnly(twoRoots()),
      'QEMU takes nothing but ports and bridges on the root bus of a pxb-pcie, and rp2 is on that of node1',
    ],
  ])('are refused %s', async (_, text, message) => {
    await expect(exported(text)).rejects.toThrow(message);
  });
});
