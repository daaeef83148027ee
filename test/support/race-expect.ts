import { expect } from 'vitest';
import type { Topology } from '../../src/enumerate/topology.js';
import { eachFunction, type Machine } from '../../src/machine/model.js';
import { deviceModel } from '../../src/sim/memory/device-model.js';
import { deviceOf, ecam, guest, seen, walk, type Guest } from './race.js';

/** A server that has the machine's host bridges attaches, at once. */
export function attach({ servers }: Guest, machine: Machine) {
  const model = deviceModel(machine, [ecam]);
  const server = servers.create('qemu', model.handler);
  for (const range of model.ranges) server.claimMemory(range);
  server.enable();
  return { server, model };
}

/** What a guest sees that starts when the server has long been there. */
export async function whole(machine: Machine): Promise<{ topology: Topology; accesses: number }> {
  const late = guest({ background: true });
  attach(late, machine);
  const topology = await walk(late);
  const there = machine.hostBridges.flatMap(({ functions }) => [...eachFunction(functions)]);
  expect(seen(topology).size).toBe(there.length);
  return { topology, accesses: late.accesses };
}

/** Every function that was seen is as it is, and of each device either all of them were seen or none. */
export function expectNoneTorn(found: Topology, all: Topology): void {
  expect(found.findings).toEqual([]);
  const reference = seen(all);
  const partial = seen(found);
  for (const [path, fn] of partial) expect([path, fn]).toEqual([path, reference.get(path)]);
  const devices = new Set([...partial.keys()].map(deviceOf));
  expect([...partial.keys()]).toEqual([...reference.keys()].filter((path) => devices.has(deviceOf(path))));
}
