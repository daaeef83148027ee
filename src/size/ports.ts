import { alignUp, maxOf } from '../address/align.js';
import { formatQemuSize, formatSize } from '../address/format.js';
import { GiB, KiB, MiB } from '../address/kinds.js';
import type { SizeAnswer } from './answer.js';
import { windowNeed, type DeviceNeed, type WindowKind, type WindowNeed } from './need.js';

/** src/fw/pciinit.c of SeaBIOS, PCI_BRIDGE_MEM_MIN: its windows start at multiples of this. */
const SEABIOS_STEP = 2n * MiB;

/** The device that wants most of a window. */
const most = (devices: readonly DeviceNeed[], kind: WindowKind): WindowNeed =>
  devices
    .map((one) => windowNeed(one, kind))
    .reduce((a, b) => ({ size: maxOf(a.size, b.size), align: maxOf(a.align, b.align) }));

function powerOfTwo(size: bigint): bigint {
  let found = 1n;
  while (found < size) found *= 2n;
  return found;
}

/** Room behind an empty port for any one of the devices, as each firmware and Linux is told. */
export function portAnswers(devices: readonly DeviceNeed[]): SizeAnswer[] {
  const pref = most(devices, 'prefetchable');
  const memory = most(devices, 'memory');
  const ports = most(devices, 'io');
  return [
    ...reserve('pref64-reserve', pref),
    ...reserve('mem-reserve', memory),
    {
      stack: 'port',
      option: 'io-reserve',
      where: 'pcie-root-port, empty at the boot',
      value: ports.size > 0n ? formatQemuSize(alignUp(ports.size, 4n * KiB)) : null,
      why:
        ports.size > 0n
          ? 'I/O windows come in steps of 4 KiB; without it SeaBIOS keeps no ports at a port of PCI Express'
          : 'no device has I/O ports; io-reserve=0 saves the 4 KiB that EDK2 keeps by itself, of 16 windows in all',
      ...(ports.size > 0n ? { smaller: { value: '0', fails: 'there is no I/O window' } } : {}),
      by: 'source',
    },
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

function reserve(option: 'pref64-reserve' | 'mem-reserve', { size, align }: WindowNeed): SizeAnswer[] {
  const where = (firmware: string) => `pcie-root-port, empty at the boot, ${firmware}`;
  if (size === 0n) {
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
  const exact = alignUp(size, MiB);
  const rounded = powerOfTwo(exact);
  const slack = maxOf(alignUp(size, SEABIOS_STEP) + (align > SEABIOS_STEP ? align - SEABIOS_STEP : 0n), SEABIOS_STEP);
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
function linuxAnswers(pref: WindowNeed, memory: WindowNeed): SizeAnswer[] {
  const size = ({ size: own, align }: WindowNeed) => alignUp(own, MiB) + (align > MiB ? align - MiB : 0n);
  const one = (option: string, need: WindowNeed): SizeAnswer => {
    const value = size(need);
    const enough = value <= 2n * MiB;
    return {
      stack: 'linux',
      option: `pci=${option}`,
      where: 'kernel command line, where Linux places by itself',
      value: enough ? null : formatQemuSize(value),
      why: enough
        ? 'the default, 2 MiB, does'
        : `kept behind every hot-plug port that is empty; its window starts at any multiple of 1 MiB. Windows that firmware has opened stay as they are`,
      by: 'source',
    };
  };
  return [
    one('hpmmioprefsize', pref),
    one('hpmmiosize', memory),
    {
      stack: 'linux',
      option: 'pci=hpbussize',
      where: 'kernel command line, where Linux places by itself',
      value: null,
      why: 'the default, one bus behind every hot-plug port, does for a device',
      by: 'source',
    },
  ];
}
