import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { concat, fromAscii, little } from '../../src/acpi/bytes.js';
import { findDsdt } from '../../src/acpi/find.js';
import { hostBridgeWindows, keepBars, moveHighWindow, windowsOfOthers } from '../../src/acpi/host-bridge.js';
import { definitions } from '../../src/acpi/namespace.js';
import { qwordMemory, resourceTemplate } from '../../src/acpi/resources.js';
import { definitionBlock, withChecksum } from '../../src/acpi/table.js';
import { buffer, device, method, name, scope } from '../../src/acpi/write.js';
import { AddressRange } from '../../src/address/range.js';
import { keepPciSetup } from '../../src/devicetree/keep.js';
import { memoryRanges } from '../../src/devicetree/memory.js';
import { parseDeviceTree } from '../../src/devicetree/parse.js';
import { writeDeviceTree } from '../../src/devicetree/write.js';
import { xenGuest } from '../../src/devicetree/xen.js';
import { diagnose } from '../../src/doctor/diagnose.js';
import { diagnosisToJson } from '../../src/doctor/json.js';
import { EvidenceReader, gather } from '../../src/doctor/read.js';
import { formats } from '../../src/export/formats.js';
import { captureText } from '../../src/import/capture/save.js';
import { loadCapture } from '../../src/import/capture/load.js';
import { mergeCapture } from '../../src/import/capture/merge.js';
import { observeCapture } from '../../src/import/capture/observe.js';
import { observeDeviceTree } from '../../src/import/device-tree.js';
import { GuestBytesReader } from '../../src/import/guest-bytes.js';
import { guestMachine } from '../../src/import/machine/guest-machine.js';
import { machineOfDomain } from '../../src/import/machine/libvirt.js';
import { machineOfQemu } from '../../src/import/machine/qemu.js';
import { readSystem } from '../../src/import/system/read-system.js';
import { loadMachine } from '../../src/machine/load.js';
import { loadPlan } from '../../src/place/load-plan.js';
import { planToJson } from '../../src/place/plan-json.js';
import { biosInformation, findEntryPoint } from '../../src/uefi/smbios.js';
import { findSystemTable } from '../../src/uefi/system-table.js';
import { withRanges } from '../../src/uefi/root-bridge-resources.js';
import { oneOfEverything, sourceOf, twoRoots } from '../support/export-source.js';
import { MemoryTree, systemOf, type TreeEntry } from '../support/system-tree.js';
import { virtHostBridge, virtTree } from '../support/virt-tree.js';

/** A parser, with inputs that it takes. What it throws has to be a Problem. */
export interface Target {
  readonly seeds: (root: string) => Promise<Uint8Array[]>;
  readonly run: (bytes: Uint8Array) => unknown;
}

const decoder = new TextDecoder();
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Files of a folder and of those in it; of logs the start. */
function filesOf(folder: string, wanted: RegExp, most = 1 << 20): Uint8Array[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => wanted.test(file))
    .sort()
    .map((file) => readFileSync(join(folder, file)).subarray(0, most));
}

const samples = (root: string) => filesOf(join(root, 'src/import/samples'), /input\.txt$/, 1 << 13);
const reports = (root: string) => filesOf(join(root, 'src/doctor/samples'), /\.txt$/, 1 << 13);

async function exported(format: string, text: string): Promise<Uint8Array> {
  const write = await formats.find(({ name }) => name === format)!.load();
  const found = write(await sourceOf(text)).content;
  return typeof found === 'string' ? encode(found) : found;
}

/** Memory of a guest in which the input lies over and over. */
const memoryOf = (bytes: Uint8Array) => (at: bigint, size: number) => {
  const memory = new Uint8Array(size);
  const start = Number(at % BigInt(bytes.length || 1));
  for (let i = 0; i < size; i++) memory[i] = bytes[(start + i) % bytes.length] ?? 0;
  return Promise.resolve(memory);
};

const high = AddressRange.of(0x80_0000_0000n, 0xff_ffff_ffffn);
const dsdt = definitionBlock(
  'DSDT',
  'TEST',
  scope(
    '\\_SB',
    device('OTHR', method('_DSM', 4)),
    device('PCI0', name('_CRS', buffer(resourceTemplate(qwordMemory(high.base, high.limit)))), method('_DSM', 4)),
  ),
);

/** A capture as import hands it on: saved and read again it is the same, and machines can be made of it. */
async function useCapture(capture: Awaited<ReturnType<typeof loadCapture>>): Promise<void> {
  const again = await loadCapture(captureText(capture), 'saved');
  mergeCapture(observeCapture(again, 'saved'));
  const [first] = capture.functions;
  if (first) guestMachine(capture, { devices: [first.address], mirror: true });
}

export const targets: Readonly<Record<string, Target>> = {
  /** lspci in all its forms, dmesg, /proc/iomem and /proc/ioports, sysfs as text, lists of IOMMU groups. */
  listings: {
    seeds: (root) => Promise.resolve([...samples(root), ...reports(root)]),
    run: async (bytes) => {
      const reader = new GuestBytesReader('fuzz.txt');
      reader.push(bytes);
      await useCapture(mergeCapture(reader.finish()));
    },
  },
  doctor: {
    seeds: (root) => Promise.resolve([...reports(root), ...samples(root)]),
    run: (bytes) => {
      const reader = new EvidenceReader('fuzz.txt');
      reader.pushBytes(bytes);
      diagnosisToJson(diagnose(gather([reader.finish()])));
    },
  },
  /** A copied tree of sysfs and proc: `path\n`, then the content, with a NUL between files; links begin with `->`. */
  system: {
    seeds: async () => {
      const machine = await Promise.all([sourceOf(oneOfEverything), sourceOf(twoRoots())]);
      return Promise.all(machine.map(async (one) => packTree((await systemOf(one.machine!)).files)));
    },
    run: (bytes) => useCapture(readSystem(new MemoryTree(unpackTree(bytes)))),
  },
  'device-tree': {
    seeds: async () => [await exported('dtb', oneOfEverything), writeDeviceTree(virtTree(virtHostBridge))],
    run: async (bytes) => {
      const tree = parseDeviceTree(bytes);
      for (const read of [
        () => observeDeviceTree(tree, 'fuzz.dtb'),
        () => memoryRanges(tree),
        () => xenGuest([tree]),
        () => parseDeviceTree(writeDeviceTree(keepPciSetup(tree))),
      ])
        await refused(read);
    },
  },
  domain: {
    seeds: () => Promise.all([exported('libvirt', oneOfEverything), exported('libvirt', twoRoots())]),
    run: (bytes) => machineOfDomain(decoder.decode(bytes), 'fuzz.xml'),
  },
  command: {
    seeds: async () => [
      await exported('qemu', oneOfEverything),
      await exported('qemu-rfc', oneOfEverything),
      await exported('qemu-pci-bars', oneOfEverything),
      encode(
        `qemu-system-x86_64 -M q35 -m 4G,maxmem=8G -device '{"driver":"pcie-root-port","id":"rp1","bus":"pcie.0","addr":"1.0","chassis":1}' -device '{"driver":"pci-testdev","id":"d","bus":"rp1","membar":1073741824}' -set device.d.fixed-bars=bar2@0x8000000000 -object memory-backend-ram,id=m,size=1G -device ivshmem-plain,memdev=m`,
      ),
    ],
    run: (bytes) => machineOfQemu(decoder.decode(bytes)),
  },
  machine: {
    seeds: (root) =>
      Promise.resolve([encode(oneOfEverything), encode(twoRoots()), ...filesOf(join(root, 'examples'), /\.yaml$/)]),
    run: (bytes) => loadMachine(decoder.decode(bytes), 'fuzz.yaml'),
  },
  capture: {
    seeds: async (root) => {
      const { machine } = await sourceOf(twoRoots());
      const capture = readSystem(new MemoryTree((await systemOf(machine!)).files));
      return [encode(captureText(capture)), ...filesOf(join(root, 'examples'), /capture\.json$/)];
    },
    run: async (bytes) => useCapture(await loadCapture(decoder.decode(bytes), 'fuzz.json')),
  },
  plan: {
    seeds: async () => {
      const sources = await Promise.all([sourceOf(oneOfEverything), sourceOf(twoRoots())]);
      return sources.map(({ plan }) => encode(JSON.stringify(planToJson(plan), null, 2)));
    },
    run: async (bytes) => planToJson(await loadPlan(decoder.decode(bytes), 'fuzz.json')),
  },
  /** ACPI tables as a guest's firmware leaves them: a DSDT, and the way to it. */
  acpi: {
    seeds: () =>
      Promise.resolve([
        dsdt,
        concat(
          fromAscii('RSD PTR '),
          0,
          fromAscii('BOCHS '),
          2,
          little(0x40n, 4),
          little(36n, 4),
          little(0x80n, 8),
          dsdt,
        ),
      ]),
    run: async (bytes) => {
      // The checksum is right, so that what comes behind it is read.
      const table = bytes.length >= 36 ? withChecksum(Buffer.from(bytes)) : bytes;
      for (const read of [
        () => [...definitions(table)],
        () => hostBridgeWindows(table),
        () => windowsOfOthers(table),
        () => keepBars(table),
        () => moveHighWindow(table, high),
        () => findDsdt(memoryOf(bytes), 0n),
      ])
        await refused(read);
    },
  },
  /** What UEFI firmware leaves in a guest's memory: system table, SMBIOS, a root bridge's resources. */
  uefi: {
    seeds: () =>
      Promise.resolve([
        concat(
          little(0x5453_5953_2049_4249n, 8),
          new Uint8Array(0x60),
          little(1n, 8),
          little(0x80n, 8),
          fromAscii('EDK II'),
        ),
        concat(
          fromAscii('_SM3_'),
          0,
          24,
          3,
          0,
          0,
          1,
          0,
          little(0x100n, 4),
          little(32n, 8),
          0,
          24,
          0,
          0,
          1,
          2,
          fromAscii('EDK II'),
          0,
        ),
        resourceTemplate(qwordMemory(high.base, high.limit)),
      ]),
    run: async (bytes) => {
      const memory = memoryOf(bytes);
      for (const read of [
        () => findSystemTable(memory, [AddressRange.sized(0n, 0x2_0000n)]),
        () => findEntryPoint(memory),
        () => biosInformation(memory, 0n),
        () => withRanges(bytes, [high], true),
      ])
        await refused(read);
    },
  },
};

/** Goes on where an input is refused as it should be, so that what comes next sees it too. */
async function refused(read: () => unknown): Promise<void> {
  try {
    await read();
  } catch (error) {
    if (!(error instanceof Error) || !/^Problems?$/.test(error.name)) throw error;
  }
}

const packTree = (files: ReadonlyMap<string, TreeEntry>): Uint8Array =>
  Buffer.concat(
    [...files].map(([path, entry]) => {
      const content = typeof entry === 'object' && 'link' in entry ? `->${entry.link}` : entry;
      // Config space is full of NUL.
      const text = typeof content === 'string' ? content : `=${Buffer.from(content).toString('base64')}`;
      return Buffer.from(`${path}\n${text}\0`);
    }),
  );

function unpackTree(bytes: Uint8Array): Map<string, TreeEntry> {
  const files = new Map<string, TreeEntry>();
  for (const part of Buffer.from(bytes).toString('latin1').split('\0')) {
    const [path = '', ...lines] = part.split('\n');
    const content = lines.join('\n');
    if (!path.startsWith('/') || path.length > 1000) continue;
    // A real tree has no path that goes up or stands still, and no ring of links.
    if (path.split('/').some((piece, i) => i > 0 && (piece === '' || piece === '.' || piece === '..'))) continue;
    if (content.startsWith('->')) files.set(path, { link: content.slice(2) });
    else files.set(path, content.startsWith('=') ? Buffer.from(content.slice(1), 'base64') : content);
  }
  for (const [path, entry] of files) if (leadsNowhere(files, path, entry)) files.delete(path);
  return files;
}

function leadsNowhere(files: ReadonlyMap<string, TreeEntry>, path: string, first: TreeEntry): boolean {
  let [at, entry] = [path, first as TreeEntry | undefined];
  for (let turn = 0; turn < 40; turn++) {
    if (typeof entry !== 'object' || !('link' in entry)) return false;
    at = new URL(entry.link, `file://${at}`).pathname;
    entry = files.get(at);
  }
  return true;
}
