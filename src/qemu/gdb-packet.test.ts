import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePacket, GdbDecoder, MAX_PACKET, type GdbMessage } from './gdb-packet.js';

function decode(wire: string, step = Infinity): GdbMessage[] {
  const got: GdbMessage[] = [];
  const decoder = new GdbDecoder((message) => got.push(message));
  const bytes = Buffer.from(wire, 'latin1');
  for (let at = 0; at < bytes.length; at += step) decoder.push(bytes.subarray(at, at + step));
  return got;
}

const packet = (text: string): GdbMessage => ({ kind: 'packet', text });
/** A packet around raw bytes, with the checksum that they have. */
const framed = (body: string, mark = '$') => {
  const sum = Buffer.from(body, 'latin1').reduce((all, byte) => (all + byte) & 0xff, 0);
  return `${mark}${body}#${sum.toString(16).padStart(2, '0')}`;
};

describe('packets', () => {
  it.each([
    ['Qqemu.PhyMemMode:1', '$Qqemu.PhyMemMode:1#77'],
    ['m4010000000,4', '$m4010000000,4#b2'],
    ['', '$#00'],
    ['a#b$c}d*e', '$a}\u0003b}\u0004c}]d}\ne#51'],
  ])('%j on the wire', (text, wire) => {
    expect(encodePacket(text)).toBe(wire);
    expect(decode(wire)).toEqual([packet(text)]);
  });

  const wire = `+${framed('')}${framed('361b0800')}-+${framed('0* ,f*%', '$')}${framed('Stop:T05', '%')}${framed('}\u0003}]')}`;
  it.each([wire.length, 1, 2, 3, 7])('are the same in pieces of %i bytes', (step) => {
    expect(decode(wire, step)).toEqual([
      { kind: 'ack' },
      packet(''),
      packet('361b0800'),
      { kind: 'nack' },
      { kind: 'ack' },
      packet('0000,fffffffff'),
      { kind: 'notification', text: 'Stop:T05' },
      packet('#}'),
    ]);
  });

  it('any bytes come back as they were, in whatever pieces', () => {
    const bytes = fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all).toString('latin1'));
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 5 }), fc.integer({ min: 1, max: 40 }), (texts, step) => {
        expect(decode(texts.map(encodePacket).join(''), step)).toEqual(texts.map(packet));
      }),
    );
  });

  it('checksums are taken in both cases', () => {
    expect(decode('$m4010000000,4#B2')).toEqual([packet('m4010000000,4')]);
  });
});

describe('what is no packet ends the conversation', () => {
  it.each([
    ['a wrong checksum', '$OK#9b', 'the checksum of $OK is 9a, and it says 9b'],
    ['a checksum that is no number', '$OK#zz', 'it says zz'],
    ['a QMP greeting', '{"QMP": {}}', 'these bytes are no packet: {"QMP": {}}'],
    ['a prompt', 'QEMU 7.2 monitor\r\n', 'QEMU 7.2 monitor..'],
    ['bytes between packets', `${framed('OK')}\n`, 'these bytes are no packet'],
    ['an escape at the end', framed('abc}'), 'ends within an escape'],
    ['a run without a count', framed('0*'), 'a run of nothing'],
    ['a run of nothing', framed('* '), 'a run of nothing'],
    ['a run that is too short', framed('0*\u001f'), 'a run of nothing'],
    ['a run that is too long', framed('0*\u00ff'), 'a run of nothing'],
    ['runs without end', framed('0' + '*~'.repeat(MAX_PACKET / 90)), 'more than 65536 bytes'],
  ])('%s', (_, wire, message) => {
    const syntax = { code: 'gdb-syntax', exit: 3 };
    expect(() => decode(wire)).toThrow(
      expect.objectContaining({ ...syntax, message: expect.stringContaining(message) as string }) as Error,
    );
    expect(() => decode(wire, 1)).toThrow(expect.objectContaining(syntax) as Error);
  });

  it('a packet without an end is given up, and nothing more of it is kept', () => {
    const decoder = new GdbDecoder(() => undefined);
    decoder.push(Buffer.from('$'));
    const fill = () => {
      for (let i = 0; i < 100; i++) decoder.push(Buffer.alloc(1024, 0x30));
    };
    expect(fill).toThrow('a packet of more than 65536 bytes');
  });

  it('whatever comes, it is a message or a problem', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom('', '$', '+$m', '$0*', '%'), (bytes, before) => {
        try {
          for (const { kind } of decode(before + Buffer.from(bytes).toString('latin1'), 3)) {
            expect(['packet', 'notification', 'ack', 'nack']).toContain(kind);
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'gdb-syntax' });
        }
      }),
    );
  });
});
