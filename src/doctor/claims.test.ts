import { describe, expect, it } from 'vitest';
import { diagnose } from './diagnose.js';
import type { Diagnosis } from './finding.js';
import { EvidenceReader, gather } from './read.js';

const diagnosisOf = (text: string): Diagnosis => {
  const reader = new EvidenceReader('input.txt');
  reader.pushBytes(new TextEncoder().encode(text));
  return diagnose(gather([reader.finish()]));
};
const first = (text: string) => diagnosisOf(text).findings[0];
const changes = (text: string) =>
  diagnosisOf(text)
    .findings.flatMap(({ remedies }) => remedies.map(({ change, why }) => `${change}; ${why}`))
    .join('\n');

const guest = '[    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS edk2-stable202505 05/01/2025\n';
const seabios = '[    0.000000] DMI: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2-debian-1.16.2-1 04/01/2014\n';

describe('sizes in remedies', () => {
  it('are those of the message, where only a driver says that a resize failed', () => {
    const text = `${guest}[    3.1] xe 0000:01:00.0: [drm] Failed to resize BAR2 to 16384M (-ENOSPC).\n`;
    expect(first(text)?.cause).toBe('resizable-bar-no-room');
    expect(changes(text)).toContain('pref64-reserve=32G');
  });

  it('are left open where no line has one', () => {
    const text = `${guest}[    3.1] amdgpu 0000:01:00.0: amdgpu: Problem resizing BAR0 (-28).\n`;
    expect(first(text)?.cause).toBe('resizable-bar-no-room');
    expect(changes(text)).toContain('pref64-reserve=SIZE');
    expect(changes(text)).not.toMatch(/=0x|=0\b|=1\b/);
  });
});

const boot = (dmi: string) => `${dmi}[    0.3] pci_bus 0000:00: root bus resource [mem 0xc0000000-0xfebfffff window]
[    0.3] pci_bus 0000:00: root bus resource [mem 0x800000000-0xfffffffff window]
[    0.4] pci 0000:00:03.0: BAR 2 [mem size 0x1000000000 64bit pref]: can't assign; no space
[    0.4] pci 0000:00:03.0: BAR 2 [mem size 0x1000000000 64bit pref]: failed to assign
`;

describe('the firmware that the log names', () => {
  it('gets the remedy: nothing of OVMF where it is SeaBIOS', () => {
    expect(changes(boot(seabios))).toContain('pci-hole64-size=');
    expect(changes(boot(seabios))).not.toMatch(/ovmf/i);
    expect(changes(boot(guest))).toContain('X-PciMmio64Mb=131072'.replace('=', ',string='));
  });

  it('is told a value above what it has by itself', () => {
    const small = boot(guest).replaceAll('0x1000000000', '0x40000000');
    const value = /X-PciMmio64Mb,string=(\d+)/.exec(changes(small))?.[1];
    expect(value === undefined || Number(value) > 32 * 1024).toBe(true);
  });
});

describe('what is not a failure', () => {
  it('a limit of locked memory that is set', () => {
    expect(diagnosisOf('[    1.0] foo: locked memory limit of 64M set\n').findings).toEqual([]);
    expect(first('mlock failed: Cannot allocate memory\n')?.cause).toBe('memlock-limit');
  });
});

describe('I/O ports without room', () => {
  const line = '[    1.0] pci 0000:00:02.0: BAR 13: no space for [io  size 0x1000]\n';
  it('say nothing of memory BARs that are not shown', () => {
    expect(first(line)).toMatchObject({ cause: 'benign-noise', confidence: 'likely' });
    expect(first(line)?.summary).not.toContain('has its place');
    expect(diagnosisOf(line).missing).not.toEqual([]);
  });
  it('are certain to do no harm where the enumeration is shown', () => {
    const whole = `[    0.9] pci 0000:00:02.0: [1b36:000c] type 01 class 0x060400 PCIe Root Port\n${line}`;
    expect(first(whole)).toMatchObject({ cause: 'benign-noise', confidence: 'certain' });
  });
});

const listing = (control: string, disabled: string) => `00:02.0 PCI bridge: Acme Root Port (prog-if 00 [Normal decode])
	Control: I/O+ Mem+ BusMaster+
	Bus: primary=00, secondary=01, subordinate=01, sec-latency=0
	Memory behind bridge: d0000000-d00fffff [size=1M] [32-bit]
	Prefetchable memory behind bridge: [disabled] [64-bit]

01:00.0 Ethernet controller: Acme Device 0001
	Control: I/O- ${control} BusMaster-
	Region 0: Memory at d1000000 (32-bit, non-prefetchable)${disabled} [size=64K]
	Kernel driver in use: vfio-pci
`;

describe('a BAR outside the windows above it', () => {
  it.each([
    ['Mem+', '', 'certain'],
    ['Mem-', ' [disabled]', 'likely'],
  ])('%s%s', (control, disabled, confidence) => {
    const text = listing(control, disabled);
    expect(first(text)).toMatchObject({ cause: 'bridge-window-not-covering', confidence });
    for (const { summary, proof } of diagnosisOf(text).findings) expect(summary + proof).not.toMatch(/is right/);
  });
});

describe('remedies fit what failed', () => {
  it.each([
    'PCI: no slot/function available for foo, all in use or reserved',
    'PCI: slot 1 function 0 not available for foo, in use by bar',
  ])('qemu-system-x86_64: %s', (line) => {
    expect(changes(`qemu-system-x86_64: -device foo: ${line}\n`)).toMatch(/addr=.*pcie-root-port/);
    expect(changes(`qemu-system-x86_64: -device foo: ${line}\n`)).not.toMatch(/cabling/);
  });

  it('bus numbers for VFs, not for bridges', () => {
    const text = `${guest}[    9.1] mlx5_core 0000:01:00.0: can't enable 63 VFs (bus 02 out of range of [bus 01])\n`;
    expect(first(text)?.cause).toBe('bus-numbers-exhausted');
    expect(changes(text)).toMatch(/bus-reserve=N, N at least the number of buses that the VFs/);
    expect(changes(text)).not.toMatch(/bridges that will be plugged/);
  });

  it('commands have no placeholder for a device', () => {
    for (const text of [
      '[    4.1] NVRM: BAR0 is 0M @ 0x0 (PCI:0000:06:00.0)\n',
      '[    4.1] snd: cannot find BAR 0\n',
      'Region 0: Memory at d1000000 (32-bit, non-prefetchable) [disabled] [size=64K]\n',
    ]) {
      for (const { command } of diagnosisOf(text).missing) expect(command).not.toMatch(/-s BDF/);
    }
  });
});

describe('errors of QEMU', () => {
  it.each([
    ["Property 'virt-9.2-machine.highmem-mmio-size' not found", 'not-placement', /QEMU 10\.0/],
    ['highmem-mmio-size cannot be set to a lower value than the default (512 GiB)', 'not-placement', /512G/],
    ["-device virtio-net-pci,bus=pcie.0: Bus 'pcie.0' not found", 'not-placement', /q35/],
    ["cannot set up guest memory 'mach-virt.ram': Cannot allocate memory", 'not-placement', /less RAM/],
    [
      "-device pcie-root-port,addr=0x20: Property 'pcie-root-port.addr' doesn't take value '0x20'",
      'not-placement',
      /addr=/,
    ],
    ["-device foo,bar=1: Property 'foo.bar' not found", 'not-placement', /-device foo,help/],
    ['something that nobody has seen before', 'unknown', /^$/],
  ])('%s', (text, cause, remedies) => {
    const line = `qemu-system-aarch64: ${text}`;
    expect(first(`${line}\n`)).toMatchObject({ cause, fault: true, evidence: [{ raw: line }] });
    expect(changes(`${line}\n`)).toMatch(remedies);
  });

  it('that are none', () => {
    for (const text of [
      'warning: host lacks something',
      'terminating on signal 15 from pid 1 (sh)',
      '-chardev socket: info: QEMU waiting',
    ])
      expect(diagnosisOf(`qemu-system-x86_64: ${text}\n`).findings).toEqual([]);
  });

  it('that another finding cites are not said twice', () => {
    const causes = diagnosisOf(
      'qemu-system-aarch64: Addressing limited to 40 bits, but memory exceeds it by 1024 bytes\n',
    );
    expect(causes.findings.map(({ cause }) => cause)).toEqual(['phys-bits-too-small']);
  });

  it('about address bits have remedies for the architecture', () => {
    const text = 'Addressing limited to 40 bits, but memory exceeds it by 1024 bytes\n';
    expect(changes(`qemu-system-aarch64: ${text}`)).toMatch(/-cpu max/);
    expect(changes(`qemu-system-aarch64: ${text}`)).not.toMatch(/pse36|q35|long mode/);
  });
});
