import { describe, expect, it } from 'vitest';
import { kindOf } from './connect.js';
import { firmwareNotices } from './recognize.js';
import { readExamined } from './same-machine.js';

describe('who speaks at a socket, by what comes first', () => {
  it.each([
    ['{"QMP": {"version": {"qemu": {"micro": 2', 'QMP monitor'],
    ['{"error": {"class": "GenericError"', 'QMP monitor'],
    ["QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) ", 'human monitor'],
    ['\xff\xfb\x01\xff\xfb\x03QEMU 7.2.22 monitor', 'human monitor'],
    ['OK little\n', 'qtest server'],
    ["FAIL Unknown command 'x'\n", 'qtest server'],
    ['+$PacketSize=1000;qXfer:features:read+#a1', 'gdbstub'],
    ['$T02thread:01;#04', 'gdbstub'],
    ['RFB 003.008\n', 'VNC server'],
    ['SSH-2.0-OpenSSH_9.2', undefined],
    ['', undefined],
  ])('%j', (heard, kind) => {
    expect(kindOf(heard)).toBe(kind);
  });
});

describe('firmware of a machine that pinbar has not started', () => {
  it.each([
    ['virt', { kernel: 'Image', firmware: '' }, []],
    ['virt', { kernel: '', firmware: '' }, [/nothing to run/]],
    ['virt', { kernel: 'Image', firmware: '/usr/share/qemu/opensbi-riscv64-generic-fw_dynamic.bin' }, []],
    ['virt', { kernel: '', firmware: '/usr/share/AAVMF/AAVMF_CODE.fd' }, [/AAVMF_CODE\.fd: .*moves/]],
    ['q35', { kernel: 'bzImage', firmware: 'qboot.rom' }, []],
    ['q35', { kernel: 'bzImage', firmware: '' }, [/SeaBIOS.*-bios qboot\.rom/]],
    ['q35', { kernel: '', firmware: 'pflash' }, [/moves/]],
  ] as const)('%s, %o', (board, boot, says) => {
    const notices = firmwareNotices({ board }, boot);
    expect(notices).toHaveLength(says.length);
    says.forEach((pattern, i) => expect(notices[i]).toMatch(pattern));
  });
});

it('reads what xp prints', () => {
  expect([...readExamined('0000000080000000: 0x33 0x04\r\n0000000080000002: 0xff\r\n')]).toEqual([0x33, 4, 0xff]);
  expect([...readExamined('0000000080000000: Cannot access memory\r\n')]).toEqual([]);
});
