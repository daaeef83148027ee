import { describe, expect, it } from 'vitest';
import { separateArguments } from './qemu-arguments.js';

const twin = (name: string) => ({ id: `dev-${name}`, port: `port-${name}`, socket: `/s/${name}` });
const device = (name: string) =>
  `{"driver":"vfio-user-pci","id":"dev-${name}","bus":"port-${name}","socket":{"type":"unix","path":"/s/${name}"}}`;

describe('arguments for functions behind root ports of their own', () => {
  it('have ports without hot-plug above silent ones, without power controllers above those that are plugged in', () => {
    const late = { silent: new Set(['dev-b']), hotplug: new Set(['dev-c']) };
    expect(separateArguments(['a', 'b', 'c'].map(twin), late)).toEqual([
      ...['-device', 'pcie-root-port,id=port-a,chassis=1', '-device', device('a')],
      ...['-device', 'pcie-root-port,id=port-b,chassis=2,hotplug=off', '-device', device('b')],
      ...['-device', 'pcie-root-port,id=port-c,chassis=3,power_controller_present=off'],
    ]);
  });
});
