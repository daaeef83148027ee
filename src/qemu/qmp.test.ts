import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../test/support/duplex-pair.js';
import { outcome, Peer, settle } from '../../test/support/peer.js';
import { atLeast, LineDecoder, parseQmpJson, Qmp } from './qmp.js';

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian 1:7.2+dfsg-7"}, "capabilities": ["oob"]}}';

/** What a decoder makes of the wire when it comes in pieces of `step` bytes. */
function decode(wire: Buffer, step: number): string[] {
  const lines: string[] = [];
  const decoder = new LineDecoder((line) => lines.push(line));
  for (let at = 0; at < wire.length; at += step) decoder.push(wire.subarray(at, at + step));
  return lines;
}

describe('lines', () => {
  it.each<[string, string, string[]]>([
    ['several', 'one\ntwo\n\nfour\n', ['one', 'two', '', 'four']],
    ['with carriage returns', 'one\r\ntwo\r\r\n', ['one', 'two\r']],
    ['of more than ASCII', 'Größe 64 GiB → ok\n𝄞\n', ['Größe 64 GiB → ok', '𝄞']],
    ['and one that is not done', 'one\ntw', ['one']],
    ['none', '', []],
  ])('%s, whole, byte by byte and in odd pieces', (_, text, lines) => {
    const wire = Buffer.from(text);
    for (const step of [Math.max(1, wire.length), 1, 2, 3, 7]) expect(decode(wire, step)).toEqual(lines);
  });

  it('are the same wherever the pieces are cut', () => {
    const text = fc.array(fc.string({ unit: 'binary' }).map((line) => line.replaceAll(/[\r\n]/g, '')));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (lines, step) => {
        const wire = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        // Lone surrogates do not survive UTF-8 on their way out.
        expect(decode(wire, step)).toEqual(lines.map((line) => Buffer.from(line).toString()));
      }),
    );
  });

  it('end the connection where one does not end', () => {
    const decoder = new LineDecoder(() => undefined);
    const megabyte = Buffer.alloc(1 << 20, 'x');
    for (let i = 0; i < 64; i++) decoder.push(megabyte);
    expect(() => decoder.push(megabyte)).toThrow(expect.objectContaining({ code: 'line-too-long' }) as Error);
  });
});

describe('JSON of QEMU', () => {
  it.each<[string, unknown]>([
    ['{"a": 1, "b": -1}', { a: 1, b: -1 }],
    ['9007199254740991', 9007199254740991],
    ['9007199254740992', 9007199254740992n],
    ['9007199254740993', 9007199254740993n],
    ['18446744073709551615', 18446744073709551615n],
    ['-9223372036854775808', -9223372036854775808n],
    ['[0.1234567890123456789]', [0.1234567890123456789]],
    ['{"text": "1234567890123456789"}', { text: '1234567890123456789' }],
    ['{"a": {"b": [549755813888, 70368744177664]}}', { a: { b: [549755813888, 70368744177664] } }],
  ])('%s', (text, value) => {
    expect(parseQmpJson(text)).toEqual(value);
  });

  it('is exact for every 64-bit integer', () => {
    fc.assert(
      fc.property(fc.bigInt(-(1n << 63n), (1n << 64n) - 1n), (value) => {
        expect(BigInt((parseQmpJson(`{"v": ${value}}`) as { v: number | bigint }).v)).toBe(value);
      }),
    );
  });

  it('that is none is a SyntaxError, also with long numbers', () => {
    for (const text of ['{', '{"a": 12345678901234567,}', '', 'nonsense']) {
      expect(() => parseQmpJson(text)).toThrow(SyntaxError);
    }
  });
});

function connect() {
  const [own, far] = duplexPair();
  return { qmp: new Qmp(own), peer: new Peer(far) };
}

describe('QMP', () => {
  it('negotiates, and says which QEMU it is', async () => {
    const { qmp, peer } = connect();
    const negotiated = qmp.negotiate();
    peer.send(greeting);
    expect(await peer.first(1)).toEqual(['{"execute":"qmp_capabilities","id":1}']);
    peer.send('{"return": {}, "id": 1}');
    const version = await negotiated;
    expect(version).toEqual({ major: 7, minor: 2, micro: 22, text: '7.2.22 (Debian 1:7.2+dfsg-7)' });
    expect([
      atLeast(version, 7),
      atLeast(version, 7, 2),
      atLeast(version, 7, 3),
      atLeast(version, 6, 9),
      atLeast(version, 8),
    ]).toEqual([true, true, false, true, false]);
  });

  it('matches answers by id, in whatever order and with events between', async () => {
    const { qmp, peer } = connect();
    const events: string[] = [];
    qmp.onEvent(({ event, data }) => events.push(`${event} ${JSON.stringify(data)}`));
    const [a, b] = [qmp.execute('query-status'), qmp.execute('query-pci', { x: 1 })];
    expect(await peer.first(2)).toEqual([
      '{"execute":"query-status","id":1}',
      '{"execute":"query-pci","arguments":{"x":1},"id":2}',
    ]);
    peer.send('{"event": "STOP"}', '{"return": "second", "id": 2}', '', '{"event": "RESET", "data": {"guest": false}}');
    peer.send('{"return": "stranger", "id": 9}', '{"return": "first", "id": 1}');
    expect(await Promise.all([a, b])).toEqual(['first', 'second']);
    expect(events).toEqual(['STOP {}', 'RESET {"guest":false}']);
  });

  it('tells every listener of every event in order, until it wants no more', async () => {
    const { qmp, peer } = connect();
    const first: string[] = [];
    const second: string[] = [];
    const stop = qmp.onEvent(({ event }) => first.push(event));
    qmp.onEvent(({ event }) => {
      second.push(event);
      // To leave while an event goes round takes it from nobody.
      if (event === 'B') stop();
    });
    peer.send('{"event": "A"}', '{"event": "B"}', '{"event": "C"}');
    await settle();
    expect([first, second]).toEqual([
      ['A', 'B'],
      ['A', 'B', 'C'],
    ]);
  });

  it('waits for the event that is wanted', async () => {
    const { qmp, peer } = connect();
    const reset = qmp.waitFor(({ event, data }) => event === 'RESET' && data['guest'] === false);
    peer.send('{"event": "RESET", "data": {"guest": true}}', '{"event": "RESET", "data": {"guest": false}}');
    expect(await reset).toEqual({ event: 'RESET', data: { guest: false } });
  });

  it('a refusal carries QEMU’s own words', async () => {
    const { qmp, peer } = connect();
    const refused = qmp.execute('cont');
    peer.send('{"error": {"class": "GenericError", "desc": "Resetting the Virtual Machine is required"}, "id": 1}');
    await expect(refused).rejects.toMatchObject({
      code: 'qmp-error',
      exit: 3,
      message: 'QEMU refused cont: Resetting the Virtual Machine is required',
      facts: { command: 'cont', class: 'GenericError' },
    });
  });

  it('the human monitor’s text comes back', async () => {
    const { qmp, peer } = connect();
    const text = qmp.monitor('info mtree');
    expect(await peer.first(1)).toEqual([
      '{"execute":"human-monitor-command","arguments":{"command-line":"info mtree"},"id":1}',
    ]);
    peer.send('{"return": "address-space: memory\\r\\n", "id": 1}');
    expect(await text).toBe('address-space: memory\r\n');
  });

  it.each<[string, (far: Peer) => void, RegExp]>([
    ['QEMU closes the connection', ({ stream }) => stream.end(), /lost \(QEMU closed it\)/],
    ['QEMU sends what is no JSON', (peer) => peer.send('Segmentation fault'), /no JSON: Segmentation fault/],
    ['QEMU sends null', (peer) => peer.send('null'), /lost/],
  ])('when %s, all who wait are told, and whoever comes later', async (_, lose, why) => {
    const { qmp, peer } = connect();
    const waiting = [
      qmp.negotiate(),
      qmp.execute('a'),
      qmp.execute('b'),
      qmp.monitor('c'),
      qmp.waitFor(() => false),
    ].map((promise) =>
      promise.then(
        () => 'resolved',
        (error: unknown) => error,
      ),
    );
    lose(peer);
    for (const error of await Promise.all(waiting)) {
      expect(error).toMatchObject({ code: 'qmp-lost', exit: 3 });
      expect((error as Error).message).toMatch(why);
    }
    await qmp.closed;
    expect(await outcome(qmp.execute('late'))).toBe('qmp-lost');
    expect(await outcome(qmp.waitFor(() => true))).toBe('qmp-lost');
  });

  it('closed by pinbar itself it is lost as well', async () => {
    const { qmp } = connect();
    const waiting = outcome(qmp.execute('a'));
    qmp.close();
    expect(await waiting).toBe('qmp-lost');
    await qmp.closed;
  });

  it('with patience, an answer that does not come is a lost connection, and one that is not owed may take for ever', async () => {
    const [own, far] = duplexPair();
    const qmp = new Qmp(own, 40);
    const peer = new Peer(far);
    await new Promise((resolve) => setTimeout(resolve, 80));
    const answered = qmp.execute('a');
    await peer.first(1);
    peer.send('{"return": 1, "id": 1}');
    expect(await answered).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 80));
    await expect(qmp.execute('b')).rejects.toMatchObject({
      code: 'qmp-lost',
      message: 'the QMP connection to QEMU was lost (no answer for 0.04 seconds)',
    });
    await qmp.closed;
  });

  it('understands a session byte by byte', async () => {
    const { qmp, peer } = connect();
    const events: unknown[] = [];
    qmp.onEvent((event) => events.push(event));
    const trickle = (text: string) => {
      for (const byte of Buffer.from(text)) peer.stream.write(Buffer.from([byte]));
    };
    const answers = Promise.all([qmp.negotiate().then(({ text }) => text), qmp.execute('x')]);
    trickle(`${greeting}\r\n`);
    await peer.first(2);
    trickle('{"event": "RESUME", "data": {"é": 18446744073709551615}}\r\n{"return": {}, "id": 2}\r\n');
    trickle('{"return": [1], "id": 1}\r\n');
    expect(await answers).toEqual(['7.2.22 (Debian 1:7.2+dfsg-7)', [1]]);
    expect(events).toEqual([{ event: 'RESUME', data: { é: 18446744073709551615n } }]);
  });
});
