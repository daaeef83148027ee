import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatBdf } from '../pci/bdf.js';
import { GuestTextReader, readGuestText } from './guest-text.js';
import type { Observation, SeenFunction, SeenResource } from './observation.js';

const folder = new URL('samples/', import.meta.url);
const names = readdirSync(folder).sort();
const read = (name: string, file: string) => readFileSync(new URL(`${name}/${file}`, folder), 'utf8');
const hexes = (...values: bigint[]) => values.map((value) => `0x${value.toString(16)}`).join(' ');

/** One line a fact, short enough to be reviewed; `@` is the line it was read from. */
function brief(observations: readonly Observation[]): string[] {
  return observations.flatMap(({ kind, boot, functions, busWindows, hostWindows, notes, rootBuses, groups, host }) => [
    `${kind}, boot ${boot}`,
    ...(host
      ? [`  host ${[host.kernel, host.arch, host.commandLine].filter(Boolean).join(', ')} @${host.source.line}`]
      : []),
    ...(rootBuses ?? []).map(
      (root) => `  root bus ${root.segment}:${root.bus}-${root.lastBus ?? '?'} @${root.source.line}`,
    ),
    ...(groups ?? []).flatMap(({ number, reserved }) =>
      reserved.map(({ range, type }) => `  group ${number} reserves ${range.toString()} ${type}`),
    ),
    ...functions.flatMap((fn) => [
      `  ${briefFunction(fn)}`,
      ...briefFacts(fn).map((fact) => `    ${fact}`),
      ...fn.resources.map((seen) => `    ${briefResource(seen)}`),
    ]),
    ...busWindows.map(
      (w) => `  bus ${w.segment}:${w.bus} ${w.space} ${hexes(w.address)} +${hexes(w.size)} @${w.source.line}`,
    ),
    ...hostWindows.map(
      (w) =>
        `  root ${w.segment}:${w.bus} ${w.space} ${hexes(w.address)} +${hexes(w.size)} = ${hexes(w.busBase)} @${w.source.line}`,
    ),
    ...notes.map(({ code, source }) => `  note ${code} @${source.line}`),
  ]);
}

function briefFunction({
  address,
  source,
  vendor,
  device,
  class: code,
  isBridge,
  buses,
  parent,
}: SeenFunction): string {
  const parts = [
    formatBdf(address),
    vendor !== undefined && `${vendor.toString(16)}:${device?.toString(16)}`,
    code !== undefined && `class ${code.toString(16)}`,
    isBridge && 'bridge',
    buses && `to ${buses.secondary}-${buses.subordinate} @${buses.source.line}`,
    parent === null ? 'on a root bus' : parent && `below ${formatBdf(parent)}`,
    `@${source.line}`,
  ];
  return parts.filter(Boolean).join(' ');
}

/** What else is known of a function. */
function briefFacts({ capabilities, config, ...fn }: SeenFunction): string[] {
  const { subsystem, revision, title, driver, numaNode, iommuGroup, decodes } = fn;
  const about = [
    title && `"${title}"`,
    revision !== undefined && `rev ${revision.toString(16)}`,
    subsystem && `subsystem ${subsystem.vendor.toString(16)}:${subsystem.device.toString(16)}`,
    driver && `driver ${driver}`,
    numaNode !== undefined && `node ${numaNode}`,
    iommuGroup !== undefined && `group ${iommuGroup}`,
    decodes && `decodes ${decodes.io ? 'io ' : ''}${decodes.memory ? 'memory' : ''}`,
    config &&
      `config ${config
        .runs()
        .map(({ start, bytes }) => `${start}+${bytes.length}`)
        .join(' ')}`,
  ].filter(Boolean);
  const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? hexes(value) : value);
  return [
    ...(about.length > 0 ? [about.join(', ')] : []),
    ...Object.entries(capabilities ?? {}).map(([kind, value]) => `${kind} ${JSON.stringify(value, plain)}`),
  ];
}

function briefResource({ name, space, wide, prefetchable, size, placement, numbers, source }: SeenResource): string {
  const kind = [space, wide && '64', prefetchable && 'pref'].filter(Boolean).join(' ');
  const where = 'address' in placement ? hexes(placement.address) : 'why' in placement ? placement.why : '';
  return `${name ?? '?'} (${kind}): ${placement.state} ${where}${size === undefined ? '' : ` +${hexes(size)}`} ${numbers} @${source.line}`;
}

/** Function, resource, address and line of every fact. */
const addresses = (text: string) =>
  readGuestText('input.txt', text).flatMap(({ kind, functions }) =>
    functions.flatMap(({ address, resources }) =>
      resources.map(({ name, placement, source }) => {
        const at = 'address' in placement ? hexes(placement.address) : placement.state;
        return `${kind} ${formatBdf(address)} ${name ?? '?'} ${at} @${source.line}`;
      }),
    ),
  );

describe('samples of what guests print', () => {
  it.each(names)('%s is read as reviewed', async (name) => {
    const found = brief(readGuestText('input.txt', read(name, 'input.txt')));
    await expect(`${found.join('\n')}\n`).toMatchFileSnapshot(new URL(`${name}/expect.txt`, folder).pathname);
  });

  it.each(names)('%s says what it is and why it is here', (name) => {
    expect(read(name, 'about.md')).toMatch(/^# .+\n\n[^]*Here because /);
  });

  it.each(names)('%s: cut anywhere, it gives no address that whole lines do not give', (name) => {
    const text = read(name, 'input.txt');
    const whole = new Set(addresses(text));
    for (let end = 0; end >= 0; end = text.indexOf('\n', end + 1)) {
      for (const fact of addresses(text.slice(0, end))) whole.add(fact);
    }
    for (let end = 0; end < text.length; end += 5) {
      for (const fact of addresses(text.slice(0, end))) expect(whole).toContain(fact);
    }
  });

  it.each(names)('%s: line by line is the same as whole', (name) => {
    const text = read(name, 'input.txt');
    const reader = new GuestTextReader('input.txt');
    for (const line of text.split('\n')) reader.push(line);
    expect(reader.finish()).toEqual(readGuestText('input.txt', text));
  });
});
