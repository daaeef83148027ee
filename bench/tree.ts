export interface Tree {
  readonly name: string;
  /** Arguments for QEMU, without the program. */
  readonly argv: readonly string[];
}

export const TREE_FUNCTIONS = 64;

/** `virt` machines with 64 PCI functions, the host bridge included: root ports, switches, devices of one and of several functions. */
export const trees: readonly Tree[] = [
  // Four root ports, a switch with three ports, eight functions a device; the rest in one slot of the root bus.
  tree('8 bridges', ({ port, upstream, downstream, device }) => {
    for (let n = 0; n < 4; n++) port(`rp${n}`, n);
    upstream('up', 'rp0');
    for (let n = 0; n < 3; n++) {
      downstream(`dn${n}`, 'up', n);
      device(`dn${n}`, '0', 8);
    }
    for (let n = 1; n < 4; n++) device(`rp${n}`, '0', 8);
    device('pcie.0', '2', 7);
  }),
  // Eight root ports, two switches with six ports each, one, two or four functions a device.
  tree('22 bridges', ({ port, upstream, downstream, device }) => {
    for (let n = 0; n < 8; n++) port(`rp${n}`, n);
    for (let n = 0; n < 2; n++) {
      upstream(`up${n}`, `rp${n}`);
      for (let down = 0; down < 6; down++) {
        downstream(`dn${n}.${down}`, `up${n}`, down);
        device(`dn${n}.${down}`, '0', 2);
      }
    }
    for (let n = 2; n < 6; n++) device(`rp${n}`, '0', 4);
    device('rp6', '0', 1);
  }),
];

interface Parts {
  /** Function `fn` of slot 1 on the root bus. */
  readonly port: (id: string, fn: number) => void;
  readonly upstream: (id: string, bus: string) => void;
  readonly downstream: (id: string, bus: string, slot: number) => void;
  readonly device: (bus: string, slot: string, functions: number) => void;
}

function tree(name: string, build: (parts: Parts) => void): Tree {
  const argv = ['-machine', 'virt', '-nodefaults', '-display', 'none'];
  // One in four has a port BAR: every bridge above one takes 4 KiB of the 64 KiB of ports that there are.
  const kinds = ['virtio-rng-pci', 'edu', 'virtio-rng-pci', 'pci-testdev,membar=4M'] as const;
  let chassis = 0;
  let made = 0;
  const add = (...parts: string[]) => argv.push('-device', parts.join(','));
  const several = (fn: number, functions: number) => (fn === 0 && functions > 1 ? ['multifunction=on'] : []);
  build({
    port: (id, fn) => add('pcie-root-port', `id=${id}`, `chassis=${++chassis}`, `addr=1.${fn}`, ...several(fn, 2)),
    upstream: (id, bus) => add('x3130-upstream', `id=${id}`, `bus=${bus}`),
    downstream: (id, bus, slot) =>
      add('xio3130-downstream', `id=${id}`, `bus=${bus}`, `chassis=${++chassis}`, `slot=${slot}`),
    device: (bus, slot, functions) => {
      for (let fn = 0; fn < functions; fn++) {
        add(kinds[made++ % kinds.length] ?? '', `bus=${bus}`, `addr=${slot}.${fn}`, ...several(fn, functions));
      }
    },
  });
  return { name, argv };
}
