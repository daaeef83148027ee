import { describe, expect, it } from 'vitest';
import { parseDeviceTree } from '../../src/devicetree/parse.js';
import { exportDtb } from '../../src/export/device-tree/device-tree.js';
import { exportLibvirt } from '../../src/export/libvirt/libvirt.js';
import { exportQemu } from '../../src/export/qemu/qemu.js';
import { mergeCapture } from '../../src/import/capture/merge.js';
import { observeDeviceTree } from '../../src/import/device-tree.js';
import { diff } from '../../src/import/diff/diff.js';
import { differenceToJson } from '../../src/import/diff/json.js';
import { snapshotOfCapture, snapshotOfPlan } from '../../src/import/diff/snapshot.js';
import { machineOfDomain } from '../../src/import/machine/libvirt.js';
import { machineOfQemu } from '../../src/import/machine/qemu.js';
import { eachFunction, type Machine } from '../../src/machine/model.js';
import { planToJson } from '../../src/place/plan-json.js';
import { place } from '../../src/place/place.js';
import { sourceOf } from '../support/export-source.js';

/** Devices whose BARs QEMU's own names tell, so that nothing of the machine is anywhere but in the command. */
const machine = (board: string, own: string, pin: string) => `
pinbar: 1
machine: ${board}
hostBridges:
  - id: pcie.0
    functions:
${own}
      - id: rp1
        slot: "1.0"
        class: 0x060400
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge:
          kind: root-port
          hotplug: pcie
          functions:
            - id: up
              slot: "0.0"
              class: 0x060400
              bridge:
                kind: upstream-port
                functions:
                  - id: down0
                    slot: "0.0"
                    class: 0x060400
                    bridge:
                      kind: downstream-port
                      hotplug: pcie
                      functions:
                        - id: dev0
                          slot: "0.0"
                          qemuDevice: pci-testdev,membar=64M
                          class: 0x00ff00
                          bars:
                            - { index: 0, type: mem32, size: 4KiB }
                            - { index: 1, type: io, size: 256 }
                            - { index: 2, type: mem64, prefetchable: true, size: 64MiB${pin} }
      - id: rp2
        slot: "2.0"
        class: 0x060400
        bars: [{ index: 0, type: mem32, size: 4KiB }]
        bridge: { kind: root-port, reserve: { buses: 2, memory: 2MiB, prefetchable: 1GiB } }
      - { id: disk0, slot: "3.0", class: 0x010800, qemuDevice: "nvme,serial=a,,b", bars: [{ index: 0, type: mem64, size: 16KiB }] }
`;
const virt = '      - { id: "0000:00:00.0", slot: "0.0", class: 0x060000 }';
const q35 = `
      - { id: "0000:00:00.0", slot: "0.0", class: 0x060000 }
      - { id: "0000:00:1f.0", slot: "1f.0", class: 0x060100 }
      - { id: "0000:00:1f.2", slot: "1f.2", class: 0x010601, bars: [{ index: 4, type: io, size: 32 }, { index: 5, type: mem32, size: 4KiB }] }
      - { id: "0000:00:1f.3", slot: "1f.3", class: 0x0c0500, bars: [{ index: 4, type: io, size: 64 }] }`;
const machines = (pin: (address: string) => string) => [
  [
    'aarch64 virt',
    machine(
      '{ arch: aarch64, board: virt, ram: 4GiB, properties: { highmem-mmio-size: 64T } }',
      virt,
      pin('0x6b8000000000'),
    ),
  ],
  ['riscv64 virt', machine('{ arch: riscv64, board: virt, ram: 2GiB }', virt, pin('0x600000000'))],
  ['q35', machine('{ arch: x86_64, board: q35, ram: 4GiB, physicalAddressBits: 46 }', q35, pin('0x3b8000000000'))],
];

/** All that a machine is, but for what firmware is told: rooms that are kept are told to it, too. */
const essence = ({ hostBridges, ...rest }: Machine) => ({
  ...rest,
  hostBridges: hostBridges.map(({ functions, ...host }) => ({
    ...host,
    functions: [...eachFunction(functions)].map(({ fn: { bridge, ...fn }, parent }) => ({
      ...fn,
      parent: parent?.id,
      bridge: bridge && { ...bridge, functions: undefined, hints: undefined },
    })),
  })),
});
const planOf = (one: Machine) => planToJson(place(one));

describe('a machine that is exported and imported again is the same machine', () => {
  it.each(machines((address) => `, pin: ${address}`))('%s, by the proposed options of QEMU', async (_, text) => {
    const source = await sourceOf(text);
    const command = exportQemu(source, 'rfc').content as string;
    const again = machineOfQemu(command).machine;
    // The window is asked for in other words there.
    const asked = {
      ...again,
      properties: source.machine!.properties,
      hostBridges: again.hostBridges.map((host, i) => ({ ...host, windows: source.machine!.hostBridges[i]!.windows })),
    };
    expect(essence(asked)).toEqual(essence(source.machine!));
    expect(planOf(asked)).toEqual(planToJson(source.plan));
  });

  it.each(machines(() => ''))('%s, by a QEMU command', async (_, text) => {
    const source = await sourceOf(text);
    const command = exportQemu(source, 'stock').content as string;
    const told = machineOfQemu(command);
    expect(told.notes).toEqual([]);
    expect(essence(told.machine)).toEqual(essence(source.machine!));
    const plan = place(told.machine);
    expect(planToJson(plan)).toEqual(planToJson(source.plan));
    if (plan.status !== 'placed') throw new Error('no plan');
    expect(exportQemu({ plan, machine: told.machine, options: {} }, 'stock').content).toBe(command);
  });

  it.each(machines((address) => `, pin: ${address}`))('%s, by a device tree: every address', async (_, text) => {
    const source = await sourceOf(text);
    const { content } = exportDtb({ ...source, options: { ecam: 0x4010000000n } });
    const capture = mergeCapture([observeDeviceTree(parseDeviceTree(content as Uint8Array), 'plan.dtb')]);
    const difference = diff(snapshotOfPlan(source.plan), snapshotOfCapture(capture));
    expect(differenceToJson(difference)).toMatchObject({ verdict: 'same', vanished: [], appeared: [] });
    expect(difference.functions).toHaveLength(source.plan.functions.length);
  });

  it.each(machines(() => ''))('%s, by a libvirt domain', async (_, text) => {
    const source = await sourceOf(text);
    const domain = exportLibvirt(source).content as string;
    const told = machineOfDomain(domain, 'domain.xml');
    // libvirt's names of its users begin with ua-.
    const named = JSON.parse(
      JSON.stringify(essence(told.machine), (_key, value: unknown) =>
        typeof value === 'bigint' ? `${value}n` : value,
      ).replaceAll('"ua-', '"'),
    ) as unknown;
    const wanted = JSON.parse(
      JSON.stringify(essence(source.machine!), (_key, value: unknown) =>
        typeof value === 'bigint' ? `${value}n` : value,
      ),
    ) as unknown;
    expect(named).toEqual(wanted);
  });
});
