import { describe, expect, it } from 'vitest';
import { GiB, KiB, MiB } from '../../address/kinds.js';
import { parseReserveOption } from './reserves.js';

describe('--reserve', () => {
  it.each([
    [
      'rp1=buses:2,io:4K,memory:16M,prefetchable:1G',
      'rp1',
      { buses: 2, io: 4n * KiB, memory: 16n * MiB, prefetchable: GiB },
    ],
    ['all=memory:0x200000', 'all', { memory: 2n * MiB }],
    ['rp1=prefetchable:1GiB', 'rp1', { prefetchable: GiB }],
    ['rp1=buses:0', 'rp1', { buses: 0 }],
    ['pcie.0/1.0=io:0', 'pcie.0/1.0', { io: 0n }],
  ])('%s', (argument, id, reserve) => {
    expect(parseReserveOption(argument)).toEqual({ id, reserve, source: `--reserve ${argument}` });
  });

  it.each([
    ['', 'reserve-syntax', 'there is no ='],
    ['rp1', 'reserve-syntax', 'there is no ='],
    ['=memory:1M', 'reserve-syntax', 'the id of a port is missing'],
    ['rp1=', 'reserve-syntax', 'there is nothing where KIND:SIZE should be'],
    ['rp1=memory:1M,', 'reserve-syntax', 'there is nothing where KIND:SIZE should be'],
    ['rp1=memory', 'reserve-syntax', '"memory" is not KIND:SIZE'],
    ['rp1=memory:1M:2M', 'reserve-syntax', '"memory:1M:2M" is not KIND:SIZE'],
    ['rp1=memroy:1M', 'reserve-syntax', '"memroy" is nothing that a port could keep'],
    ['rp1=toString:1M', 'reserve-syntax', '"toString" is nothing that a port could keep'],
    ['rp1=memory:1M,memory:2M', 'reserve-syntax', 'memory is there twice'],
    ['rp1=memory:lots', 'reserve-size', '"lots" is not a size'],
    ['rp1=memory:-1', 'reserve-size', '"-1" is not a size'],
    ['rp1=memory:0x10000000000000000', 'reserve-size', 'at most 64 bits'],
    ['rp1=buses:1K', 'reserve-size', '"1K" is not a number of buses'],
    ['rp1=buses:256', 'reserve-size', '0 to 255'],
  ])('%j is refused', (argument, code, message) => {
    expect(() => parseReserveOption(argument)).toThrow(
      expect.objectContaining({
        code,
        exit: 1,
        hint: expect.any(String) as string,
        message: expect.stringContaining(message) as string,
      }) as Error,
    );
  });

  it('a misspelt kind is corrected', () => {
    expect(() => parseReserveOption('rp1=memroy:1M')).toThrow(
      expect.objectContaining({ hint: 'did you mean memory?' }) as Error,
    );
  });
});
