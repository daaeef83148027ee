import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BrokenStream, encodeCommand, MAX_MESSAGE, MessageDecoder, type Message } from './protocol.js';

const wire = Buffer.concat([
  encodeCommand(1, 1, Buffer.from('version')),
  encodeCommand(2, 13),
  encodeCommand(0xffff, 10, Buffer.alloc(70_000, 7), false),
  encodeCommand(3, 4, Buffer.alloc(16)),
]);
const show = ({ id, command, wantsReply, payload }: Message) =>
  `${id} ${command} ${wantsReply} ${payload.length} ${payload[0] ?? '-'}`;
const want = ['1 1 true 7 118', '2 13 true 0 -', '65535 10 false 70000 7', '3 4 true 16 0'];

function decode(pieces: Iterable<Buffer>): string[] {
  const decoder = new MessageDecoder();
  const got: string[] = [];
  for (const piece of pieces) {
    decoder.push(piece);
    for (let message = decoder.next(); message; message = decoder.next()) got.push(show(message));
  }
  expect(decoder.pending).toBe(false);
  return got;
}

describe('the decoder of vfio-user messages', () => {
  it.each([wire.length, 1, 3, 65536])('cuts a stream that comes %i bytes at a time', (step) => {
    const pieces = Array.from({ length: Math.ceil(wire.length / step) }, (_, i) =>
      Buffer.from(wire.subarray(i * step, (i + 1) * step)),
    );
    expect(decode(pieces)).toEqual(want);
  });

  it('cuts it in any pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 40 }), (lengths) => {
        const pieces: Buffer[] = [];
        let at = 0;
        for (const length of [...lengths, wire.length]) {
          pieces.push(Buffer.from(wire.subarray(at, at + length)));
          at += length;
        }
        expect(decode(pieces)).toEqual(want);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['a size below a header’s', { size: 15 }],
    ['a size that no message has', { size: MAX_MESSAGE + 1 }],
    ['a size of 4 GiB', { size: 0xffff_ffff }],
    ['a reply', { flags: 1 }],
    ['a type that does not exist', { flags: 0xf }],
  ])('gives up at %s', (_, { size = 16, flags = 0 }: { size?: number; flags?: number }) => {
    const bytes = encodeCommand(1, 4);
    bytes.writeUInt32LE(size, 4);
    bytes.writeUInt32LE(flags, 8);
    const decoder = new MessageDecoder();
    decoder.push(bytes);
    expect(() => decoder.next()).toThrow(BrokenStream);
  });
});
