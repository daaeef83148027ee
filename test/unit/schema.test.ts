import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { schemas } from '../../scripts/schemas.js';
import { captureFrom, loadCapture } from '../../src/import/capture/load.js';
import { captureText } from '../../src/import/capture/save.js';
import { loadMachine, machineFrom } from '../../src/machine/load.js';
import { planFromJson, planToJson } from '../../src/place/plan-json.js';
import { place } from '../../src/place/place.js';
import { contractConflict, contractMachine, contractPlan } from '../support/contract.js';

const current = schemas();

/** Strict: a keyword that means nothing where it stands is a mistake of the schema. */
const validator = (name: string): ValidateFunction =>
  new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true }).compile(JSON.parse(current[name]!) as object);
const validMachine = validator('machine.schema.json');
const validPlan = validator('plan.schema.json');

const errorsOf = (valid: ValidateFunction, value: unknown) => {
  valid(value);
  return (valid.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
};
const accepts = (read: () => unknown) => {
  try {
    read();
    return true;
  } catch {
    return false;
  }
};

describe('the JSON Schemas', () => {
  it.each(Object.keys(current))('%s is up to date (npm run schema)', (name) => {
    expect(readFileSync(`schema/${name}`, 'utf8')).toBe(current[name]);
  });

  it('there are no others', () => {
    expect(readdirSync('schema').sort()).toEqual(Object.keys(current).sort());
  });

  it.each(Object.entries(current))('%s says which dialect it is in, what it is, and names no host', (_, text) => {
    const schema = JSON.parse(text) as Record<string, unknown>;
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: expect.stringMatching(/^urn:pinbar:/) as string,
      title: expect.any(String) as string,
      description: expect.any(String) as string,
    });
    expect(text.match(/https?:\/\/[^"]*/g)).toEqual(['https://json-schema.org/draft/2020-12/schema']);
  });
});

describe('machine files', () => {
  const examples = readdirSync('examples').filter((name) => /[.]pinbar[.](?:yaml|json)$/.test(name));

  it('there are examples', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples)('examples/%s is valid, has a plan, and that is valid as well', async (name) => {
    const text = readFileSync(`examples/${name}`, 'utf8');
    expect(errorsOf(validMachine, parse(text))).toEqual([]);
    const plan = JSON.parse(JSON.stringify(planToJson(place(await loadMachine(text, name))))) as unknown;
    expect(errorsOf(validPlan, plan)).toEqual([]);
  });

  it('the contract’s is valid, and its plan is the contract’s', async () => {
    expect(errorsOf(validMachine, parse(contractMachine))).toEqual([]);
    expect(planToJson(place(await loadMachine(contractMachine, 'contract')))).toEqual(contractPlan);
  });

  /** Each change makes a file that schema and pinbar have to judge alike. */
  const base = () => ({
    pinbar: 1,
    machine: { arch: 'aarch64', board: 'virt', ram: '1GiB' } as Record<string, unknown>,
    hostBridges: [
      { id: 'pcie.0', functions: [{ id: 'a', slot: '1.0', bars: [{ index: 0, type: 'mem32', size: '4KiB' }] }] },
    ] as Record<string, unknown>[],
  });
  type Base = ReturnType<typeof base>;
  const fn = (file: Base) => (file.hostBridges[0]!['functions'] as Record<string, unknown>[])[0]!;

  it.each<[string, (file: Base) => void, boolean]>([
    ['as it is', () => undefined, true],
    ['a size as a number', (file) => (file.machine['ram'] = 1 << 30), true],
    ['a size with QEMU’s suffix', (file) => (file.machine['ram'] = '4G'), true],
    ['a size with spaces', (file) => (file.machine['ram'] = ' 4 GiB '), true],
    ['a size that is a word', (file) => (file.machine['ram'] = 'much'), false],
    ['a negative size', (file) => (file.machine['ram'] = -1), false],
    ['half a byte', (file) => (file.machine['ram'] = 0.5), false],
    ['another format', (file) => (file.pinbar = 2), false],
    ['another architecture', (file) => (file.machine['arch'] = 'mips'), false],
    ['an unknown key', (file) => (file.machine['x'] = 1), false],
    ['too many address bits', (file) => (file.machine['physicalAddressBits'] = 65), false],
    ['address bits as text', (file) => (file.machine['physicalAddressBits'] = '0x30'), true],
    ['a property that is a list', (file) => (file.machine['properties'] = { highmem: [] }), false],
    ['a property that is a switch', (file) => (file.machine['properties'] = { highmem: false }), true],
    ['one bus number', (file) => (file.hostBridges[0]!['buses'] = [0]), false],
    ['two bus numbers', (file) => (file.hostBridges[0]!['buses'] = [0, '0xf']), true],
    ['no id', (file) => delete fn(file)['id'], false],
    ['an empty id', (file) => (fn(file)['id'] = ''), false],
    ['a slot in hexadecimal', (file) => (fn(file)['slot'] = '1F.7'), true],
    ['a device by itself', (file) => (fn(file)['slot'] = '1e'), true],
    ['a slot that is a number', (file) => (fn(file)['slot'] = 1), false],
    ['device 32', (file) => (fn(file)['slot'] = '20.0'), false],
    ['function 8', (file) => (fn(file)['slot'] = '1.8'), false],
    [
      'a pin that is a size',
      (file) => ((fn(file)['bars'] as object[])[0] = { index: 0, type: 'mem32', size: '4KiB', pin: '4K' }),
      false,
    ],
    ['a sixth BAR', (file) => ((fn(file)['bars'] as object[])[0] = { index: 6, type: 'mem32', size: '4KiB' }), false],
    ['a host address', (file) => (fn(file)['hostAddress'] = '0009:06:00.0'), true],
    ['a host address without a function', (file) => (fn(file)['hostAddress'] = '0009:06:00'), false],
    ['a device of QEMU', (file) => (fn(file)['qemuDevice'] = 'pci-testdev,membar=64M'), true],
    ['a device of QEMU without a name', (file) => (fn(file)['qemuDevice'] = ',membar=64M'), false],
    ['a bridge', (file) => (fn(file)['bridge'] = { kind: 'root-port', io: 0, functions: [] }), true],
    ['a bridge of no kind', (file) => (fn(file)['bridge'] = {}), false],
    ['a bridge with a window of 64 bits', (file) => (fn(file)['bridge'] = { kind: 'root-port', io: 64 }), false],
    [
      'a mistake behind two bridges',
      (file) =>
        (fn(file)['bridge'] = {
          kind: 'root-port',
          functions: [{ id: 'b', slot: '0.0', bridge: { kind: 'upstream-port', functions: [{ id: 'c', slot: 3 }] } }],
        }),
      false,
    ],
  ])('%s', (_, change, valid) => {
    const file = base();
    change(file);
    expect(accepts(() => machineFrom(file, 'x'))).toBe(valid);
    expect(validMachine(file)).toBe(valid);
  });
});

describe('captures', () => {
  const examples = readdirSync('examples').filter((name) => name.endsWith('.capture.json'));
  const validCapture = validator('capture.schema.json');

  it('there are examples', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples)('examples/%s is valid, and comes back as it was', async (name) => {
    const text = readFileSync(`examples/${name}`, 'utf8');
    expect(errorsOf(validCapture, JSON.parse(text))).toEqual([]);
    expect(captureText(await loadCapture(text, name))).toBe(text);
  });

  const base = () => ({
    'pinbar-capture': 1 as unknown,
    functions: [
      { address: '0000:00:01.0', vendor: '0x1b36', bars: [{ index: 0, type: 'mem32', size: '0x1000' }] },
    ] as Record<string, unknown>[],
  });
  type Base = ReturnType<typeof base>;

  it.each<[string, (file: Base) => void, boolean]>([
    ['as it is', () => undefined, true],
    ['of a later version, with more keys', (file) => (file.functions[0]!['more'] = []), true],
    ['of another format', (file) => (file['pinbar-capture'] = 2), false],
    ['an address in capitals', (file) => (file.functions[0]!['address'] = '0000:0A:01.0'), false],
    ['a domain of five digits', (file) => (file.functions[0]!['address'] = '10000:0a:01.0'), true],
    ['an id as a number', (file) => (file.functions[0]!['vendor'] = 0x1b36), false],
    ['a parent that is none', (file) => (file.functions[0]!['parent'] = null), true],
    ['a seventh BAR', (file) => (file.functions[0]!['bars'] = [{ index: 6, type: 'mem32' }]), false],
    ['a BAR without a number', (file) => (file.functions[0]!['bars'] = [{ type: 'memory' }]), true],
    ['a state that is none', (file) => (file.functions[0]!['bars'] = [{ type: 'io', state: 'lost' }]), false],
  ])('%s', (_, change, valid) => {
    const file = base();
    change(file);
    expect(accepts(() => captureFrom(file))).toBe(valid);
    expect(validCapture(file)).toBe(valid);
  });
});

describe('plans', () => {
  it('the contract’s are valid, and come back as they were', () => {
    for (const plan of [contractPlan, contractConflict]) {
      expect(errorsOf(validPlan, plan)).toEqual([]);
      expect(planToJson(planFromJson(plan))).toEqual(plan);
    }
  });

  const changed = (change: (plan: Record<string, Record<string, unknown>[]>) => void): unknown => {
    const plan = structuredClone(contractPlan) as Record<string, Record<string, unknown>[]>;
    change(plan);
    return plan;
  };

  it.each<[string, unknown, boolean]>([
    ['undecided', { pinbar: 1, status: 'undecided', summary: 'The search was stopped.' }, true],
    ['of a later version, with more keys', changed((plan) => (plan['more'] = [])), true],
    ['nothing', {}, false],
    ['of another status', { pinbar: 1, status: 'partial' }, false],
    ['of another format', { ...(contractPlan as object), pinbar: 2 }, false],
    ['without functions', changed((plan) => delete plan['functions']), false],
    ['an address in capitals', changed((plan) => (plan['ram']![0]!['base'] = '0xABC')), false],
    ['an address as a number', changed((plan) => (plan['ram']![0]!['base'] = 4096)), false],
    ['a bus above 255', changed((plan) => (plan['bridges']![0]!['secondary'] = 256)), false],
    ['a bus address of another form', changed((plan) => (plan['functions']![0]!['address'] = '01:00.0')), false],
    [
      'seven BARs',
      changed(
        ({ functions }) => (functions![0]!['bars'] = Array<unknown>(7).fill((functions![0]!['bars'] as unknown[])[0])),
      ),
      false,
    ],
  ])('%s', (_, plan, valid) => {
    expect(accepts(() => planFromJson(plan))).toBe(valid);
    expect(validPlan(plan)).toBe(valid);
  });
});
