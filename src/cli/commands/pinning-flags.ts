/** What is wanted of a machine, for every command that pins in a QEMU. */
export const pinningFlags = {
  pin: {
    kind: 'parsed',
    parse: String,
    variadic: true,
    optional: true,
    brief: 'Put BARs of the device with this id at these bus addresses (also rom@ADDR, vfN@ADDR)',
    placeholder: 'ID=barN@ADDR[,barM@ADDR]',
  },
  reserve: {
    kind: 'parsed',
    parse: String,
    variadic: true,
    optional: true,
    brief: 'Keep room behind this port, or every empty one, for devices to be plugged in (also buses:N, io:SIZE)',
    placeholder: 'ID|all=memory:SIZE,prefetchable:SIZE',
  },
  machine: {
    kind: 'parsed',
    parse: String,
    optional: true,
    brief: 'Take pins and reserved ranges from this machine file',
    placeholder: 'FILE',
  },
} as const;
