import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../test/support/duplex-pair.js';
import { outcome, Peer } from '../../test/support/peer.js';
import type { MemoryOp } from '../pci/ecam.js';
import { Qtest } from './qtest.js';

function connect() {
  const [own, far] = duplexPair();
  return { qtest: new Qtest(own), peer: new Peer(far) };
}

const read = (address: bigint, width: 1 | 2 | 4): MemoryOp => ({ kind: 'read', address, width });
const write = (address: bigint, width: 1 | 2 | 4, value: number): MemoryOp => ({
  kind: 'write',
  address,
  width,
  value,
});

describe('qtest', () => {
  it('writes one line an access, and reads the answers in order', async () => {
    const { qtest, peer } = connect();
    const values = qtest.batch([
      read(0x40_1000_0000n, 4),
      read(0x10n, 2),
      read(0x11n, 1),
      write(0x40_1000_8018n, 4, 0xffff_ffff),
      write(0x4n, 2, 6),
      write(0n, 1, 255),
      read(0x14n, 4),
    ]);
    expect(await peer.first(7)).toEqual([
      'readl 0x4010000000',
      'readw 0x10',
      'readb 0x11',
      'writel 0x4010008018 0xffffffff',
      'writew 0x4 0x6',
      'writeb 0x0 0xff',
      'readl 0x14',
    ]);
    // QEMU gives 64 bits, sign-extended in some versions.
    peer.send('OK 0x0000000000081b36', 'OK 0xffffffffffff8086', 'OK 0x00000000000000ab', 'OK', 'OK', 'OK');
    peer.send('OK 0xffffffffffffffff');
    expect(await values).toEqual([0x81b36, 0x8086, 0xab, 0, 0, 0, 0xffff_ffff]);
  });

  it('a value above 2^31 is written unsigned', async () => {
    const { qtest, peer } = connect();
    const written = qtest.batch([write(0n, 4, -1)]);
    expect(await peer.first(1)).toEqual(['writel 0x0 0xffffffff']);
    peer.send('OK');
    expect(await written).toEqual([0]);
  });

  it('sends thousands of accesses without waiting, and gives each its own answer', async () => {
    const { qtest, peer } = connect();
    const count = 5000;
    const values = qtest.batch(Array.from({ length: count }, (_, i) => read(BigInt(i) * 8n, 4)));
    const lines = await peer.first(count);
    peer.send(...lines.map((line) => `OK ${line.split(' ')[1] ?? ''}`));
    expect(await values).toEqual(Array.from({ length: count }, (_, i) => i * 8));
  });

  it('reads dwords that follow each other as one block, and everything else by itself', async () => {
    const { qtest, peer } = connect();
    const run = (base: bigint, count: number) =>
      Array.from({ length: count }, (_, i) => read(base + 4n * BigInt(i), 4));
    const values = qtest.batch([
      ...run(0x100n, 3),
      read(0x200n, 2),
      ...run(0x300n, 5),
      write(0x314n, 4, 1),
      ...run(0x314n, 4),
      read(0x320n, 4),
    ]);
    const lines = [
      'readl 0x100',
      'readl 0x104',
      'readl 0x108',
      'readw 0x200',
      'b64read 0x300 0x14',
      'writel 0x314 0x1',
    ];
    expect(await peer.first(8)).toEqual([...lines, 'b64read 0x314 0x10', 'readl 0x320']);
    const block = (...dwords: number[]) => `OK ${Buffer.from(Uint32Array.from(dwords).buffer).toString('base64')}`;
    peer.send('OK 0x1', 'OK 0x2', 'OK 0x3', 'OK 0x4', block(5, 6, 0xffff_ffff, 8, 9), 'OK');
    peer.send(block(10, 11, 12, 0x8000_0000), 'OK 0xe');
    expect(await values).toEqual([1, 2, 3, 4, 5, 6, 0xffff_ffff, 8, 9, 0, 10, 11, 12, 0x8000_0000, 14]);
    const short = outcome(qtest.batch(run(0n, 4)));
    peer.send(block(1, 2, 3));
    expect(await short).toBe('qtest-answer');
  });

  it('several callers at once get their own answers', async () => {
    const { qtest, peer } = connect();
    const all = Promise.all([qtest.batch([read(1n, 1)]), qtest.readBytes(2n, 3), qtest.batch([read(3n, 1)])]);
    expect(await peer.first(3)).toEqual(['readb 0x1', 'b64read 0x2 0x3', 'readb 0x3']);
    peer.send('OK 0x01', 'IRQ raise 3', `OK ${Buffer.from([7, 8, 9]).toString('base64')}`, 'OK 0x03');
    expect(await all).toEqual([[1], Buffer.from([7, 8, 9]), [3]]);
  });

  it('moves bytes in both directions', async () => {
    const { qtest, peer } = connect();
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
    const written = qtest.writeBytes(0x48200000n, bytes.subarray(10, 290));
    expect(await peer.first(1)).toEqual([
      `b64write 0x48200000 0x118 ${Buffer.from(bytes.subarray(10, 290)).toString('base64')}`,
    ]);
    peer.send('OK');
    await written;
    // Nothing to move is nothing to send: QEMU dies of a command without its argument.
    expect(await qtest.readBytes(0n, 0)).toHaveLength(0);
    await qtest.writeBytes(0n, new Uint8Array(0));
    expect(await qtest.batch([])).toEqual([]);
    expect(peer.lines).toHaveLength(1);
  });

  it('byte by byte', async () => {
    const { qtest, peer } = connect();
    const values = qtest.batch([read(0n, 4), write(0n, 1, 1), read(4n, 2)]);
    await peer.first(3);
    for (const byte of Buffer.from('OK 0x00000000ffffffff\r\nOK\nOK 0x12\n')) peer.stream.write(Buffer.from([byte]));
    expect(await values).toEqual([0xffff_ffff, 0, 0x12]);
  });

  it('a refused command fails alone', async () => {
    const { qtest, peer } = connect();
    const [first, second] = [qtest.batch([read(0n, 4)]), qtest.batch([read(4n, 4)])];
    peer.send('FAIL Unknown command', 'OK 0x5');
    await expect(first).rejects.toMatchObject({
      code: 'qtest-error',
      exit: 3,
      message: expect.stringContaining('readl 0x0: FAIL Unknown command') as string,
    });
    expect(await second).toEqual([5]);
  });

  it.each([
    ['no number', 'OK', 4],
    ['no hexadecimal', 'OK 12', 4],
    ['a word', 'OK 0xzz', 1],
  ] as const)('an answer with %s is not taken for a value', async (_, answer, width) => {
    const { qtest, peer } = connect();
    const value = outcome(qtest.batch([read(0n, width)]));
    peer.send(answer);
    expect(await value).toBe('qtest-answer');
  });

  it('bytes that are too few are not taken for the bytes', async () => {
    const { qtest, peer } = connect();
    const bytes = outcome(qtest.readBytes(0n, 4));
    peer.send(`OK ${Buffer.from([1, 2, 3]).toString('base64')}`);
    expect(await bytes).toBe('qtest-answer');
  });

  it('a stray answer ends the connection: whoever asks next would get a stranger’s', async () => {
    const { qtest, peer } = connect();
    const first = qtest.batch([read(0n, 4)]);
    peer.send('OK 0x1', 'OK 0x2');
    expect(await first).toEqual([1]);
    await qtest.closed;
    await expect(qtest.batch([read(0n, 4)])).rejects.toMatchObject({
      code: 'qtest-lost',
      message: expect.stringContaining('an answer that belongs to no command: OK 0x2') as string,
    });
  });

  it('when the connection is lost, all who wait are told, and whoever comes later', async () => {
    const { qtest, peer } = connect();
    const waiting = [
      qtest.batch(Array.from({ length: 2000 }, (_, i) => read(BigInt(i) * 8n, 4))),
      qtest.readBytes(0n, 8),
      qtest.writeBytes(0n, Uint8Array.of(1)),
    ].map(outcome);
    peer.send('OK 0x0');
    peer.stream.end();
    expect(await Promise.all(waiting)).toEqual(['qtest-lost', 'qtest-lost', 'qtest-lost']);
    expect(await outcome(qtest.batch(Array.from({ length: 2000 }, (_, i) => read(BigInt(i) * 8n, 4))))).toBe(
      'qtest-lost',
    );
    expect(await outcome(qtest.readBytes(0n, 8))).toBe('qtest-lost');
  });

  it('closed by pinbar itself it is lost as well', async () => {
    const { qtest } = connect();
    const waiting = outcome(qtest.batch([read(0n, 4)]));
    qtest.close();
    expect(await waiting).toBe('qtest-lost');
    await qtest.closed;
  });

  it('asks once more where somebody before has left half a line', async () => {
    const { qtest, peer } = connect();
    const negotiated = qtest.negotiate();
    await peer.first(1);
    peer.send("FAIL Unknown command '$qSupported#37endianness'");
    expect(await peer.first(2)).toEqual(['endianness', 'endianness']);
    peer.send('OK little');
    await negotiated;
  });
});
