import type { SriovFacts } from '../function-facts.js';
import type { FunctionDraft } from '../observation.js';

const number = /^(?:0x[0-9a-f]{1,8}|-?\d{1,9})$/i;

/** Takes the content of one of a function's files in sysfs. False where its name or its content is of no use here. */
export function setAttribute(fn: FunctionDraft, name: string, text: string): boolean {
  if (name === 'driver') {
    if (!/^[\w.-]{1,64}$/.test(text)) return false;
    fn.driver = text;
    return true;
  }
  const value = number.test(text) ? Number(text) : NaN;
  if (Number.isNaN(value)) return false;
  switch (name) {
    case 'vendor':
    case 'device':
    case 'class':
    case 'revision':
      fn[name] = value;
      return true;
    case 'subsystem_vendor':
      fn.subsystem = { device: 0, ...fn.subsystem, vendor: value };
      return true;
    case 'subsystem_device':
      fn.subsystem = { vendor: 0, ...fn.subsystem, device: value };
      return true;
    case 'numa_node':
      fn.numaNode = value < 0 ? null : value;
      return true;
    case 'iommu_group':
      fn.iommuGroup = value;
      return true;
    case 'sriov_totalvfs':
      return setSriov(fn, 'totalVfs', value);
    case 'sriov_numvfs':
      return setSriov(fn, 'numVfs', value);
    case 'sriov_offset':
      return setSriov(fn, 'firstVfOffset', value);
    case 'sriov_stride':
      return setSriov(fn, 'vfStride', value);
    default:
      return false;
  }
}

function setSriov(fn: FunctionDraft, key: keyof SriovFacts, value: number): true {
  const sriov: SriovFacts = { totalVfs: 0, ...fn.capabilities?.sriov, [key]: value };
  fn.capabilities = { ...fn.capabilities, sriov };
  return true;
}
