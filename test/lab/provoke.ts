import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setProperty } from '../../src/devicetree/edit.js';
import { keepPciSetup } from '../../src/devicetree/keep.js';
import { parseDeviceTree } from '../../src/devicetree/parse.js';
import { encodeWindows, pciHostBridges } from '../../src/devicetree/pci.js';
import { findNode, type DeviceTree } from '../../src/devicetree/tree.js';
import { writeDeviceTree } from '../../src/devicetree/write.js';
import { output, type Boot } from './console.js';
import type { Failure } from './failures.js';
import { writeInitrd } from './initrd.js';
import { boardOf, fastKernelArguments, firmwareDrives, kernelImage, qemuBinary, type Part } from './lab.js';
import { runAndPlug, waitForFunctions } from './plug.js';
import { runToEnd } from './run.js';

/** Parts of the lab that a failure needs. */
export function partsOf({ arch, qemu, kernel = '6.12', firmware, refused }: Failure): Part[] {
  const suffix = arch === 'aarch64' ? '' : `-${arch}`;
  return [
    `qemu-${qemu}${suffix}`,
    ...(refused ? [] : [`linux-${kernel}${suffix}`, `guest${suffix}`]),
    ...(firmware ? [`edk2-${firmware}${suffix}`] : []),
  ] as Part[];
}

/** Starts the machine and returns what it prints: QEMU's command and errors, or the guest's kernel log and listings. */
export async function provoke(failure: Failure, folder: string): Promise<string> {
  const { arch, qemu, kernel = '6.12', board, cpu, listings = {}, refused, plug } = failure;
  const binary = qemuBinary(qemu, arch);
  if (refused) {
    const { errors } = await runToEnd([binary, ...refused]);
    // Programs name themselves by their path.
    const name = `qemu-system-${arch}`;
    return `$ ${name} ${refused.join(' ')}\n${errors.replaceAll(binary, name)}`;
  }
  const initrd = join(folder, 'initrd');
  const before = failure.before ?? {};
  const wanted = { ...before, dmesg: 'dmesg', ...listings };
  const script = Object.entries(wanted)
    .map(([name, command]) => `section ${name} ${command}`)
    .join('\n');
  writeInitrd(initrd, {
    script: `${plug ? waitForFunctions(plug.functions) : ''}${script}`,
    arch,
    kernel,
    lspci: listings['lspci'] !== undefined,
  });
  const usual = boardOf(arch);
  const machine = board ? `${usual.machine},${board}` : usual.machine;
  const words = [
    ...(cpu === undefined ? usual.cpu : ['-cpu', cpu]),
    ...['-m', '1G', '-display', 'none', '-nodefaults', ...flash(failure)],
    ...failure.devices.flatMap((device) => ['-device', device]),
  ];
  const tree = failure.tree && (await editedTree(failure, [binary, '-machine', machine, ...words], folder));
  const append = [fastKernelArguments[arch], failure.kernelArguments ?? ''].join(' ').trim();
  const command: [string, ...string[]] = [
    ...([binary, '-machine', machine, ...words] as const),
    ...['-serial', 'stdio', '-kernel', kernelImage(kernel, arch), '-initrd', initrd, '-append', append],
    ...(tree === undefined ? [] : ['-dtb', tree]),
  ];
  const boots = plug
    ? await runAndPlug(command, { folder, plug: plug.devices, seconds: 170 })
    : (await runToEnd(command, { seconds: 170 })).boots;
  if (boots.length === 0) throw new Error(`${failure.name}: the guest did not boot`);
  return Object.keys(wanted)
    .map((name) => `${shown(boots[0], name, name in before).trimEnd()}\n`)
    .join('\n');
}

/** What a command printed; of one that may fail by design also then. */
const shown = (boot: Boot | undefined, name: string, mayFail: boolean): string =>
  (mayFail ? boot?.sections.get(name)?.output : undefined) ?? output(boot, name);

const flash = ({ firmware, arch }: Failure): string[] => (firmware ? firmwareDrives(firmware, arch) : []);

const edits: Readonly<Record<NonNullable<Failure['tree']>, (tree: DeviceTree) => DeviceTree>> = {
  'probe-only': (tree) => keepPciSetup(tree),
  'no-32bit-window': (tree) =>
    pciHostBridges(tree).reduce((edited, { path, windows }) => {
      const at = findNode(edited, path);
      const kept = windows.filter(({ type }) => type !== 'mem32');
      return at ? setProperty(edited, path, 'ranges', encodeWindows(at, kept)) : edited;
    }, tree),
};

/** The device tree that QEMU makes for the machine, edited. */
async function editedTree(
  { tree }: Failure,
  [binary, option, machine, ...words]: readonly [string, string, string, ...string[]],
  folder: string,
): Promise<string> {
  const path = join(folder, 'machine.dtb');
  await runToEnd([binary, option, `${machine},dumpdtb=${path}`, ...words, '-serial', 'null']);
  const edit = edits[tree ?? 'probe-only'];
  writeFileSync(path, writeDeviceTree({ ...edit(parseDeviceTree(readFileSync(path))), totalSize: 0 }));
  return path;
}
