import type { GuestArch } from '../lab/lab.js';
import { Random } from '../check/random.js';

/** A machine's PCI devices, as QEMU is told of them. */
export interface Topology {
  readonly seed: number;
  readonly category: Category;
  readonly memory: string;
  /** Arguments of QEMU, in pairs. */
  readonly args: readonly string[];
}

const categories = ['flat', 'ports', 'conventional', 'switch', 'multifunction', 'large', 'low', 'hints'] as const;
type Category = (typeof categories)[number];

/** Devices whose BARs and ROMs differ in kind; `id` is added. QEMU's NICs bring ROMs of their own. */
const small = [
  'virtio-net-pci',
  'virtio-net-pci,romfile=',
  'virtio-rng-pci',
  'virtio-serial-pci',
  'virtio-scsi-pci',
  'virtio-gpu-pci',
  'e1000,romfile=',
  'e1000e',
  'rtl8139,romfile=',
  'vmxnet3,romfile=',
  'pcnet,romfile=',
  'intel-hda',
  'edu',
  'ich9-ahci',
  'qemu-xhci',
  'usb-ehci',
  'pci-ohci',
  'piix3-usb-uhci',
  'pci-serial',
  'tpci200',
  'lsi53c895a',
  'sdhci-pci',
  'pvpanic-pci',
  'i6300esb',
] as const;

/**
 * A topology from a seed. Every eighth seed has the same category; what is in it is random. Only devices that every
 * board has are used, so that one seed is one topology on all of them.
 */
export function topologyOf(seed: number, arch: GuestArch): Topology {
  const random = new Random(seed * 2654435761);
  const category = categories[seed % categories.length] ?? 'flat';
  const builder = new Builder(random);
  builders[category](builder);
  return { seed, category, memory: arch === 'x86_64' ? random.pick(['1G', '2G', '4G']) : '1G', args: builder.args };
}

class Builder {
  readonly args: string[] = [];
  #count = 0;
  #chassis = 0;
  readonly #free = new Map<string, number[]>();

  constructor(readonly random: Random) {
    // Slot 0 is the host bridge; q35 has devices of its own at 31.
    this.#free.set('pcie.0', random.shuffle([...Array(29).keys()].map((slot) => slot + 1)));
  }

  /** Adds a device in a free slot of `bus`; the bus that it makes is called by its id. */
  add(device: string, bus: string, address?: string): string {
    const id = `d${this.#count++}`;
    const at = address ?? this.#slot(bus);
    const [driver = '', ...options] = device.split(',');
    if (driver === 'ivshmem-plain') {
      const [size = '1M'] = options;
      this.args.push('-object', `memory-backend-ram,id=m${id},size=${size},reserve=off`);
      options.splice(0, 1, `memdev=m${id}`);
    }
    if (driver === 'nvme') options.push(`serial=${id}`);
    this.args.push('-device', [`${driver},id=${id},bus=${bus},addr=${at}`, ...options].join(','));
    return id;
  }

  #slot(bus: string): string {
    const slot = this.#free.get(bus)?.pop();
    return `0x${(slot ?? 0).toString(16)}`;
  }

  /** A root port, on `pcie.0`. */
  port(options = ''): string {
    const driver = options === '' && this.random.chance(0.15) ? 'ioh3420' : 'pcie-root-port';
    const hotplug = options === '' && driver === 'pcie-root-port' && this.random.chance(0.3) ? ',hotplug=off' : '';
    this.#chassis++;
    return this.add(`${driver},chassis=${this.#chassis},slot=0${hotplug}${options}`, 'pcie.0');
  }

  /** A switch below `bus`: the buses of its downstream ports. */
  switch(bus: string, ports: number): string[] {
    const up = this.add('x3130-upstream', bus, '0x0');
    return [...Array(ports).keys()].map((slot) => {
      this.#chassis++;
      return this.add(`xio3130-downstream,chassis=${this.#chassis},slot=${slot}`, up, `0x${slot.toString(16)}`);
    });
  }

  /** A conventional bus below `bus`. */
  bridge(bus: string, express: boolean): string {
    const id = express
      ? this.add('pcie-pci-bridge', bus, bus === 'pcie.0' ? undefined : '0x0')
      : this.add(`pci-bridge,chassis_nr=${++this.#chassis}`, bus);
    this.#free.set(id, this.random.shuffle([...Array(12).keys()].map((slot) => slot + 1)));
    return id;
  }

  some(): string {
    const { random } = this;
    return random.chance(0.6)
      ? random.pick(small)
      : random.pick([
          `pci-testdev,membar=${random.pick(['4K', '64K', '1M', '16M', '64M', '256M'])}`,
          `ivshmem-plain,${random.pick(['1M', '4M', '64M'])}`,
          'nvme',
          `bochs-display,vgamem=${random.pick(['4M', '16M', '64M'])},romfile=`,
        ]);
  }

  times(low: number, high: number, work: (i: number) => void): void {
    const count = this.random.int(low, high);
    for (let i = 0; i < count; i++) work(i);
  }
}

const builders: Readonly<Record<Category, (b: Builder) => void>> = {
  flat: (b) => b.times(2, 10, () => b.add(b.some(), 'pcie.0')),
  ports: (b) =>
    b.times(2, 8, () => {
      if (b.random.chance(0.3)) b.add(b.some(), 'pcie.0');
      const port = b.port();
      if (b.random.chance(0.85)) b.add(b.some(), port, '0x0');
    }),
  conventional: (b) => {
    b.times(1, 2, () => {
      const bus = b.bridge('pcie.0', true);
      b.times(1, 5, () => b.add(b.some(), bus));
      if (b.random.chance(0.5)) {
        const inner = b.bridge(bus, false);
        b.times(0, 4, () => b.add(b.some(), inner));
      }
    });
    b.times(0, 3, () => b.add(b.some(), 'pcie.0'));
  },
  switch: (b) => {
    b.times(1, 2, () => {
      for (const down of b.switch(b.port(), b.random.int(1, 4))) {
        if (b.random.chance(0.15)) for (const inner of b.switch(down, 2)) b.add(b.some(), inner, '0x0');
        else if (b.random.chance(0.85)) b.add(b.some(), down, '0x0');
      }
    });
    b.times(0, 3, () => b.add(b.some(), b.port(), '0x0'));
  },
  multifunction: (b) =>
    b.times(1, 4, () => {
      const bus = b.port();
      b.times(2, 6, (fn) => b.add(`${b.some()},multifunction=on`, bus, `0x0.${fn}`));
    }),
  large: (b) =>
    b.times(2, 6, () => {
      const bus = b.random.chance(0.7) ? b.port() : 'pcie.0';
      const size = b.random.pick(['256M', '512M', '1G', '2G', '4G', '8G']);
      b.add(`pci-testdev,membar=${size}`, bus, bus === 'pcie.0' ? undefined : '0x0');
    }),
  low: (b) =>
    b.times(3, 10, () => {
      const bus = b.random.chance(0.5) ? b.port() : 'pcie.0';
      const device = b.random.chance(0.5)
        ? `secondary-vga,vgamem_mb=${b.random.pick(['16', '32', '64', '128', '256'])}`
        : `bochs-display,vgamem=${b.random.pick(['16M', '32M', '64M', '128M', '256M'])}`;
      b.add(`${device},romfile=`, bus, bus === 'pcie.0' ? undefined : '0x0');
    }),
  hints: (b) =>
    b.times(2, 5, () => {
      const { random } = b;
      const options = [
        random.chance(0.4) ? `,bus-reserve=${random.int(1, 4)}` : '',
        random.chance(0.4) ? `,mem-reserve=${random.pick(['1M', '4M', '32M'])}` : '',
        random.chance(0.4) ? `,pref64-reserve=${random.pick(['4M', '64M', '2G'])}` : '',
        random.chance(0.3) ? `,io-reserve=${random.pick(['4K', '8K'])}` : '',
      ].join('');
      const port = b.port(options);
      if (random.chance(0.7)) b.add(b.some(), port, '0x0');
    }),
};
