import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pinbar, transcript } from '../../test/support/memory-io.js';
import { boards } from '../machine/boards/boards.js';

const run = (argv: string) => pinbar(['boards', ...argv.split(' ').filter(Boolean)]);

describe('pinbar boards', () => {
  it.each([
    '',
    'virt-riscv64 --ram 8GiB',
    'virt-aarch64 --ram 2GiB --property maxmem=16G,gic-version=3 --qemu 7.2 --address-bits 40',
    'virt-aarch64 --ram 2GiB --property highmem-mmio-size=64T --address-bits 44',
    'q35 --address-bits 40 --property max-ram-below-4g=1G',
    'pc --ram 1GiB --address-bits 40',
  ])('%s', async (argv) => {
    const ended = await run(argv);
    expect(ended.code).toBe(0);
    expect(transcript(ended)).toMatchSnapshot();
  });

  it('--json is what the schema says', async () => {
    const schema = JSON.parse(readFileSync('schema/boards.schema.json', 'utf8')) as object;
    const valid = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);
    for (const argv of [
      '',
      ...boards.map(({ id }) => id),
      'virt-aarch64 --qemu 8.0 --address-bits 36 --property its=off',
    ]) {
      const { stdout, code } = await run(`${argv} --json`);
      expect(code).toBe(0);
      valid(JSON.parse(stdout));
      expect(valid.errors).toBeNull();
    }
  });

  it('says in JSON what it draws', async () => {
    const { stdout } = await run('virt-riscv64 --ram 8GiB --qemu 10.0 --json');
    expect(JSON.parse(stdout)).toMatchObject({
      pinbar: 1,
      board: { id: 'virt-riscv64', name: 'virt', arch: 'riscv64' },
      qemu: '10.0',
      ram: [{ base: '0x80000000', size: '0x200000000' }],
      hostBridge: {
        id: 'pcie.0',
        buses: [0, 255],
        windows: [{ type: 'io', cpuBase: '0x3000000' }, {}, { base: '0x400000000', size: '0x400000000' }],
      },
    });
  });

  it.each([
    ['virt', 'pinbar does not know a board virt', 'did you mean virt-aarch64 or virt-riscv64?'],
    ['q53', 'pinbar does not know a board q53', 'did you mean q35?'],
    ['sparc', 'pinbar does not know a board sparc', 'it knows virt-aarch64, virt-riscv64, q35, pc'],
    ['--ram 4GiB', '--ram says something of one board, and none is named', 'name one'],
    ['q35 --ram much', '"much" is not a size', 'write 4KiB'],
    ['q35 --ram 0', '--ram is 0', 'give a size'],
    ['q35 --qemu ten', '"ten" is not a QEMU release', 'such as 10.0'],
    ['q35 --address-bits 65', '--address-bits 65 is not a number from 32 to 64', ''],
    ['q35 --address-bits 32', '32 address bits end at 0xffffffff', 'phys-bits'],
    ['q35 --property max-ram-below-4g', '--property max-ram-below-4g has no name and value', 'such as'],
    ['q35 --property max-ram-bellow-4g=1G', 'has no property max-ram-bellow-4g', 'did you mean max-ram-below-4g?'],
    [
      'virt-aarch64 --property highmem-mmio-size=1T --qemu 9.2',
      'QEMU 9.2 does not know highmem-mmio-size',
      'it came with QEMU 10.0',
    ],
    ['virt-aarch64 --property highmem-mmio-size=3T', 'highmem-mmio-size: 0x30000000000 is not a power of two', ''],
  ])('%s: bad input', async (argv, message, hint) => {
    const { code, stdout, stderr } = await run(argv);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
  });
});
