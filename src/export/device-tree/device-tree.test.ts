import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { randomPlan } from '../../../test/support/random-plan.js';
import { parseDeviceTree } from '../../devicetree/parse.js';
import { pciHostBridges } from '../../devicetree/pci.js';
import { cellsOf, eachNode, stringOf, type DeviceTreeNode } from '../../devicetree/tree.js';
import { observeDeviceTree } from '../../import/device-tree.js';
import type { Plan } from '../../place/plan.js';
import { writeDeviceTree } from '../../devicetree/write.js';
import { exportDtb, exportDts } from './device-tree.js';

const missing = spawnSync('dtc', ['--version']).error !== undefined;
if (missing && process.env['CI'] === 'true') throw new Error('dtc is missing: install device-tree-compiler');
const dtc = (input: string | Uint8Array, from: string, to: string) => {
  const { status, stdout, stderr } = spawnSync('dtc', ['-I', from, '-O', to], { input });
  return { status, output: new Uint8Array(stdout), warnings: stderr.toString() };
};

/** Where `assigned-addresses` has BARs and ROM, by register; bit 31: it cannot be relocated. IEEE 1275 PCI Bus Binding 2.1. */
function assigned(node: DeviceTreeNode) {
  const cells = cellsOf(node, 'assigned-addresses') ?? [];
  return Array.from({ length: cells.length / 5 }, (_, i) => {
    const [hi = 0, mid = 0, lo = 0, sizeHigh = 0, sizeLow = 0] = cells.slice(5 * i, 5 * i + 5);
    const number = (high: number, low: number) => (BigInt(high) << 32n) | BigInt(low);
    return { register: hi & 0xff, fixed: hi >>> 31 === 1, at: number(mid, lo), size: number(sizeHigh, sizeLow) };
  });
}

/** The same of a plan: registers of BARs from 0x10, of the ROM 0x30, or 0x38 in a bridge. */
const plannedAddresses = ({ functions, bridges }: Plan) =>
  functions.map(({ id, bars, rom }) => [
    id,
    [
      ...bars.map((bar) => ({ register: 0x10 + 4 * bar.index, fixed: bar.pinned, at: bar.address, size: bar.size })),
      ...(rom
        ? [
            {
              register: bridges.some((one) => one.id === id) ? 0x38 : 0x30,
              fixed: rom.pinned,
              at: rom.address,
              size: rom.size,
            },
          ]
        : []),
    ],
  ]);

const inTree = (blob: Uint8Array) =>
  [...eachNode(parseDeviceTree(blob))]
    .filter(({ node }) => stringOf(node, 'label') !== undefined)
    .map(({ node }) => [stringOf(node, 'label'), assigned(node)] as const);

describe('device trees', () => {
  it('one of everything', async () => {
    const { content, notes } = exportDts(await sourceOf(oneOfEverything));
    expect(`${content as string}\n${notes.join('\n')}`).toMatchSnapshot();
  });

  it('have windows that are read back as they are in the plan', async () => {
    const source = await sourceOf(oneOfEverything);
    const tree = parseDeviceTree(exportDtb(source).content as Uint8Array);
    expect(pciHostBridges(tree)).toMatchObject([
      {
        config: { base: 0x4010000000n, size: 0x10000000n },
        buses: [0, 255],
        probeOnly: true,
        windows: source.plan.hostBridges[0]!.windows,
      },
    ]);
    const { hostWindows } = observeDeviceTree(tree, 'plan.dtb');
    expect(hostWindows.map(({ busBase, size }) => ({ base: busBase, size }))).toEqual(
      source.plan.hostBridges[0]!.windows.map(({ base, size }) => ({ base, size })),
    );
  });

  it('have every address of a plan', () => {
    fc.assert(
      fc.property(randomPlan, (plan) => {
        const found = inTree(exportDtb({ plan, options: { ecam: 0x4010000000n } }).content as Uint8Array);
        const sorted = (list: readonly (readonly unknown[])[]) =>
          list.toSorted((a, b) => String(a[0]).localeCompare(String(b[0])));
        expect(sorted(found)).toEqual(sorted(plannedAddresses(plan)));
      }),
    );
  });

  it('need to know where config space is', async () => {
    const { plan } = await sourceOf(oneOfEverything);
    expect(() => exportDts({ plan, options: {} })).toThrow('where config space (ECAM) of host bridge pcie.0 lies');
  });
});

// The device tree compiler is the reference: it shares nothing with the writers.
describe.skipIf(missing)(missing ? 'against dtc (skipped: dtc is not installed)' : 'against dtc', () => {
  it('source and blob are the same tree, and dtc has nothing to say against it', async () => {
    const source = await sourceOf(oneOfEverything);
    const compiled = dtc(exportDts(source).content, 'dts', 'dtb');
    expect(compiled).toMatchObject({ status: 0, warnings: '' });
    expect(compiled.output).toEqual(new Uint8Array(exportDtb(source).content as Uint8Array));
  });

  it('so it is for any plan', () => {
    fc.assert(
      fc.property(randomPlan, (plan) => {
        const source = { plan, options: { ecam: 0x4010000000n } };
        const compiled = dtc(exportDts(source).content, 'dts', 'dtb');
        expect(compiled.status).toBe(0);
        expect(compiled.output).toEqual(new Uint8Array(exportDtb(source).content as Uint8Array));
      }),
      { numRuns: 15 },
    );
  });

  it('a machine’s own tree is edited: its windows, and what makes a guest keep them', async () => {
    const base = dtc(
      `/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; compatible = "linux,dummy-virt"; chosen { bootargs = "quiet"; };
       pcie@10000000 { compatible = "pci-host-ecam-generic"; device_type = "pci"; #address-cells = <3>; #size-cells = <2>; bus-range = <0 255>;
       reg = <0x40 0x10000000 0x0 0x10000000>; ranges = <0x3000000 0x80 0x0 0x80 0x0 0x80 0x0>; msi-parent = <1>; }; };`,
      'dts',
      'dtb',
    ).output;
    const source = { ...(await sourceOf(oneOfEverything)), base };
    const text = exportDts(source).content as string;
    expect(text).toMatchSnapshot();
    expect(dtc(text, 'dts', 'dtb').status).toBe(0);
    const tree = parseDeviceTree(exportDtb(source).content as Uint8Array);
    expect(pciHostBridges(tree)[0]).toMatchObject({ probeOnly: true, windows: source.plan.hostBridges[0]!.windows });
    // QEMU's own trees have 1 MiB, and Linux on arm64 does not start with the twice as many that QEMU makes of them for -dtb.
    const padded = writeDeviceTree(parseDeviceTree(base), { totalSize: 2 ** 20 });
    expect(exportDtb({ ...source, base: padded }).content).toEqual(exportDtb(source).content);
    expect(exportDtb(source).content.length).toBeLessThan(2 ** 16);
    const other = dtc('/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; };', 'dts', 'dtb').output;
    expect(() => exportDts({ ...source, base: other })).toThrow(
      'the base tree has no generic host bridge with bus 0x0',
    );
  });
});
