import { eachFunction, type Machine, type MachineFunction } from '../machine/model.js';
import { parseBdf } from '../pci/bdf.js';
import { nearest } from '../problem/nearest.js';
import { Problem } from '../problem/problem.js';

/** What `--host` and `--device` say of functions, by id. */
type Said = ReadonlyMap<string, Pick<MachineFunction, 'hostAddress' | 'qemuDevice'>>;

/**
 * A machine with more said of what its functions are: `ID=0009:06:00.0` and `ID=pci-testdev,membar=64M`.
 * @throws Problem `export-device-option`, `bdf-syntax`
 */
export function withDevices(machine: Machine, hosts: readonly string[], devices: readonly string[]): Machine {
  const said: Said = new Map<string, Pick<MachineFunction, 'hostAddress' | 'qemuDevice'>>([
    ...hosts.map((option) => {
      const [id, value] = split(option, '--host');
      return [id, { hostAddress: parseBdf(value) }] as const;
    }),
    ...devices.map((option) => {
      const [id, qemuDevice] = split(option, '--device');
      return [id, { qemuDevice }] as const;
    }),
  ]);
  if (said.size === 0) return machine;
  const known = machine.hostBridges.flatMap(({ functions }) => [...eachFunction(functions)].map(({ fn }) => fn.id));
  for (const id of said.keys()) {
    if (known.includes(id)) continue;
    const close = nearest(id, known);
    throw new Problem('export-device-option', `the machine has no function ${id.slice(0, 60)}`, {
      hint: close.length > 0 ? `did you mean ${close.join(' or ')}?` : `it has ${known.slice(0, 12).join(', ')}`,
    });
  }
  const hostBridges = machine.hostBridges.map((host) => ({
    ...host,
    functions: host.functions.map((fn) => withOne(fn, said)),
  }));
  return { ...machine, hostBridges };
}

function withOne({ hostAddress, qemuDevice, ...fn }: MachineFunction, said: Said): MachineFunction {
  const own = { ...(hostAddress ? { hostAddress } : {}), ...(qemuDevice === undefined ? {} : { qemuDevice }) };
  const { bridge } = fn;
  return {
    ...fn,
    ...(said.get(fn.id) ?? own),
    ...(bridge ? { bridge: { ...bridge, functions: bridge.functions.map((child) => withOne(child, said)) } } : {}),
  };
}

function split(option: string, name: string): [id: string, value: string] {
  const at = option.indexOf('=');
  if (at > 0 && at < option.length - 1) return [option.slice(0, at), option.slice(at + 1)];
  throw new Problem('export-device-option', `${name} ${option.slice(0, 60)} has no id and value`, {
    hint: name === '--host' ? 'write --host dev0=0009:06:00.0' : 'write --device dev0=pci-testdev,membar=64M',
  });
}
