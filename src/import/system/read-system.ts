import { parseDeviceTree } from '../../devicetree/parse.js';
import { Problem } from '../../problem/problem.js';
import { mergeCapture } from '../capture/merge.js';
import type { Capture, Missing } from '../capture/model.js';
import { observeDeviceTree } from '../device-tree.js';
import { cleanLine, linesOf } from '../lines.js';
import type { Observation } from '../observation.js';
import { ProcResourcesReader } from '../proc-resources.js';
import { emptyObservation } from '../reader.js';
import { readGroups, readHost } from './host.js';
import { readPci } from './pci-functions.js';
import { textOf, type SystemTree } from './tree.js';

/** Bytes of /proc/iomem that are read: hosts with thousands of functions have less. */
const MOST_MAP = 16 * 1024 * 1024;
const MOST_DEVICE_TREE = 64 * 1024 * 1024;

/**
 * What a Linux system shows of its PCI, running or copied. Nothing is written, and nothing is read that a device could
 * notice beyond its config space.
 * @throws Problem `scan-no-pci` where the tree shows no PCI at all
 */
export function readSystem(tree: SystemTree): Capture {
  const observations = observeSystem(tree);
  return mergeCapture(observations.list, { withheld: tree.live ? 'root' : 'copy', found: observations.missing });
}

/** The same, before it is put together with what other files say. */
export function observeSystem(tree: SystemTree): { readonly list: Observation[]; readonly missing: Missing[] } {
  const pci = readPci(tree);
  if (pci.functions.length === 0) throw noPci(tree);
  const missing: Missing[] = [];
  const sysfs: Observation = {
    ...emptyObservation,
    kind: 'sysfs',
    file: tree.name,
    boot: 0,
    functions: pci.functions,
    rootBuses: pci.rootBuses,
    groups: readGroups(tree),
    host: readHost(tree),
  };
  const maps = (['iomem', 'ioports'] as const).flatMap((name) => readMap(tree, name, missing));
  return { list: [sysfs, ...maps, ...readDeviceTree(tree, missing)], missing };
}

function readMap(tree: SystemTree, name: 'iomem' | 'ioports', missing: Missing[]): Observation[] {
  const file = `/proc/${name}`;
  const adds = name === 'iomem' ? 'host bridge windows, RAM' : 'I/O windows of host bridges';
  const text = textOf(tree, file, MOST_MAP);
  if (text === undefined) {
    const why = tree.read(file, 1) === 'denied' ? 'root' : tree.live ? 'machine' : 'copy';
    missing.push({ what: file, why, adds });
    return [];
  }
  const reader = new ProcResourcesReader(file);
  let line = 0;
  for (const raw of linesOf(text)) reader.take(cleanLine(raw, { file, line: ++line }));
  const found = reader.finish(0);
  const zeros = found.some(({ notes }) => notes.some(({ code }) => code === 'read-without-root'));
  if (zeros) missing.push({ what: file, why: tree.live ? 'root' : 'copy', adds });
  return found.map(({ notes, ...rest }) => ({
    ...rest,
    notes: notes.filter(({ code }) => code !== 'read-without-root'),
  }));
}

/** A machine that was booted with a device tree has it here; only root may read it. */
function readDeviceTree(tree: SystemTree, missing: Missing[]): Observation[] {
  const file = '/sys/firmware/fdt';
  const bytes = tree.read(file, MOST_DEVICE_TREE);
  if (bytes === 'denied') {
    missing.push({ what: file, why: 'root', adds: 'host bridge windows and their bus addresses' });
  }
  if (typeof bytes === 'string') return [];
  try {
    return [observeDeviceTree(parseDeviceTree(bytes), file)];
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    missing.push({ what: file, why: 'machine', adds: `host bridge windows; ${error.message}` });
    return [];
  }
}

function noPci(tree: SystemTree): Problem {
  return new Problem('scan-no-pci', `${tree.live ? 'this machine' : tree.name} shows no PCI functions`, {
    hint: tree.live
      ? 'it has none, or /sys is not mounted'
      : 'copy at least /sys/devices and /sys/bus/pci/devices, with symbolic links as they are (cp -a)',
    facts: { root: tree.name },
  });
}
