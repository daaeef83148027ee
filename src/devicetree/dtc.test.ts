import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { keepPciSetup } from './keep.js';
import { parseDeviceTree } from './parse.js';
import { pciHostBridges } from './pci.js';
import { eachNode } from './tree.js';
import { writeDeviceTree } from './write.js';

const source = `/dts-v1/;
/memreserve/ 0x40000000 0x100000;
/ {
  #address-cells = <2>;
  #size-cells = <2>;
  model = "two strings", "and a quote \\"";
  soc {
    #address-cells = <2>;
    #size-cells = <2>;
    compatible = "simple-bus";
    ranges;
    pci: pci@30000000 {
      compatible = "pci-host-ecam-generic";
      device_type = "pci";
      #address-cells = <3>;
      #size-cells = <2>;
      bus-range = <0x0 0xff>;
      linux,pci-domain = <0x0>;
      reg = <0x0 0x30000000 0x0 0x10000000>;
      ranges = <0x1000000 0x0 0x0 0x0 0x3000000 0x0 0x10000>,
               <0x2000000 0x0 0x40000000 0x0 0x40000000 0x0 0x40000000>,
               <0x3000000 0x4 0x0 0x4 0x0 0x4 0x0>;
      empty-one;
      odd = [01 02 03];
    };
  };
  chosen { stdout-path = &pci; };
};
`;

const dtc = (input: string | Uint8Array, from: string, to: string): Uint8Array => {
  const { status, stdout, stderr } = spawnSync('dtc', ['-q', '-I', from, '-O', to], { input });
  expect(stderr.toString(), `dtc ended with ${status}`).toBe('');
  return new Uint8Array(stdout);
};
const missing = spawnSync('dtc', ['--version']).error !== undefined;

// The device tree compiler is the reference: it shares nothing with this codec.
describe.skipIf(missing && !process.env['CI'])(
  missing ? 'against dtc (skipped: dtc is not installed)' : 'against dtc',
  () => {
    it('reads what dtc compiles', () => {
      const tree = parseDeviceTree(dtc(source, 'dts', 'dtb'));
      expect([...eachNode(tree)].map(({ path }) => path)).toEqual(['/', '/soc', '/soc/pci@30000000', '/chosen']);
      expect(tree.reservations).toEqual([{ address: 0x40000000n, size: 0x100000n }]);
      expect(pciHostBridges(tree)).toMatchObject([
        {
          config: { base: 0x30000000n, size: 0x10000000n },
          windows: [
            { type: 'io', cpuBase: 0x3000000n },
            { type: 'mem32', base: 0x40000000n, size: 0x40000000n },
            { type: 'mem64', base: 0x400000000n, size: 0x400000000n },
          ],
        },
      ]);
    });

    it('writes what dtc reads as the same source', () => {
      const compiled = dtc(source, 'dts', 'dtb');
      const rewritten = writeDeviceTree(parseDeviceTree(compiled), { totalSize: 8192 });
      expect(new TextDecoder().decode(dtc(rewritten, 'dtb', 'dts'))).toBe(
        new TextDecoder().decode(dtc(compiled, 'dtb', 'dts')),
      );
    });

    it('shows the edits', () => {
      const kept = writeDeviceTree(keepPciSetup(parseDeviceTree(dtc(source, 'dts', 'dtb'))));
      const shown = new TextDecoder().decode(dtc(kept, 'dtb', 'dts'));
      expect(shown.match(/linux,pci-probe-only = <0x01>;/g)).toHaveLength(2);
      expect(shown).toContain('pci-enum-done = <0x01>;');
    });
  },
);
