/** Arguments of a `virt` machine with 64 PCI functions: root ports, two switches, and devices of one and of several functions. */
export function treeOf64(): string[] {
  const devices: string[] = [];
  const add = (...parts: string[]) => devices.push('-device', parts.join(','));
  let chassis = 0;
  let made = 0;
  // One in four has a port BAR: every bridge above one takes 4 KiB of the 64 KiB of ports that there are.
  const kinds = ['virtio-rng-pci', 'edu', 'virtio-rng-pci', 'pci-testdev,membar=4M'] as const;
  const endpoints = (bus: string, functions: number) => {
    for (let fn = 0; fn < functions; fn++) {
      const kind = kinds[made++ % kinds.length] ?? '';
      add(kind, `bus=${bus}`, `addr=0.${fn}`, ...(functions > 1 && fn === 0 ? ['multifunction=on'] : []));
    }
  };
  // The host bridge is the first function; eight root ports in one slot.
  for (let port = 0; port < 8; port++) {
    add(
      'pcie-root-port',
      `id=rp${port}`,
      `chassis=${++chassis}`,
      `addr=1.${port}`,
      ...(port === 0 ? ['multifunction=on'] : []),
    );
  }
  for (let upstream = 0; upstream < 2; upstream++) {
    add('x3130-upstream', `id=up${upstream}`, `bus=rp${upstream}`);
    for (let down = 0; down < 6; down++) {
      const id = `dn${upstream}.${down}`;
      add('xio3130-downstream', `id=${id}`, `bus=up${upstream}`, `chassis=${++chassis}`, `slot=${down}`);
      endpoints(id, 2);
    }
  }
  for (let port = 2; port < 6; port++) endpoints(`rp${port}`, 4);
  endpoints('rp6', 1);
  return ['-machine', 'virt', '-nodefaults', '-display', 'none', ...devices];
}

export const TREE_FUNCTIONS = 1 + 8 + 2 * (1 + 6 + 12) + 4 * 4 + 1;
