import { alignUp, maxOf } from '../address/align.js';
import { formatQemuSize, formatSize } from '../address/format.js';
import { GiB, KiB, MiB } from '../address/kinds.js';
import type { SizeAnswer } from './answer.js';
import { windowNeed, type DeviceNeed, type WindowKind } from './need.js';
import { windowWherever } from './wherever.js';

/** src/fw/pciinit.c of SeaBIOS, PCI_BRIDGE_MEM_MIN: its windows start at multiples of this. */
const SEABIOS_STEP = 2n * MiB;

/** What any one of the devices needs of a window. */
interface Room {
  /** Packed, at a multiple of its largest BAR. */
  readonly packed: bigint;
  /** Of the largest BAR. */
  readonly align: bigint;
  /** In a window that starts at any multiple of `step`. */
  readonly wherever: (step: bigint) => bigint;
}

function roomOf(devices: readonly DeviceNeed[], kind: WindowKind): Room {
  const needs = devices.map((one) => windowNeed(one, kind));
  return {
    packed: needs.map(({ size }) => size).reduce(maxOf, 0n),
    align: needs.map(({ align }) => align).reduce(maxOf, 0n),
    wherever: (step) => needs.map(({ sizes }) => windowWherever(sizes, step)).reduce(maxOf, 0n),
  };
}

function powerOfTwo(size: bigint): bigint {
  let found = 1n;
  while (found < size) found *= 2n;
  return found;
}

/** Room behind an empty port for any one of the devices, as each firmware and Linux is told. */
export function portAnswers(devices: readonly DeviceNeed[]): SizeAnswer[] {
  const pref = roomOf(devices, 'prefetchable');
  const memory = roomOf(devices, 'memory');
  return [
    ...reserve('pref64-reserve', pref),
    ...reserve('mem-reserve', memory),
    ioReserve(roomOf(devices, 'io')),
    {
      stack: 'port',
      option: 'bus-reserve',
      where: 'pcie-root-port, empty at the boot',
      value: null,
      why: 'the port has one bus of its own, and a device needs no other; a switch or bridge that is plugged in needs one more for each bridge in it',
      by: 'source',
    },
    ...linuxAnswers(pref, memory),
  ];
}

/** OvmfPkg/PciHotPlugInitDxe of 2024 and later keeps no I/O ports by itself; Debian's 2025.02 neither. */
function ioReserve({ packed }: Room): SizeAnswer {
  const common = {
    stack: 'port',
    option: 'io-reserve',
    where: 'pcie-root-port, empty at the boot',
    by: 'source',
  } as const;
  if (packed === 0n) {
    return {
      ...common,
      value: null,
      why: 'no device has I/O ports; io-reserve=0 saves the 4 KiB that EDK2 before 2024 keeps by itself, of 16 windows in all',
    };
  }
  return {
    ...common,
    value: formatQemuSize(alignUp(packed, 4n * KiB)),
    why: 'I/O windows come in steps of 4 KiB; by themselves SeaBIOS and EDK2 from 2024 on keep no I/O ports at a port of PCI Express. Linux opens a window at each of them as long as there are I/O ports left, for 15 or fewer, and not where firmware has kept them all for others',
    smaller: {
      value: '0',
      fails: 'nothing is kept, and where Linux has no I/O ports left either the BAR finds no place',
    },
  };
}

function reserve(option: 'pref64-reserve' | 'mem-reserve', { packed, align, wherever }: Room): SizeAnswer[] {
  const where = (firmware: string) => `pcie-root-port, empty at the boot, ${firmware}`;
  if (packed === 0n) {
    return [
      {
        stack: 'port',
        option,
        where: where('any firmware'),
        value: null,
        why: 'no device has such BARs',
        by: 'source',
      },
    ];
  }
  const exact = alignUp(packed, MiB);
  const rounded = powerOfTwo(exact);
  const slack = maxOf(wherever(SEABIOS_STEP), SEABIOS_STEP);
  const limit = option === 'mem-reserve' ? 4n * GiB : 1n << 64n;
  const said = (value: bigint) => (value < limit ? formatQemuSize(value) : null);
  const isDefault = option === 'mem-reserve' && rounded <= 2n * MiB;
  return [
    {
      stack: 'port',
      option,
      where: where('EDK2 and OVMF; pinbar run'),
      value: isDefault ? null : said(rounded),
      why: isDefault
        ? 'they keep 2 MiB by themselves'
        : `the BARs of one device take ${formatSize(exact)}; EDK2 rounds up to a power of two, and the window lies at a multiple of it`,
      ...(isDefault || rounded <= MiB
        ? {}
        : { smaller: { value: formatQemuSize(rounded / 2n), fails: 'the BARs do not fit in the window' } }),
      by: 'source',
    },
    {
      stack: 'port',
      option,
      where: where('SeaBIOS'),
      value: slack <= SEABIOS_STEP ? null : said(slack),
      why:
        slack <= SEABIOS_STEP
          ? 'it keeps 2 MiB by itself'
          : `its windows start at any multiple of 2 MiB: ${formatSize(slack)} hold a BAR of ${formatSize(align)} at a multiple of its size wherever that is`,
      ...(slack <= SEABIOS_STEP
        ? {}
        : {
            smaller: {
              value: formatQemuSize(slack - SEABIOS_STEP),
              fails: 'it fits or not by where the window happens to start',
            },
          }),
      by: 'source',
    },
  ];
}

/** drivers/pci/setup-bus.c, pbus_size_mem: windows of empty ports start at multiples of 1 MiB. */
function linuxAnswers(pref: Room, memory: Room): SizeAnswer[] {
  const where = 'kernel command line, where Linux places by itself';
  const one = (option: string, room: Room): SizeAnswer => {
    const value = room.wherever(MiB);
    const enough = value <= 2n * MiB;
    return {
      stack: 'linux',
      option: `pci=${option}`,
      where,
      value: enough ? null : formatQemuSize(value),
      why: enough
        ? 'the default, 2 MiB, does'
        : `kept behind every hot-plug port that is empty; its window starts at any multiple of 1 MiB. Windows that firmware has opened stay as they are`,
      ...(enough
        ? {}
        : {
            smaller: {
              value: formatQemuSize(value - MiB),
              fails:
                'it fits or not by where the window happens to start; if not, Linux looks for another place for the window of that port alone, and behind a switch there is none',
            },
          }),
      by: 'source',
    };
  };
  return [
    one('hpmmioprefsize', pref),
    one('hpmmiosize', memory),
    {
      stack: 'linux',
      option: 'pci=hpiosize',
      where,
      value: null,
      why: 'the default, 256 bytes, opens a window of 4 KiB, as small as they come, and it holds the I/O BARs of any device',
      by: 'source',
    },
    {
      stack: 'linux',
      option: 'pci=hpbussize',
      where,
      value: null,
      why: 'the default, one bus behind every hot-plug port, does for a device; a switch or bridge that is plugged in needs one more for each bridge in it',
      by: 'source',
    },
  ];
}
