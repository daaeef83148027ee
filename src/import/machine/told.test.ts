import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { eachFunction, type Machine } from '../../machine/model.js';
import { formatSlot } from '../../pci/bdf.js';
import { Problem } from '../../problem/problem.js';
import { loadCapture } from '../capture/load.js';
import { machineOfDomain } from './libvirt.js';
import { looksLikeDomain } from './looks-like-domain.js';
import { machineOfQemu } from './qemu.js';
import { looksLikeQemuCommand, qemuWords } from './shell-words.js';

const host = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');

/** Where everything is, with sizes and pins. */
function sketch({ hostBridges }: Machine): string[] {
  const depth = new Map<string, number>();
  return [...eachFunction(hostBridges[0]?.functions ?? [])].map(({ fn, parent }) => {
    const own = parent ? (depth.get(parent.id) ?? 0) + 1 : 0;
    depth.set(fn.id, own);
    const bars = fn.bars.map(
      ({ index, size, pin }) => `${index}:${size.toString(16)}${pin === undefined ? '' : `@${pin.toString(16)}`}`,
    );
    return [`${'  '.repeat(own)}${formatSlot(fn.slot)}`, fn.id, fn.bridge?.kind, ...bars].filter(Boolean).join(' ');
  });
}

const failure = (run: () => unknown): Problem => {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
};

describe('a QEMU command in a shell’s text', () => {
  it.each<[string, string[]]>([
    ['qemu-system-x86_64 -m 4G', ['qemu-system-x86_64', '-m', '4G']],
    ['$ sudo /usr/bin/qemu-system-aarch64 -M virt # a guest', ['/usr/bin/qemu-system-aarch64', '-M', 'virt']],
    ['# qemu-system-x86_64 -m 1G', ['qemu-system-x86_64', '-m', '1G']],
    ['#!/bin/sh\n# starts it\nset -e\nexec qemu-kvm \\\n  -m 1G \\\r\n -S &', ['qemu-kvm', '-m', '1G', '-S']],
    [
      'taskset -c 0-3 qemu-system-x86_64 -name "a \\"b\\" c" -append \'x=1  y\' 2>log',
      ['qemu-system-x86_64', '-name', 'a "b" c', '-append', 'x=1  y'],
    ],
    [
      '2024-05-02 10:00:00.1+0000: starting up libvirt version: 9.0\nLC_ALL=C \\\nHOME=/x \\\n/usr/bin/qemu-system-x86_64 \\\n-m 1G',
      ['/usr/bin/qemu-system-x86_64', '-m', '1G'],
    ],
  ])('%j', (text, words) => {
    expect(looksLikeQemuCommand(text)).toBe(true);
    expect(qemuWords(text)).toEqual(words);
  });

  it.each([
    '[    0.000000] Linux version 6.1.0\n[    1.0] qemu-system-x86_64 -m 1G',
    '00:00.0 Host bridge: Intel\nqemu-system-x86_64 -m 1G',
    'I started qemu-system-x86_64 -m 1G',
    'qemu-system-x86_64: -device x: no such device',
    '<domain type="kvm"/>',
    '',
  ])('%j is none', (text) => {
    expect(looksLikeQemuCommand(text)).toBe(false);
  });

  it('is read or refused, whatever the text', () => {
    const noise = fc.array(
      fc.constantFrom('qemu-kvm', '-m', '"', "'", '\\', '\n', ' ', '#', ';', 'a=b', '{', ',', '$(', '-device'),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(noise, (parts) => {
        const text = parts.join('');
        looksLikeQemuCommand(text);
        try {
          expect(qemuWords(text)[0]).toMatch(/qemu/);
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
        }
      }),
    );
  });
});

describe('the machine of a QEMU command', () => {
  it('has the board, its devices, and those passed through as the capture shows them', () => {
    const { machine, notes } = machineOfQemu(
      `qemu-system-aarch64 -M virt-10.0,highmem-mmio-size=1T,gic-version=3 -cpu host -m 8G,slots=2,maxmem=16G -nodefaults
       -device pcie-root-port,id=rp1,addr=1.0,pref64-reserve=1G
       -device vfio-pci,host=0009:03:00.0,id=gpu0,bus=rp1,fixed-bars=bar2@0x10000000000`.replaceAll('\n', ' '),
      host,
    );
    expect(machine).toMatchObject({ board: 'virt', qemu: [10, 0], ram: [{ size: 8n << 30n }] });
    expect(machine.properties).toEqual({ 'highmem-mmio-size': '1T', 'gic-version': '3', maxmem: '16GiB', slots: '2' });
    expect(sketch(machine)).toEqual([
      '00.0 0000:00:00.0',
      '01.0 rp1 root-port 0:1000',
      '  00.0 gpu0 0:1000000 2:4000000000@10000000000 4:2000000',
    ]);
    expect(machine.hostBridges[0]?.functions[1]?.bridge?.reserve.prefetchable).toBe(1n << 30n);
    expect(notes).toEqual([]);
  });

  it('has what QEMU adds by itself, and the slots it gives', () => {
    const pc = machineOfQemu(
      'qemu-system-x86_64 -M q35 -m 3G -drive file=x,if=virtio -device virtio-rng-pci -device edu,addr=0x10',
    );
    expect(sketch(pc.machine)).toEqual([
      '00.0 0000:00:00.0',
      '01.0 VGA-1 0:1000000 2:1000',
      '02.0 e1000e-1 0:20000 1:20000 2:20 3:4000',
      '03.0 virtio-blk-pci-1 0:80 1:1000 4:4000',
      '04.0 virtio-rng-pci-1 0:20 1:1000 4:4000',
      '10.0 edu-1 0:100000',
      '1f.0 0000:00:1f.0',
      '1f.2 0000:00:1f.2 4:20 5:1000',
      '1f.3 0000:00:1f.3 4:40',
    ]);
    expect(pc.machine.physicalAddressBits).toBe(40);
  });

  it.each([
    ['qemu-system-x86_64 -M microvm', 'qemu-board'],
    ['qemu-system-ppc64 -m 1G', 'qemu-board'],
    ['qemu-system-aarch64 -M virt -device pxb-pcie,id=p,bus_nr=8', 'qemu-host-bridge'],
    ['qemu-system-aarch64 -M virt -device edu,bus=nowhere', 'qemu-bus'],
    ['qemu-system-aarch64 -M virt -device edu,addr=zz', 'qemu-slot'],
    ['qemu-system-aarch64 -M virt -device pcie-root-port,id=a -device edu,bus=a -device edu,bus=a', 'qemu-slot'],
    ['true', 'qemu-command'],
  ])('%s is refused: %s', (command, code) => {
    expect(failure(() => machineOfQemu(command)).code).toBe(code);
  });

  it('says what it does not know', () => {
    const { notes } = machineOfQemu(
      'qemu-system-aarch64 -M virt -nodefaults -device vfio-pci,host=01:00.0,id=a -device some-pci,id=b',
    );
    expect(notes.join('\n')).toMatch(/what BARs a has is up to the host/);
    expect(notes.join('\n')).toMatch(/does not know what BARs these have: b \(some-pci\)/);
  });
});

const domain = `<?xml version="1.0"?>
<!-- made by hand -->
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <memory unit='GiB'>4</memory>
  <os><type arch='x86_64' machine='pc-q35-8.2'>hvm</type></os>
  <cpu mode='host-passthrough'><maxphysaddr mode='emulate' bits='46'/></cpu>
  <devices>
    <controller type='pci' index='0' model='pcie-root'><pcihole64 unit='GiB'>512</pcihole64></controller>
    <controller type='pci' index='1' model='pcie-root-port'><address type='pci' bus='0x00' slot='0x02' function='0x0' multifunction='on'/></controller>
    <controller type='pci' index='2' model='pcie-root-port'><address type='pci' bus='0x00' slot='0x02' function='0x1'/></controller>
    <controller type='pci' index='3' model='pcie-switch-upstream-port'><address type='pci' bus='0x02' slot='0' function='0'/></controller>
    <controller type='pci' index='4' model='pcie-switch-downstream-port'><address type='pci' bus='0x03' slot='1' function='0'/></controller>
    <controller type='sata' index='0'><address type='pci' bus='0x00' slot='0x1f' function='0x2'/></controller>
    <controller type='scsi' index='0' model='virtio-scsi'/>
    <interface type='network'><model type='virtio'/><address type='pci' bus='0x01' slot='0' function='0'/></interface>
    <hostdev mode='subsystem' type='pci'><source><address domain='0x0009' bus='0x03' slot='0x00' function='0x0'/></source>
      <alias name='hostdev0'/><address type='pci' bus='0x04' slot='0' function='0'/></hostdev>
    <memballoon model='none'/>
  </devices>
  <qemu:commandline><qemu:arg value='-device'/><qemu:arg value='edu,id=extra,addr=0x7'/></qemu:commandline>
</domain>`;

describe('the machine of a libvirt domain', () => {
  it('has its controllers, host devices and what it passes to QEMU', () => {
    expect(looksLikeDomain(domain)).toBe(true);
    const { machine, notes } = machineOfDomain(domain, 'd.xml', host);
    expect(machine).toMatchObject({ board: 'q35', qemu: [8, 2], physicalAddressBits: 46 });
    expect(sketch(machine)).toEqual([
      '00.0 0000:00:00.0',
      '01.0 added-port-1 root-port 0:1000',
      '  00.0 scsi0 1:1000 4:4000',
      '02.0 pci.1 root-port 0:1000',
      '  00.0 net0 1:1000 4:4000',
      '02.1 pci.2 root-port 0:1000',
      '  00.0 pci.3 upstream-port',
      '    01.0 pci.4 downstream-port',
      '      00.0 hostdev0 0:1000000 2:4000000000 4:2000000',
      '07.0 extra 0:100000',
      '1f.0 0000:00:1f.0',
      '1f.2 0000:00:1f.2 4:20 5:1000',
      '1f.3 0000:00:1f.3 4:40',
    ]);
    expect(notes[0]).toMatch(/without an address in the XML.*scsi0/);
    expect(notes[1]).toMatch(/pcihole64/);
  });

  it.each([
    ['<domain><a></domain>', 'xml-syntax'],
    ['<domain><os><type machine="s390-ccw-virtio"/></os></domain>', 'domain-board'],
    [domain.replace('pcie-switch-upstream-port', 'pcie-expander-bus'), 'domain-controller'],
    [domain.replace("bus='0x04'", "bus='0x09'"), 'domain-bus'],
    ['<x>'.repeat(300), 'xml-too-large'],
  ])('%#: %s', (text, code) => {
    expect(failure(() => machineOfDomain(text, 'd.xml')).code).toBe(code);
  });

  it('says where the XML is wrong', () => {
    expect(failure(() => machineOfDomain('<domain>\n  <a b=c/>\n</domain>', 'd.xml')).where).toMatchObject({ line: 2 });
  });

  it('is read or refused, whatever was done to the text', () => {
    fc.assert(
      fc.property(fc.nat(domain.length), fc.nat(60), fc.string({ maxLength: 8 }), (at, cut, put) => {
        try {
          machineOfDomain(domain.slice(0, at) + put + domain.slice(at + cut), 'd.xml', host);
        } catch (error) {
          if (!(error instanceof Problem) && (error as Error).name !== 'Problems') throw error;
        }
      }),
    );
  });
});
