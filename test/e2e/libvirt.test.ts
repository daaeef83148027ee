import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { oneOfEverything } from '../support/export-source.js';
import { pinbar } from '../lab/pinbar.js';
import { scratchFolder } from '../lab/suite.js';

/**
 * Not run in CI, for which there is no libvirt (vitest.config.ts). On a machine with libvirt and QEMU for x86_64 and aarch64:
 * `PINBAR_LIBVIRT=qemu:///session npx vitest run --project e2e test/e2e/libvirt.test.ts`. Nothing is defined or started there.
 */
const uri = process.env['PINBAR_LIBVIRT'];

const rootPort = (id: string, slot: string, functions: string) =>
  `{ id: ${id}, slot: "${slot}", bridge: { kind: root-port, functions: [${functions}] } }`;
const passed = (id: string, slot: string, host: string) =>
  `{ id: ${id}, slot: "${slot}", hostAddress: "${host}", bars: [{ index: 0, type: mem32, size: 16KiB }] }`;

const q35 = `
pinbar: 1
machine: { arch: x86_64, board: q35, ram: 2GiB, physicalAddressBits: 40, properties: { maxmem: 4GiB, slots: 2 } }
hostBridges:
  - id: pcie.0
    buses: [0, 0x7f]
    windows: [{ type: io, base: 0x1000, size: 0x7000 }, { type: mem32, base: 0xc0000000, size: 0x20000000 }, { type: mem64, base: 0xc000000000, size: 64GiB }]
    functions:
      - { id: "0000:00:1f.2", slot: "1f.2", bars: [{ index: 4, type: io, size: 32 }, { index: 5, type: mem32, size: 4KiB }] }
      - ${rootPort('rp <1>', '1.0', `${passed('gpu.0', '0.0', '0000:65:00.0')}, ${passed('gpu/0', '0.1', '0000:65:00.1')}`)}
      - ${passed('nic', '2.0', '0000:17:00.0')}
      - ${rootPort('rp2', '3.0', `{ id: br, slot: "0.0", bridge: { kind: pcie-pci-bridge, functions: [${passed('old', '1.0', '0000:67:00.0')}] } }`)}
      - ${rootPort('rp3', '4.0', '{ id: test, slot: "0.0", qemuDevice: pci-testdev, bars: [{ index: 0, type: mem32, size: 4KiB }, { index: 1, type: io, size: 256 }] }')}
  - id: node1
    buses: [0x80, 0xff]
    windows: [{ type: io, base: 0x8000, size: 0x7000 }, { type: mem32, base: 0xe8000000, size: 0x10000000 }, { type: mem64, base: 0xd000000000, size: 64GiB }]
    functions:
      - ${rootPort('rp4', '0.0', passed('far', '0.0', '0000:85:00.0'))}
`;

interface Placed {
  readonly bus: string;
  readonly addr: string;
}

/** Where the QEMU command that libvirt makes of a domain has its devices. */
function native(xml: string, folder: string): Record<string, Placed> {
  // A machine of CI has no KVM; all else is as it was exported.
  const tcg = xml.replace('<domain type="kvm"', '<domain type="qemu"').replace('host-passthrough', 'maximum');
  const file = join(folder, 'domain.xml');
  writeFileSync(file, tcg);
  const { stdout, stderr } = spawnSync('virsh', ['-c', uri ?? '', 'domxml-to-native', 'qemu-argv', '--xml', file], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  const words = spawnSync('sh', ['-c', `printf '%s\\0' ${stdout}`], { encoding: 'utf8' }).stdout.split('\0');
  const devices = words.flatMap((word, i) => (words[i - 1] === '-device' ? [word] : []));
  return Object.fromEntries(
    devices.map((word): [string, Placed] => {
      const pairs = word.startsWith('{')
        ? (JSON.parse(word) as Record<string, string>)
        : Object.fromEntries(word.split(',').map((pair) => pair.split('=', 2) as [string, string]));
      const [device = '', fn = '0'] = (pairs['addr'] ?? '').split('.');
      return [pairs['id'] ?? word, { bus: pairs['bus'] ?? '', addr: `${Number(device)}.${Number(fn)}` }];
    }),
  );
}

describe('libvirt domains', () => {
  it('q35: libvirt has every device where the plan has it, and adds none', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'machine.yaml');
    writeFileSync(file, q35);
    const { output, end } = await pinbar(['export', 'libvirt', file]);
    expect(end).toBe(0);
    expect(native(output, folder)).toEqual({
      'ua-node1': { bus: 'pcie.0', addr: '30.0' },
      'ua-rp--1-': { bus: 'pcie.0', addr: '1.0' },
      'ua-gpu-0': { bus: 'ua-rp--1-', addr: '0.0' },
      'ua-gpu-0-2': { bus: 'ua-rp--1-', addr: '0.1' },
      'ua-nic': { bus: 'pcie.0', addr: '2.0' },
      'ua-rp2': { bus: 'pcie.0', addr: '3.0' },
      'ua-br': { bus: 'ua-rp2', addr: '0.0' },
      'ua-old': { bus: 'ua-br', addr: '1.0' },
      'ua-rp3': { bus: 'pcie.0', addr: '4.0' },
      'ua-test': { bus: 'ua-rp3', addr: '0.0' },
      'ua-rp4': { bus: 'ua-node1', addr: '0.0' },
      'ua-far': { bus: 'ua-rp4', addr: '0.0' },
    });
  });

  it('virt of aarch64: the same, with a switch and a bridge that libvirt does not take', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'machine.yaml');
    writeFileSync(file, oneOfEverything);
    const { output, end } = await pinbar(['export', 'libvirt', file]);
    expect(end).toBe(0);
    expect(native(output, folder)).toEqual({
      'ua-rp1': { bus: 'pcie.0', addr: '1.0' },
      'ua-up': { bus: 'ua-rp1', addr: '0.0' },
      'ua-down0': { bus: 'ua-up', addr: '0.0' },
      'ua-gpu0': { bus: 'ua-down0', addr: '0.0' },
      'ua-down1': { bus: 'ua-up', addr: '1.0' },
      'ua-nic0': { bus: 'ua-down1', addr: '0.0' },
      'ua-rp2': { bus: 'pcie.0', addr: '2.0' },
      'ua-net0': { bus: 'pcie.0', addr: '3.0' },
      'ua-net1': { bus: 'pcie.0', addr: '3.1' },
      'ua-pcibridge': { bus: 'pcie.0', addr: '4.0' },
      'ua-old': { bus: 'ua-pcibridge', addr: '1.0' },
      'ua-sound': { bus: 'ua-old', addr: '2.0' },
    });
  });
});
