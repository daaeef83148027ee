import { describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { withDevices } from '../devices.js';
import { exportQemu, type QemuForm } from './qemu.js';

const exported = async (text: string, form: QemuForm = 'stock') => exportQemu(await sourceOf(text), form);

describe('QEMU commands', () => {
  it.each(['stock', 'run', 'rfc', 'pci-bars'] as const)('one of everything, %s', async (form) => {
    const { content, notes } = await exported(oneOfEverything, form);
    expect(`${content as string}\n${notes.join('\n')}`).toMatchSnapshot();
  });

  it('names every function of which nobody says what it is', async () => {
    const text = oneOfEverything.replace('qemuDevice: AC97, ', '').replace('hostAddress: "0009:06:00.0"', '');
    await expect(exported(text)).rejects.toThrow('the machine does not say what gpu0, sound are');
    const { machine, ...rest } = await sourceOf(text);
    const said = withDevices(machine!, ['gpu0=0009:07:00.0'], ['sound=AC97,audiodev=a']);
    const { content } = exportQemu({ ...rest, machine: said }, 'stock');
    expect(content).toContain('-device vfio-pci,host=0009:07:00.0,id=gpu0,');
    expect(content).toContain('-device AC97,audiodev=a,id=sound,');
  });

  it('refuses what QEMU would refuse', async () => {
    await expect(exported(oneOfEverything.replace('id: gpu0', 'id: 0-gpu'))).rejects.toThrow(
      'QEMU does not take the id 0-gpu',
    );
    const none = oneOfEverything
      .replace('board: virt, ram: 4GiB', 'board: none, ram: [{ base: 0x40000000, size: 1GiB }]')
      .replace(', properties: { highmem-mmio-size: 64TiB }', '')
      .replace(
        '- id: pcie.0',
        '- id: pcie.0\n    windows: [{ type: io, base: 0, size: 64KiB }, { type: mem32, base: 0x10000000, size: 512MiB }, { type: mem64, base: 0x400000000000, size: 64TiB }]',
      );
    await expect(exported(none)).rejects.toThrow('board: none');
    const { plan, options } = await sourceOf(oneOfEverything);
    expect(() => exportQemu({ plan, options }, 'stock')).toThrow('a plan alone does not say board, ports and devices');
  });

  it('says where QEMU would have another map', async () => {
    const text = (ram: string, window: string) => `
pinbar: 1
machine: { arch: aarch64, board: virt, ram: ${ram} }
hostBridges: [{ id: pcie.0, windows: [{ type: io, base: 0, size: 64KiB, cpuBase: 0x3eff0000 }, { type: mem32, base: 0x10000000, size: 0x2eff0000 }, ${window}] }]
`;
    const own = '{ type: mem64, base: 0x8000000000, size: 512GiB }';
    expect((await exported(text('1GiB', own))).notes).toEqual([]);
    // The window of 64 TiB is where highmem-mmio-size puts it.
    const large = await exported(text('1GiB', '{ type: mem64, base: 0x400000000000, size: 64TiB }'));
    expect(large.content).toContain('-machine virt,highmem-mmio-size=64T \\\n');
    expect(large.notes).toEqual([]);
    const odd = await exported(text('1GiB', '{ type: mem64, base: 0x500000000000, size: 16TiB }'));
    expect(odd.notes).toEqual([
      'the windows of pcie.0 are not those that QEMU gives this board; pinbar boards shows them',
    ]);
    const split = await exported(text('[{ base: 0x40000000, size: 1GiB }, { base: 0x8000000000, size: 1GiB }]', own));
    expect(split.content).toContain('-m 2G \\\n');
    expect(split.notes).toEqual([
      'RAM lies at 0x40000000-0x7fffffff, 0x8000000000-0x803fffffff in the plan, which QEMU does not do by itself: pinbar run --split-ram 1GiB+1GiB@0x8000000000 does',
    ]);
    const ram = '[{ base: 0x40000000, size: 1GiB }, { base: 0x8000000000, size: 1GiB }]';
    const run = await exported(text(ram, own), 'run');
    expect(run.content).toMatch(/^pinbar run \\\n +--split-ram 1GiB\+1GiB@0x8000000000 /);
    expect(run.notes).toEqual([]);
    const elsewhere = await exported(text(ram.replace('0x8000000000', '0x100000000'), own), 'run');
    expect(elsewhere.content).not.toContain('split-ram');
    expect(elsewhere.notes).toEqual([
      'RAM lies at 0x40000000-0x7fffffff, 0x100000000-0x13fffffff in the plan, and QEMU puts it at 0x40000000-0xbfffffff',
    ]);
  });

  it('refuses a plan of another machine', async () => {
    const { plan, options } = await sourceOf(oneOfEverything);
    const other = await sourceOf(oneOfEverything.replace('id: net1', 'id: net2'));
    expect(() => exportQemu({ plan, machine: other.machine!, options }, 'stock')).toThrow(
      'the plan has net1, and the machine has not',
    );
    const moved = await sourceOf(oneOfEverything.replace('slot: "2.0"\n', 'slot: "5.0"\n'));
    expect(() => exportQemu({ plan, machine: moved.machine!, options }, 'stock')).toThrow(
      'rp2 is at 0000:00:02.0 in the plan',
    );
    const larger = await sourceOf(oneOfEverything.replace('size: 16KiB', 'size: 32KiB'));
    expect(() => exportQemu({ plan, machine: larger.machine!, options }, 'stock')).toThrow('net0 has other BARs');
  });
});
