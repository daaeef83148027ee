import { describe, expect, it } from 'vitest';
import { machineFrom } from '../machine/load.js';
import { place } from './place.js';

/* That QEMU has these windows is for test/e2e/remedies.test.ts to see. */

type Json = Readonly<Record<string, unknown>>;

function remediesOf(machine: Json, fn: Json, host: Json = {}): string[] {
  const hostBridges = [
    { id: machine['board'] === 'pc' ? 'pci.0' : 'pcie.0', functions: [{ slot: '1.0', ...fn }], ...host },
  ];
  const result = place(machineFrom({ pinbar: 1, machine, hostBridges }, 'test'));
  if (result.status !== 'infeasible') throw new Error(result.status);
  return result.remedies.map(({ change }) => change);
}

const gpu = (size: string, pin?: string): Json => ({
  id: 'gpu',
  bars: [{ index: 0, type: 'mem64', prefetchable: true, size, ...(pin === undefined ? {} : { pin }) }],
});
const fpga: Json = { id: 'fpga', bars: [{ index: 0, type: 'mem32', size: '1GiB' }] };
const virt = (more: Json = {}): Json => ({ arch: 'aarch64', board: 'virt', ram: '1GiB', ...more });
const pc = (board: string, more: Json = {}): Json => ({ arch: 'x86_64', board, ram: '4GiB', ...more });

describe('what a board can do', () => {
  it('virt: a larger 64-bit window, with the address bits that it takes', () => {
    expect(remediesOf(virt({ physicalAddressBits: 44 }), gpu('256GiB', '0x6b8000000000'))[0]).toBe(
      'set the machine property highmem-mmio-size=64T (QEMU 10.0 or later), and use a CPU with 47 physical address bits instead of 44: the 64-bit window is then 0x400000000000-0x7fffffffffff',
    );
    expect(remediesOf(virt({ physicalAddressBits: 44 }), gpu('1TiB'))[0]).toBe(
      'set the machine property highmem-mmio-size=1T (QEMU 10.0 or later): the 64-bit window is then 0x10000000000-0x1ffffffffff',
    );
  });

  it('virt: where address bits are all that lacks, no larger window is named', () => {
    const [first, ...rest] = remediesOf(virt({ physicalAddressBits: 39 }), gpu('4GiB'));
    expect(first).toBe('use a CPU with 40 physical address bits instead of 39');
    expect(rest.join()).not.toContain('highmem');
  });

  it('q35 and pc: the 64-bit window ends where the address bits do', () => {
    expect(remediesOf(pc('q35', { physicalAddressBits: 40 }), gpu('1TiB'))[0]).toBe(
      'use a CPU with 41 physical address bits instead of 40 (-cpu MODEL,phys-bits=41): the 64-bit window then ends at 0x1ffffffffff',
    );
    expect(remediesOf(pc('pc', { physicalAddressBits: 40 }), gpu('1GiB', '0x20000000000'))[0]).toContain(
      'phys-bits=42',
    );
  });

  it('q35 and pc: the 32-bit window begins where RAM ends', () => {
    expect(remediesOf(pc('pc'), fpga)[0]).toBe(
      'set the machine property max-ram-below-4g=2G: the 32-bit window then begins at 0x80000000',
    );
    expect(remediesOf(pc('q35', { ram: '2560MiB' }), fpga)[0]).toBe(
      'set the machine property max-ram-below-4g=1G: the 32-bit window then begins at 0x40000000',
    );
  });

  it('q35 with windows of its own: what OVMF makes of its option', () => {
    const windows = [{ type: 'mem64', base: '0x800000000', size: '32GiB' }];
    expect(remediesOf(pc('q35', { physicalAddressBits: 40 }), gpu('64GiB'), { windows })).toContain(
      'with OVMF, start QEMU with -fw_cfg name=opt/ovmf/X-PciMmio64Mb,string=262144: the 64-bit window is then 0x4000000000-0x7fffffffff',
    );
    // Nobody knows how many bits there are; or a quarter of them is more than OVMF takes.
    for (const more of [{}, { physicalAddressBits: 47 }])
      expect(remediesOf(pc('q35', more), gpu('64GiB'), { windows }).join()).not.toContain('OVMF');
  });

  it('no CPU with more address bits than there are', () => {
    const all = remediesOf(pc('q35', { physicalAddressBits: 40 }), gpu('1GiB', '0x20000000000000'));
    expect(all.filter((change) => change.includes('bits'))).toEqual([]);
  });

  it('no more buses than the board’s ECAM has', () => {
    const functions = Array.from({ length: 20 }, (_, i) => ({
      id: `rp${i}`,
      slot: `${(1 + (i >> 3)).toString(16)}.${i & 7}`,
      bridge: { kind: 'root-port', functions: [] },
    }));
    const all = remediesOf(virt({ properties: { 'highmem-ecam': 'off' } }), {}, { functions });
    expect(all).toEqual(['leave the machine property highmem-ecam on, which is its default']);
  });
});
