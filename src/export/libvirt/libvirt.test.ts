import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf, twoRoots } from '../../../test/support/export-source.js';
import { exportLibvirt } from './libvirt.js';

/** Debian's libvirt0 has it. */
const SCHEMA = '/usr/share/libvirt/schemas/domain.rng';
const hasSchema = existsSync(SCHEMA) && spawnSync('xmllint', ['--version']).status === 0;
if (!hasSchema && process.env['CI'] === 'true')
  throw new Error(`xmllint (libxml2-utils) or ${SCHEMA} (libvirt0) is missing`);

const q35 = `
pinbar: 1
machine: { arch: x86_64, board: q35, ram: 8GiB, physicalAddressBits: 46, properties: { maxmem: 16GiB, slots: 2 } }
hostBridges:
  - id: pcie.0
    functions:
      - { id: "0000:00:1f.2", slot: "1f.2", bars: [{ index: 4, type: io, size: 32 }, { index: 5, type: mem32, size: 4KiB }] }
      - id: 'rp <1>'
        slot: "1.0"
        bridge:
          kind: root-port
          functions:
            - { id: gpu.0, slot: "0.0", hostAddress: "0000:65:00.0", bars: [{ index: 0, type: mem64, prefetchable: true, size: 128GiB, pin: 0x380000000000 }] }
            - { id: gpu/0, slot: "0.1", hostAddress: "65:00.1", bars: [{ index: 0, type: mem32, size: 16KiB }] }
      - { id: nic, slot: "2.0", hostAddress: "0000:17:00.0", bars: [{ index: 0, type: mem64, prefetchable: true, size: 32MiB, pin: 0x382000000000 }] }
`;
const virt = oneOfEverything.replace('64TiB }', '64TiB, gic-version: "3", iommu: smmuv3 }');

describe('libvirt domains', () => {
  it.each([
    ['one of everything', virt],
    ['q35', q35],
    ['two root buses', twoRoots()],
  ])('%s', async (_, text) => {
    const { content, notes } = exportLibvirt(await sourceOf(text));
    expect(`${content as string}\n${notes.join('\n')}`).toMatchSnapshot();
  });

  it('put on QEMU’s command line a bridge that libvirt does not take there, and nothing of the host behind it', async () => {
    const { content } = exportLibvirt(await sourceOf(virt));
    expect(content).toContain('value="pcie-pci-bridge,id=ua-pcibridge,bus=pcie.0,addr=0x4.0"');
    expect(content).not.toContain('model="pcie-to-pci-bridge"');
    const passed = virt.replace('qemuDevice: AC97', 'hostAddress: "0000:04:00.0"');
    expect(passed).not.toBe(virt);
    const wanted = 'libvirt cannot put sound behind old, because it takes no such bridge on that bus';
    await expect(sourceOf(passed).then((source) => exportLibvirt(source))).rejects.toThrow(wanted);
  });

  it('have a 64-bit hole as large as the plan needs', async () => {
    const hole = /<pcihole64 unit="KiB">(\d+)</.exec(exportLibvirt(await sourceOf(q35)).content as string)?.[1];
    // From 0x380000000000 to 0x382002000000, in whole GiB.
    expect(BigInt(hole ?? 0) * 1024n).toBe(129n << 30n);
  });
});

describe.skipIf(!hasSchema)(hasSchema ? 'libvirt’s schema' : 'libvirt’s schema (skipped: no xmllint or schema)', () => {
  const validate = (input: string) =>
    spawnSync('xmllint', ['--noout', '--relaxng', SCHEMA, '-'], { input, encoding: 'utf8' });

  it.each([
    ['one of everything', virt],
    ['q35', q35],
    ['two root buses', twoRoots()],
  ])('takes %s', async (_, text) => {
    const { status, stderr } = validate(exportLibvirt(await sourceOf(text)).content as string);
    expect(stderr).toBe('- validates\n');
    expect(status).toBe(0);
  });

  it('refuses what is wrong', async () => {
    const content = exportLibvirt(await sourceOf(q35)).content as string;
    expect(validate(content.replace('model="pcie-root-port"', 'model="pcie-port"')).status).not.toBe(0);
  });
});
