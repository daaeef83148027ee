import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { firmwareFile, qemuBinary } from '../lab/lab.js';
import { pinbar } from '../lab/pinbar.js';
import { readPlan } from '../lab/plan-in-guest.js';
import { describeInLab, scratchFolder } from '../lab/suite.js';
import { barInQemu, connectQmp } from '../lab/user-qmp.js';

/** What EDK2 enumerates otherwise: it puts the larger BAR first, at the start of the window. */
const machine = `
pinbar: 1
machine: { arch: aarch64, board: virt, ram: 512MiB, qemu: "10.0", properties: { gic-version: "3" } }
hostBridges:
  - id: pcie.0
    functions:
      - id: rp1
        slot: "1.0"
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          io: 32
          functions:
            - id: dev0
              slot: "0.0"
              qemuDevice: pci-testdev,membar=1G
              bars:
                - { index: 0, type: mem32, size: 4KiB, pin: 0x20000000 }
                - { index: 1, type: io, size: 256, pin: 0x3000 }
                - { index: 2, type: mem64, prefetchable: true, size: 1GiB, pin: 0x8b40000000 }
      - { id: disk0, slot: "2.0", qemuDevice: "nvme,serial=a", bars: [{ index: 0, type: mem64, size: 16KiB, pin: 0x8d00000000 }] }
`;

describeInLab('the UEFI shell script', ['qemu-10.0', 'edk2-2022.11'], () => {
  it('moves what EDK2 has enumerated, and the shell goes on', async () => {
    const folder = scratchFolder();
    const path = (name: string) => join(folder, name);
    writeFileSync(path('machine.yaml'), machine);
    mkdirSync(path('disk'));
    const script = path('disk/startup.nsh');
    expect((await pinbar(['export', 'uefi-shell', path('machine.yaml'), '--out', script])).end).toBe(0);
    expect((await pinbar(['plan', path('machine.yaml'), '--out', path('plan.json')])).end).toBe(0);
    writeFileSync(script, 'ls FS0:\\startup.nsh\r\necho all of it ran\r\n', { flag: 'a' });
    copyFileSync(firmwareFile('2022.11', 'aarch64', 'vars'), path('vars.fd'));

    const { output } = await pinbar(['export', 'qemu', path('machine.yaml')]);
    const split = spawnSync('sh', ['-c', `printf '%s\\0' ${output}`], { encoding: 'utf8' }).stdout.split('\0');
    const qemu = spawn(qemuBinary('10.0'), [
      ...split.slice(1, -1),
      ...['-drive', `if=pflash,format=raw,readonly=on,file=${firmwareFile('2022.11', 'aarch64', 'code')}`],
      ...['-drive', `if=pflash,format=raw,file=${path('vars.fd')}`],
      // Not on PCI: what the script is on stays where it is.
      ...[
        '-drive',
        `if=none,id=boot,format=raw,file=fat:rw:${path('disk')}`,
        '-device',
        'virtio-blk-device,drive=boot',
      ],
      ...['-display', 'none', '-serial', 'stdio', '-qmp', `unix:${path('qmp')},server=on,wait=off`],
    ]);
    onTestFinished(() => void qemu.kill('SIGKILL'));
    let shown = '';
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the shell did not come to its end:\n${shown}`)), 120_000);
      qemu.stdout.setEncoding('utf8').on('data', (text: string) => {
        shown += text;
        // The shell waits 5 s for a key that skips the script; any other begins it.
        if (!/all of it ran\r?\n/.test(shown)) return;
        clearTimeout(late);
        resolve();
      });
      qemu.on('close', () => reject(new Error(`QEMU ended:\n${shown}`)));
    });
    expect(shown).toMatch(/1 File\(s\)/);

    const qmp = await connectQmp(path('qmp'));
    for (const { id, bars } of readPlan(path('plan.json')).functions) {
      for (const { index, address } of bars) {
        expect(await barInQemu(qmp, id, index), `${id} BAR ${index}`).toBe(BigInt(address));
      }
    }
  });
});
