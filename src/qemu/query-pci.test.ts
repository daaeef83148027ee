import { describe, expect, it } from 'vitest';
import { parseQmpJson } from './qmp.js';
import { parseQueryPci } from './query-pci.js';

/** In the shape of QEMU's answer: a root port with a device behind it, and one that nobody has numbered. */
const answer = parseQmpJson(`[{"bus": 0, "devices": [
  {"bus": 0, "qdev_id": "", "irq_pin": 0, "slot": 0, "class_info": {"class": 1536, "desc": "Host bridge"},
   "id": {"device": 8, "vendor": 6966}, "function": 0, "regions": []},
  {"bus": 0, "qdev_id": "rp1", "slot": 1, "function": 0, "irq": 0,
   "class_info": {"class": 1540, "desc": "PCI bridge"}, "id": {"device": 12, "vendor": 6966},
   "pci_bridge": {
     "bus": {"number": 0, "secondary": 1, "subordinate": 1,
       "io_range": {"base": 61440, "limit": 4095},
       "memory_range": {"base": 268435456, "limit": 269484031},
       "prefetchable_range": {"base": 549755813888, "limit": 18446744073709551615}},
     "devices": [{"bus": 1, "qdev_id": "dev0", "slot": 0, "function": 0,
       "class_info": {"class": 255}, "id": {"device": 5, "vendor": 6966},
       "regions": [
         {"bar": 0, "mem_type_64": false, "prefetch": false, "address": 268435456, "type": "memory", "size": 4096},
         {"bar": 1, "address": -1, "type": "io", "size": 256},
         {"bar": 2, "mem_type_64": true, "prefetch": true, "address": 9007199254740993, "type": "memory", "size": 67108864}]}]},
   "regions": [{"bar": 6, "address": -1, "type": "memory", "size": 1024}]},
  {"bus": 0, "qdev_id": "rp2", "slot": 2, "function": 3,
   "pci_bridge": {"bus": {"number": 0, "secondary": 0, "subordinate": 0, "io_range": {"base": 0, "limit": 4095},
       "memory_range": {"base": 0, "limit": 1048575}, "prefetchable_range": {"base": 0, "limit": 1048575}}},
   "regions": []}
]}]`);

describe('query-pci', () => {
  it('gives every function, those behind a bridge after it', () => {
    expect(parseQueryPci(answer).map(({ bus, device, fn, id }) => [bus, device, fn, id])).toEqual([
      [0, 0, 0, ''],
      [0, 1, 0, 'rp1'],
      [1, 0, 0, 'dev0'],
      [0, 2, 3, 'rp2'],
    ]);
  });

  it('has addresses exact, and knows those that are not decoded', () => {
    expect(parseQueryPci(answer)[2]?.regions).toEqual([
      { bar: 0, type: 'memory', address: 0x1000_0000n, size: 4096n },
      { bar: 1, type: 'io', address: null, size: 256n },
      { bar: 2, type: 'memory', address: 9007199254740993n, size: 0x400_0000n },
    ]);
  });

  it('has bridges with the ranges of their registers', () => {
    expect(parseQueryPci(answer)[1]?.bridge).toEqual({
      secondary: 1,
      subordinate: 1,
      io: { base: 0xf000n, limit: 0xfffn },
      memory: { base: 0x1000_0000n, limit: 0x100f_ffffn },
      prefetchable: { base: 0x80_0000_0000n, limit: 0xffff_ffff_ffff_ffffn },
    });
    expect(parseQueryPci(answer)[0]?.bridge).toBeUndefined();
  });

  it('an address above 2^63 that QEMU prints as a negative number is the same address', () => {
    const regions = [{ bar: 0, type: 'memory', address: -4096n, size: 4096 }];
    const [fn] = parseQueryPci([{ bus: 0, devices: [{ bus: 0, slot: 0, function: 0, qdev_id: '', regions }] }]);
    expect(fn?.regions[0]?.address).toBe(0xffff_ffff_ffff_f000n);
  });

  it.each([[null], [{}], [[{ bus: 0 }]], [[{ bus: 0, devices: [{ bus: 0 }] }]], ['text']])(
    '%j is no answer',
    (value) => {
      expect(() => parseQueryPci(value)).toThrow(expect.objectContaining({ code: 'query-pci', exit: 3 }) as Error);
    },
  );
});
