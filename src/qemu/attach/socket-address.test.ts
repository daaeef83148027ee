import { describe, expect, it } from 'vitest';
import { parseSocketAddress, sayAddress } from './socket-address.js';

describe('an address of a socket', () => {
  it.each([
    ['/run/vm/qmp.sock', { path: '/run/vm/qmp.sock' }],
    ['qmp', { path: 'qmp' }],
    ['./a:1/qmp', { path: './a:1/qmp' }],
    ['/run/vm:1234', { path: '/run/vm:1234' }],
    ['unix:/run/qmp,server=on,wait=off', { path: '/run/qmp' }],
    ['unix:a:1', { path: 'a:1' }],
    ['localhost:4444', { host: 'localhost', port: 4444 }],
    [':1234', { host: 'localhost', port: 1234 }],
    ['tcp::1234', { host: 'localhost', port: 1234 }],
    ['tcp:127.0.0.1:65535,server=on', { host: '127.0.0.1', port: 65535 }],
    ['[::1]:1', { host: '::1', port: 1 }],
    [`/${'x'.repeat(106)}`, { path: `/${'x'.repeat(106)}` }],
  ])('%s', (text, address) => {
    expect(parseSocketAddress('--qmp', text)).toEqual(address);
  });

  it.each([
    ['', /path is missing/],
    ['unix:', /path is missing/],
    ['unix:,server=on', /path is missing/],
    ['localhost:', /"" is no port/],
    ['localhost:0', /"0" is no port/],
    ['tcp:localhost:65536', /"65536" is no port/],
    ['tcp:localhost', /neither a path nor HOST:PORT/],
    ['::1:1', /neither a path nor HOST:PORT/],
    [`/${'é'.repeat(54)}`, /107 bytes at most, and this one has 109/],
    ['a\0b', /no zero byte/],
  ])('%j is none', (text, why) => {
    expect(() => parseSocketAddress('--gdb', text)).toThrow(why);
    expect(() => parseSocketAddress('--gdb', text)).toThrow(/^--gdb /);
  });

  it('in messages', () => {
    expect(sayAddress({ path: '/a' })).toBe('/a');
    expect(sayAddress({ host: '::1', port: 1 })).toBe('[::1]:1');
    expect(sayAddress({ host: 'h', port: 1 })).toBe('h:1');
  });
});
