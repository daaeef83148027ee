import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { oneOfEverything, sourceOf } from '../../../test/support/export-source.js';
import { describeWith } from '../../../test/support/tools.js';
import { machineOfDomain } from '../../import/machine/libvirt.js';
import { eachFunction } from '../../machine/model.js';
import { formatSlot } from '../../pci/bdf.js';
import { exportKubevirt } from './kubevirt.js';

/** A domain as KubeVirt hands it to a hook, as far as PCI goes. */
const domain = (
  hosts: readonly string[],
) => `<domain type="kvm" xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0">
<name>default_vm</name><memory unit="b">4294967296</memory><os><type arch="aarch64" machine="virt">hvm</type></os>
<devices>
<controller type="pci" index="0" model="pcie-root"/>
<controller type="pci" index="1" model="pcie-root-port"><address type="pci" domain="0x0000" bus="0x00" slot="0x01" function="0x0"/></controller>
${hosts.map((bus) => `<hostdev mode="subsystem" type="pci" managed="no"><source><address type="pci" domain="0x0009" bus="0x${bus}" slot="0x00" function="0x0"/></source><alias name="ua-hostdevice-${bus}"/></hostdev>`).join('\n')}
</devices></domain>`;

const parts = async () => {
  const { content, notes } = exportKubevirt(await sourceOf(oneOfEverything));
  const [config, machine] = parseAllDocuments(content as string).map((one) => one.toJS() as unknown);
  return { config: config as { data: Record<string, string> }, machine, notes, content: content as string };
};

describe('KubeVirt', () => {
  it('one of everything', async () => {
    const { content, machine, notes } = await parts();
    expect(`${content}\n${notes.join('\n')}`).toMatchSnapshot();
    expect(machine).toMatchObject({
      spec: { template: { spec: { domain: { devices: { hostDevices: [{ name: 'gpu0' }, { name: 'nic0' }] } } } } },
    });
    const { annotations } = (machine as { spec: { template: { metadata: { annotations: Record<string, string> } } } })
      .spec.template.metadata;
    expect(JSON.parse(annotations['hooks.kubevirt.io/hookSidecars']!)).toMatchObject([
      { configMap: { key: 'topology.py' } },
    ]);
  });
});

describeWith('python3', 'the hook', () => {
  const run = async (hosts: readonly string[]) => {
    const { config } = await parts();
    return spawnSync('python3', ['-', '--vmi', '{}', '--domain', domain(hosts)], {
      input: config.data['topology.py'],
      encoding: 'utf8',
    });
  };

  it('puts host devices behind the plan’s ports, whatever order they come in', async () => {
    const { stdout, stderr, status } = await run(['01', '06']);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const { machine } = machineOfDomain(stdout, 'domain.xml');
    const found = [...eachFunction(machine.hostBridges[0]!.functions)].map(
      ({ fn, parent }) =>
        `${fn.bridge?.kind ?? `bus ${fn.hostAddress?.bus}`} at ${formatSlot(fn.slot)} behind ${parent?.bridge?.kind ?? 'root'}`,
    );
    expect(found).toEqual(
      expect.arrayContaining([
        'root-port at 01.0 behind root',
        'upstream-port at 00.0 behind root-port',
        'downstream-port at 00.0 behind upstream-port',
        'bus 6 at 00.0 behind downstream-port',
        'downstream-port at 01.0 behind upstream-port',
        'bus 1 at 00.0 behind downstream-port',
      ]),
    );
    expect(machine.properties).toEqual({ 'highmem-mmio-size': '64T' });
  });

  it('says which device is not there', async () => {
    const { stderr, status } = await run(['06']);
    expect(stderr).toBe('the domain has no host device 0009:01:00.0\n');
    expect(status).toBe(1);
  });
});
