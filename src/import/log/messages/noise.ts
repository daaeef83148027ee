import { rule } from './rule.js';

/** Lines that look like faults and, by themselves, are none. */
export const noiseRules = [
  rule('cap-hidden', /vfio_(?:ecap|cap)_init: hiding (?:ecap|cap) 0x[0-9a-f]+@0x[0-9a-f]+/, 'hiding '),
  rule('rom-signature', /Invalid PCI ROM (?:header|data) signature/, 'PCI ROM'),
  rule('irq-routing', /can't derive routing for PCI INT|PCI INT [A-D]: (?:not connected|no GSI)/, 'PCI INT'),
  rule('no-atsr', /DMAR: No ATSR found|No SATC found/, 'No ATSR', 'No SATC'),
  rule('d3-quirk', /Masking broken INTx support/, 'Masking broken INTx'),
  rule('range-size-warning', /Memory resource size exceeds max for 32 bits/, 'exceeds max for 32 bits'),
  rule('dma-limit-hint', /[Dd]isabling resizable BAR|not reclaiming|No (?:kdump|AER) support/, 'esizable BAR'),
] as const;
