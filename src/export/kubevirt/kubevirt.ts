import { formatBdf } from '../../pci/bdf.js';
import type { Exported, ExportSource } from '../exported.js';
import { allPlaced, layoutOf, requireMachine } from '../layout.js';
import { libvirtDevices } from '../libvirt/devices.js';
import type { Element } from '../libvirt/xml.js';
import { qemuBoard } from '../qemu/machine.js';
import { hookScript } from './hook.js';

/**
 * What a KubeVirt virtual machine has to have for the plan's topology: KubeVirt itself has no words for ports and addresses of host
 * devices, so that a hook edits the domain.
 * @throws Problem as `exportLibvirt` does
 */
export function exportKubevirt(source: ExportSource): Exported {
  const machine = requireMachine(source.machine, 'board, ports and devices');
  const hosts = layoutOf(source.plan, machine);
  const { elements, foreign } = libvirtDevices(hosts, machine);
  const passed = allPlaced(hosts).flatMap(({ id, wanted }) =>
    wanted?.hostAddress ? [{ id, host: formatBdf(wanted.hostAddress) }] : [],
  );
  const [, ...properties] = qemuBoard(machine).machine.split(',');
  const controllers = elements.filter(({ name }) => name === 'controller');
  const hostdevs = elements.filter(({ name }) => name === 'hostdev');
  const data = {
    controllers: controllers.map((one) => ({
      attributes: defined(one),
      target: optional(one, 'target'),
      address: optional(one, 'address'),
    })),
    hostdevs: Object.fromEntries(hostdevs.map((one, i) => [passed[i]?.host ?? '', optional(one, 'address')])),
    arguments: properties.length > 0 ? ['-machine', properties.join(',')] : [],
  };
  const script = hookScript(dataText(data));
  const name = (id: string) => id.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-');
  const content = `# Written by pinbar export kubevirt. The feature gate Sidecar has to be on.
apiVersion: v1
kind: ConfigMap
metadata:
  name: pinbar-topology
data:
  topology.py: |
${script.replaceAll(/^(?=.)/gm, '    ')}---
# To be merged into a virtual machine. deviceName is the resource of the device plugin that has the host's function.
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata:
  name: pinbar
spec:
  template:
    metadata:
      annotations:
        hooks.kubevirt.io/hookSidecars: >-
          [{"args": ["--version", "v1alpha2"],
            "configMap": {"name": "pinbar-topology", "key": "topology.py", "hookPath": "/usr/bin/onDefineDomain"}}]
    spec:
      domain:
        devices:
          hostDevices:
${passed.map(({ id, host }) => `            - { name: ${JSON.stringify(name(id))}, deviceName: "vendor.example/device" } # ${host}\n`).join('') || '            []\n'}`;
  const left = allPlaced(hosts).filter(({ wanted }) => wanted?.qemuDevice !== undefined);
  return {
    content,
    notes: [
      'say the resource of each device’s plugin in the place of vendor.example/device',
      ...(foreign.length > 0
        ? [`left out, because libvirt takes no such bridge on that bus: ${foreign.join(', ')}`]
        : []),
      ...(left.length > 0
        ? [
            `left out, because KubeVirt has words of its own for what QEMU emulates: ${left.map(({ id }) => id).join(', ')}`,
          ]
        : []),
    ],
  };
}

/** JSON with a line for each controller. */
const dataText = ({ controllers, ...rest }: { readonly controllers: readonly unknown[] }): string => {
  const lines = controllers.map((one) => `\n  ${JSON.stringify(one)}`);
  return `{"controllers": [${lines.join(',')}],\n ${JSON.stringify(rest).slice(1)}`;
};

const defined = ({ attributes }: Element) =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));

/** The attributes of a child, or null. */
function optional({ content }: Element, name: string): Record<string, unknown> | null {
  const child = typeof content === 'string' ? undefined : content.find((one) => one.name === name);
  return child ? defined(child) : null;
}
