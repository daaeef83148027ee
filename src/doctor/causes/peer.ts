import { hex } from '../../address/format.js';
import type { LogLine } from '../../import/log/line.js';
import { functionMessage } from '../../import/log/resource-event.js';
import { formatBdf } from '../../pci/bdf.js';
import { said } from '../evidence.js';
import type { Candidate, Remedy } from '../finding.js';
import { ask } from '../missing.js';
import { cite } from '../placement/cite.js';
import type { Scene } from '../scene/scene.js';
import { fatalPeerMappings, peerMappings } from './dma.js';

/** Words of people and programs that want devices to reach each other. */
const wanted =
  /NCCL|\bCUDA\b|cuda[A-Z_]|simpleP2P|p2pBandwidth|nvidia-smi topo|GPUDirect|\bRCCL\b|\bhip[A-Z]|\bRDMA\b|peer.?to.?peer|\bP2P\b/i;

const remedies: readonly Remedy[] = [
  {
    change:
      'iommu=pt on the host or bare machine, and where devices are passed through ATS on the NIC or GPU with ACS direct-translated set on the switches',
    where: 'host-kernel',
    why: 'peers reach each other either untranslated below a switch, or translated by the IOMMU; with neither the access is refused',
  },
  {
    change: 'guest BARs at their host addresses (pinbar import --mirror, pinbar run --pin …)',
    where: 'qemu',
    why: 'where the switch routes peer traffic itself it goes by the address that the device was given: guest and host address have to be equal',
  },
  {
    change: 'ACS redirect off on the switch’s downstream ports (pci=disable_acs_redir=…, firmware setup)',
    where: 'host-kernel',
    why: 'traffic between ports below one switch then need not go up to the root complex; devices below it end up in one IOMMU group',
  },
];

/** Peers that do not reach each other, and trees that lack what software needs to see. */
export function peers(scene: Scene): Candidate[] {
  return [barsUnmappable(scene) ?? blocked(scene), topology(scene)].filter((one) => one !== undefined);
}

/** cloud-hypervisor maps BARs for peers like RAM, and starts no guest where the host cannot (QEMU goes on). */
function barsUnmappable(scene: Scene): Candidate | undefined {
  const lines = fatalPeerMappings(scene.evidence.dma).map(({ line }) => line);
  if (lines.length === 0) return undefined;
  return {
    cause: 'p2p-blocked',
    confidence: 'likely',
    fault: true,
    weight: 82,
    summary: 'The VMM maps BARs of devices for their peers, the host cannot, and the VMM takes that for an error.',
    evidence: cite(lines),
    proof:
      'EFAULT for an MMIO region: the host’s iommufd pins pages, and a BAR has none. RAM is mapped in another way, and is not what fails; a guest without peer-to-peer traffic does not need the mapping.',
    remedies: [
      {
        change: '--platform vfio_p2p_dma=off',
        where: 'cloud-hypervisor',
        why: 'BARs are then not mapped for peers, and the guest starts',
      },
      {
        change: 'the legacy VFIO container in the place of iommufd (no iommufd=on)',
        where: 'cloud-hypervisor',
        why: 'it maps BARs for peers',
      },
    ],
    missing: [ask.vmmLog],
  };
}

function blocked(scene: Scene): Candidate | undefined {
  const { evidence } = scene;
  const completions = said(evidence, 'peer-completion');
  const refused = said(evidence, 'peer-refused', 'peer-matrix', 'nccl-p2p-off').filter(
    ({ line }) => !/transactions on BARs/.test(line.text),
  );
  const register = said(evidence, 'peer-register');
  const faults = said(evidence, 'iommu-fault');
  const wants = evidence.lines.some(({ text }) => wanted.test(text));
  const hit = faults
    .map((fault) => ({ fault, bar: barAt(scene, fault.values['address']) }))
    .find(({ bar }) => bar !== undefined);
  const unsupported = said(evidence, 'peer-unsupported');
  const mappings = peerMappings(evidence.dma);
  const main: LogLine[] = [...completions, ...refused, ...register].map(({ line }) => line);
  // Faults in the range where BARs below 4 GiB lie, of a device that a driver uses, are accesses to another device's BAR.
  const likeBar = faults.filter(({ line, values }) => isDriven(line) && isBarRange(values['address']));
  const faulty = wants || hit ? faults.map(({ line }) => line) : likeBar.map(({ line }) => line);
  const unmapped =
    wants || devicesIn(scene) > 1 ? [...unsupported.map(({ line }) => line), ...mappings.map(({ line }) => line)] : [];
  const [first] = [...main, ...faulty, ...unmapped];
  if (!first) return undefined;
  const status = completions[0]?.values['status'];
  const proof: string[] = [];
  if (hit?.bar)
    proof.push(
      `The faulting address ${hex(BigInt(`0x${hit.fault.values['address'] ?? '0'}`))} lies in ${hit.bar.name} at ${hit.bar.range}: a peer's BAR that the IOMMU does not map for this device.`,
    );
  else if (faulty.length > 0)
    proof.push(
      'The IOMMU refuses accesses of a device while peers are to be used; addresses of peer BARs are not mapped for it.',
    );
  if (status === '4')
    proof.push(
      'Completion status 4 is a local protection error: the adapter’s own access to the memory that it was given failed, here a GPU’s BAR.',
    );
  else if (status) proof.push(`The adapter ended a transfer with status ${status}.`);
  if (unmapped.length > 0)
    proof.push(
      'QEMU could not map one device’s BAR for the others (EFAULT), and says that peer-to-peer on BARs does not work.',
    );
  if (proof.length === 0) proof.push('The driver says that peers may not be used.');
  const onlyUnmapped = main.length === 0 && faulty.length === 0;
  return {
    cause: 'p2p-blocked',
    confidence: hit ? 'certain' : main.length > 0 && refused.length > 0 ? 'likely' : 'possible',
    fault: true,
    weight: hit ? 82 : onlyUnmapped ? 38 : main.length > 0 ? 70 : 56,
    summary: 'Devices cannot reach each other’s memory: peer-to-peer traffic has no working path.',
    evidence: cite(first, hit?.fault.line, main, faulty, unmapped, hit?.bar?.line),
    proof: proof.join(' '),
    remedies,
    missing: [ask.peer],
  };
}

/** A driver other than vfio uses the device that the line names. */
function isDriven({ text }: LogLine): boolean {
  const driver = functionMessage(text)?.driver;
  return driver !== undefined && !['pci', 'vfio-pci', 'pcieport'].includes(driver);
}

/** Between the RAM below 4 GiB and the interrupt controllers: where 32-bit windows are on PCs. */
function isBarRange(digits: string | undefined): boolean {
  if (digits === undefined || digits.length > 16) return false;
  const address = BigInt(`0x${digits}`);
  return address >= 0x8000_0000n && address < 0xfee0_0000n;
}

function barAt(
  scene: Scene,
  digits: string | undefined,
): { name: string; range: string; line: LogLine | undefined } | undefined {
  if (digits === undefined || digits.length > 16) return undefined;
  const address = BigInt(`0x${digits}`);
  for (const { kind, functions } of scene.evidence.observations) {
    for (const fn of functions) {
      for (const { placement, size, name, space, source } of fn.resources) {
        if (
          fn.isBridge ||
          kind === 'dmesg' ||
          space !== 'memory' ||
          !('address' in placement) ||
          size === undefined ||
          typeof name !== 'number'
        )
          continue;
        if (placement.address > 0n && address >= placement.address && address < placement.address + size) {
          return {
            name: `${formatBdf(fn.address)} BAR ${name}`,
            range: hex(placement.address),
            line: scene.evidence.lineAt(source),
          };
        }
      }
    }
  }
  const story = scene.stories.find(
    ({ placed, isWindow, space }) => !isWindow && space === 'memory' && placed?.contains(address),
  );
  return story
    ? {
        name: `${formatBdf(story.address)} BAR ${String(story.name)}`,
        range: story.placed?.toString() ?? '',
        line: story.events.at(-1)?.line,
      }
    : undefined;
}

const devicesIn = ({ evidence }: Scene): number =>
  new Set(
    evidence.commands.flatMap(({ devices }) =>
      devices.filter(({ driver }) => driver.startsWith('vfio-')).map(({ text }) => text),
    ),
  ).size;

/** Class codes of display controllers and accelerators, as NCCL's topology file has them. */
const gpuClass = /^0x(?:03|12)/;

function topology(scene: Scene): Candidate | undefined {
  return ncclTopology(scene) ?? matrix(scene) ?? tree(scene);
}

function topologyRemedies(): Remedy[] {
  return [
    {
      change:
        'each GPU and NIC behind a pcie-root-port, those that share a host switch behind an x3130-upstream with xio3130-downstream ports',
      where: 'qemu',
      why: 'drivers and NCCL judge distances by the switches and ports that they see',
    },
    {
      change:
        'pxb-pcie with numa_node for each host socket (libvirt: <controller model="pcie-expander-bus"> with <target><node>)',
      where: 'qemu',
      why: 'a device’s NUMA node is that of its root bus',
    },
    {
      change: 'x-nv-gpudirect-clique=N on vfio-pci for GPUs that reach each other on the host',
      where: 'qemu',
      why: 'tells NVIDIA’s driver in a guest which GPUs may use peer-to-peer',
    },
    {
      change: 'NCCL_TOPO_FILE with the host’s topology',
      where: 'driver',
      why: 'where the tree cannot be changed NCCL takes it from a file',
    },
  ];
}

function ncclTopology(scene: Scene): Candidate | undefined {
  const tags = scene.evidence.tags;
  if (!tags.some(({ name }) => name === 'system' || name === 'pci')) return undefined;
  const pcis = tags.filter(({ name, attributes }) => name === 'pci' && attributes['busid'] !== undefined);
  const gpus = pcis.filter(({ attributes }) => gpuClass.test(attributes['class'] ?? ''));
  const flat = gpus.filter(
    ({ attributes, line }) =>
      /^[0-9a-f]{4,8}:00:/i.test(attributes['busid'] ?? '') ||
      (attributes['link_width'] ?? '') === '0' ||
      !parentOf(pcis, line),
  );
  const cpus = tags.filter(({ name, attributes }) => name === 'cpu' && attributes['numaid'] !== undefined);
  const noNuma = cpus.filter(({ attributes }) => attributes['numaid'] === '-1');
  if (gpus.length < 2 || (flat.length < 2 && noNuma.length === 0)) return undefined;
  const linkless = flat.filter(({ attributes }) => attributes['link_width'] === '0' || attributes['link_speed'] === '');
  return {
    cause: 'topology-not-mirrored',
    confidence: flat.length === gpus.length ? 'certain' : 'likely',
    fault: true,
    weight: 80,
    summary: `${flat.length} GPUs hang on a root bus directly: no port, switch or NUMA node tells software which of them are near each other.`,
    evidence: cite(
      flat.map(({ line }) => line),
      noNuma.map(({ line }) => line),
    ),
    proof: `${flat.map(({ attributes }) => attributes['busid'] ?? '').join(', ')} have no bridge above${linkless.length > 0 ? `; ${linkless.length} of them have no link (link_width 0), as root-complex endpoints have none` : ''}${noNuma.length > 0 ? '; the CPU’s NUMA node is -1, unknown' : ''}.`,
    remedies: topologyRemedies(),
    missing: [
      {
        command: 'lspci -tv (on the host and in the guest); nvidia-smi topo -m',
        why: 'which switches and sockets the devices share on the host',
      },
    ],
  };
}

/** A switch's `<pci>` element has less indentation than what is behind it. */
function parentOf(
  pcis: readonly { readonly line: LogLine; readonly attributes: Readonly<Record<string, string>> }[],
  line: LogLine,
): boolean {
  const indent = line.text.search(/\S/);
  return pcis.some(
    (other) =>
      other.line.source.file === line.source.file &&
      other.line.source.line < line.source.line &&
      other.line.text.search(/\S/) < indent &&
      (other.attributes['class'] ?? '').startsWith('0x0604'),
  );
}

/** `nvidia-smi topo -m` in a guest: everything is as far from everything else as can be. */
function matrix(scene: Scene): Candidate | undefined {
  const rows = said(scene.evidence, 'topo-row').filter(({ values }) => /^GPU/.test(values['from'] ?? ''));
  const cells = rows
    .flatMap(({ values }) => (values['cells'] ?? '').trim().split(/\s+/))
    .filter((cell) => cell !== 'X');
  if (
    rows.length < 2 ||
    cells.length === 0 ||
    !cells.every((cell) => cell === 'PHB' || cell === 'SYS') ||
    scene.stack.isGuest === false
  )
    return undefined;
  return {
    cause: 'topology-not-mirrored',
    confidence: scene.stack.isGuest ? 'likely' : 'possible',
    fault: true,
    weight: scene.stack.isGuest ? 74 : 54,
    summary:
      'Every GPU is as far from every other as from the rest of the machine: the guest’s tree shows neither switches nor sockets.',
    evidence: cite(rows.map(({ line }) => line)),
    proof: `All ${cells.length} pairs are ${[...new Set(cells)].join(' or ')}; devices below one switch would be PIX or PXB.`,
    remedies: topologyRemedies(),
    missing: [
      {
        command: 'lspci -tv (on the host and in the guest)',
        why: 'whether the host has switches that the guest lacks',
      },
    ],
  };
}

const accelerator = /3D controller|NVIDIA|AMD\/ATI|Radeon|Instinct|Processing accelerators|Mellanox|Infiniband/i;

/** A guest's tree with accelerators on the root bus, where peers are asked for. */
function tree(scene: Scene): Candidate | undefined {
  const { evidence, stack } = scene;
  if (stack.isGuest !== true || !evidence.lines.some(({ text }) => wanted.test(text))) return undefined;
  const flat = evidence.trees.filter(({ depth, title }) => depth === 0 && accelerator.test(title));
  if (flat.length < 2) return undefined;
  return {
    cause: 'topology-not-mirrored',
    confidence: 'likely',
    fault: true,
    weight: 73,
    summary: `${flat.length} accelerators sit on the guest's root bus, without the ports and switches that they have on the host.`,
    evidence: cite(flat.map(({ line }) => line)),
    proof: `${flat.map(({ device, fn }) => `${device.toString(16).padStart(2, '0')}.${fn}`).join(', ')} of bus 00 have no port above them.`,
    remedies: topologyRemedies(),
  };
}
