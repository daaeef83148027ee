import { ConfigBytes } from '../pci/config-bytes.js';
import { decodeCapabilities } from '../pci/capabilities/chain.js';
import { common, MULTIFUNCTION } from '../pci/header.js';
import type { RegisterFile } from '../sim/registers.js';
import type { TwinFunction } from './function.js';
import { registersOf } from './registers.js';

/** What QEMU does not pass on to a guest: hw/vfio/pci.c, vfio_add_ext_cap. */
const hidden: ReadonlySet<string> = new Set(['singleRootIov', 'alternativeRoutingId']);

/** An extended capability that nobody knows. hw/vfio/pci.c puts it where it hides the first one. */
const NO_CAPABILITY = 0xffff;

/**
 * The registers that a served function will have in QEMU, as far as its place depends on them.
 * @param first whether it is function 0 of a device with several
 */
export function registersInQemu(fn: TwinFunction, first: boolean): RegisterFile {
  const config = new ConfigBytes();
  for (let at = 0; at < 0x1000; at += 4) if (fn.config.has(at)) config.set(at, fn.config.u32(at));
  for (const { kind, at } of decodeCapabilities(config).capabilities) {
    if (hidden.has(kind)) config.set(at, ((config.u32(at) & ~0xffff) | NO_CAPABILITY) >>> 0);
  }
  const { file } = registersOf({ ...fn, config });
  const { offset, width } = common.headerType;
  if (first) file.define(offset, width, file.read(offset, 1) | MULTIFUNCTION);
  return file;
}
