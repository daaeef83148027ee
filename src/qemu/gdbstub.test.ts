import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../test/support/duplex-pair.js';
import { outcome } from '../../test/support/peer.js';
import { encodePacket, GdbDecoder } from './gdb-packet.js';
import { Gdbstub } from './gdbstub.js';
import type { MemoryOp } from '../pci/ecam.js';

/** The far end: collects packets, and sends what it is told to. */
class Peer {
  readonly packets: string[] = [];
  /** Every byte that is no packet: acknowledgements. */
  others = 0;
  #wake: () => void = () => undefined;

  constructor(readonly stream: Duplex) {
    const decoder = new GdbDecoder((message) => {
      if (message.kind === 'packet') this.packets.push(message.text);
      else this.others++;
      this.#wake();
    });
    stream.on('data', (chunk: Buffer) => decoder.push(chunk));
    stream.on('error', () => undefined);
  }

  /** The packets so far, once there are so many. */
  async first(count: number): Promise<string[]> {
    while (this.packets.length < count) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.packets.slice(0, count);
  }

  send(...answers: string[]): void {
    this.stream.write(answers.map((answer) => `+${encodePacket(answer)}`).join(''), 'latin1');
  }
}

const PHYSICAL = 'Qqemu.PhyMemMode:1';

async function connect({ supported = 'PacketSize=1000;qXfer:features:read+', mode = '0', patience = 5000 } = {}) {
  const [own, far] = duplexPair();
  const stub = new Gdbstub(own, patience);
  const peer = new Peer(far);
  const negotiated = stub.negotiate();
  expect(await peer.first(2)).toEqual(['qSupported', 'qqemu.PhyMemMode']);
  peer.send(supported, mode);
  await negotiated;
  peer.packets.length = 0;
  return { stub, peer };
}

const read = (address: bigint, width: 1 | 2 | 4): MemoryOp => ({ kind: 'read', address, width });
const write = (address: bigint, width: 1 | 2 | 4, value: number): MemoryOp => ({
  kind: 'write',
  address,
  width,
  value,
});
const run = (base: bigint, count: number) => Array.from({ length: count }, (_, i) => read(base + 4n * BigInt(i), 4));

describe('gdbstub', () => {
  it('asks for physical memory once, then writes one packet an access, little-endian', async () => {
    const { stub, peer } = await connect();
    const values = stub.batch([
      read(0x40_1000_0000n, 4),
      read(0x10n, 2),
      read(0x11n, 1),
      write(0x40_1000_8018n, 4, 0xffff_0102),
      write(0x4n, 2, 6),
      write(0n, 1, 255),
      write(0n, 4, -2),
    ]);
    expect(await peer.first(8)).toEqual([
      PHYSICAL,
      'm4010000000,4',
      'm10,2',
      'm11,1',
      'M4010008018,4:0201ffff',
      'M4,2:0600',
      'M0,1:ff',
      'M0,4:feffffff',
    ]);
    peer.send('OK', '361b0800', '8680', 'ab', 'OK', 'OK', 'OK', 'OK');
    expect(await values).toEqual([0x81b36, 0x8086, 0xab, 0, 0, 0, 0]);
    const again = stub.batch([read(0n, 4)]);
    expect((await peer.first(9)).slice(8)).toEqual(['m0,4']);
    peer.send('ffffffff');
    expect(await again).toEqual([0xffff_ffff]);
    expect(await stub.batch([])).toEqual([]);
  });

  it('never acknowledges: a byte of whatever kind would stop a machine that runs', async () => {
    const { stub, peer } = await connect();
    const values = stub.batch([read(0n, 4)]);
    peer.send('OK', '00000000', 'T02thread:p01.01;');
    await values;
    expect(peer.packets).toHaveLength(2);
    expect(peer.others).toBe(0);
  });

  it('reads dwords that follow each other together, no more than a packet can carry', async () => {
    const { stub, peer } = await connect({ supported: 'PacketSize=50' });
    // 0x50 bytes of packet are 16 of memory.
    const values = stub.batch([...run(0x100n, 9), read(0x200n, 2), ...run(0x300n, 3)]);
    expect((await peer.first(8)).slice(1)).toEqual([
      'm100,10',
      'm110,10',
      'm120,4',
      'm200,2',
      'm300,4',
      'm304,4',
      'm308,4',
    ]);
    const block = (...dwords: number[]) => Buffer.from(Uint32Array.from(dwords).buffer).toString('hex');
    peer.send('OK', block(1, 2, 3, 0xffff_ffff), block(5, 6, 7, 8), block(9), '0a00', block(11), block(12), block(13));
    expect(await values).toEqual([1, 2, 3, 0xffff_ffff, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
  });

  it('moves bytes in both directions, in pieces', async () => {
    const { stub, peer } = await connect({ supported: 'PacketSize=80' });
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    const written = stub.writeBytes(0x48200000n, bytes.subarray(10, 60));
    const hex = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString('hex');
    expect((await peer.first(3)).slice(1)).toEqual([`M48200000,28:${hex(10, 50)}`, `M48200028,a:${hex(50, 60)}`]);
    peer.send('OK', 'OK', 'OK');
    await written;
    const got = stub.readBytes(0x48200000n, 50);
    expect((await peer.first(5)).slice(3)).toEqual(['m48200000,28', 'm48200028,a']);
    peer.send(hex(10, 50), hex(50, 60).toUpperCase());
    expect(await got).toEqual(Buffer.from(bytes.subarray(10, 60)));
    expect(await stub.readBytes(0n, 0)).toHaveLength(0);
    await stub.writeBytes(0n, new Uint8Array(0));
    expect(peer.packets).toHaveLength(5);
  });

  it('what a stub says unasked is no answer', async () => {
    const { stub, peer } = await connect();
    const values = stub.batch([read(0n, 4), read(4n, 4)]);
    peer.send('T02thread:p01.01;', 'OK', 'O48656c6c6f0a', '01000000', 'S05', 'W00', '02000000');
    expect(await values).toEqual([1, 2]);
  });

  it('hands over with virtual memory again, and takes physical memory back when it goes on', async () => {
    const { stub, peer } = await connect();
    await stub.handOver();
    expect(peer.packets).toEqual([]);
    const first = stub.batch([read(0n, 4)]);
    peer.send('OK', '00000000');
    await first;
    const over = stub.handOver();
    expect((await peer.first(3)).slice(2)).toEqual(['Qqemu.PhyMemMode:0']);
    peer.send('OK');
    await over;
    const second = stub.batch([read(0n, 4)]);
    expect((await peer.first(5)).slice(3)).toEqual([PHYSICAL, 'm0,4']);
    peer.send('OK', '00000000');
    await second;
  });

  it('a refused access fails alone, and is named', async () => {
    const { stub, peer } = await connect();
    const [first, second] = [stub.batch([read(0x123n, 4)]), stub.batch([read(4n, 4)])];
    peer.send('OK', 'E14', '05000000');
    await expect(first).rejects.toMatchObject({
      code: 'gdb-error',
      exit: 3,
      message: expect.stringContaining('refused m123,4: E14') as string,
    });
    expect(await second).toEqual([5]);
  });

  it.each([
    ['too few bytes', [read(0n, 4)], '000000'],
    ['too many bytes', [read(0n, 2)], '000000'],
    ['no hexadecimal', [read(0n, 1)], 'zz'],
    ['nothing', [read(0n, 1)], ''],
    ['bytes for a write', [write(0n, 1, 1)], '00'],
    ['nothing for a write', [write(0n, 1, 1)], ''],
  ])('%s is not taken for an answer', async (_, ops, answer) => {
    const { stub, peer } = await connect();
    const value = outcome(stub.batch(ops));
    peer.send('OK', answer);
    expect(await value).toBe('gdb-answer');
  });
});

describe('a far end that is no gdbstub of QEMU’s', () => {
  it.each([
    ['another gdb server', '', 'gdb-not-qemu'],
    ['one that refuses', 'E01', 'gdb-error'],
  ])('%s', async (_, mode, code) => {
    await expect(connect({ mode })).rejects.toMatchObject({ code, exit: 3 });
  });

  it.each([
    ['a QMP server', '{"QMP": {"version": {}}}\r\n', 'these bytes are no packet: {"QMP"'],
    ['wrong checksums', '+$PacketSize=1000#00', 'the checksum of'],
    ['one that got a wrong checksum', '-', 'QEMU got a packet with a wrong checksum'],
    [
      'an answer too many',
      ['PacketSize=1000', '0', '0'].map(encodePacket).join('+'),
      'an answer that belongs to no command: 0',
    ],
  ])('%s', async (_, wire, why) => {
    const [own, far] = duplexPair();
    const stub = new Gdbstub(own, 5000);
    const negotiated = stub.negotiate();
    negotiated.catch(() => undefined);
    far.write(wire, 'latin1');
    await stub.closed;
    await expect(stub.batch([read(0n, 4)])).rejects.toMatchObject({
      code: 'gdb-lost',
      exit: 3,
      message: expect.stringContaining(why) as string,
    });
  });

  it('one that never answers, and one that stops in the midst of an answer', async () => {
    for (const wire of ['', '+$PacketSi']) {
      const [own, far] = duplexPair();
      const stub = new Gdbstub(own, 50);
      const negotiated = stub.negotiate();
      far.write(wire, 'latin1');
      await expect(negotiated).rejects.toMatchObject({
        code: 'gdb-lost',
        message: expect.stringContaining('no answer for 0.05 seconds') as string,
      });
    }
  });

  it('one that owes nothing may be silent for as long as it likes', async () => {
    const { stub, peer } = await connect({ patience: 50 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    const value = stub.batch([read(0n, 1)]);
    peer.send('OK', '2a');
    expect(await value).toEqual([42]);
  });

  it('when the connection is lost, all who wait are told, and whoever comes later', async () => {
    const { stub, peer } = await connect();
    const waiting = [stub.batch(run(0n, 2000)), stub.readBytes(0n, 8), stub.writeBytes(0n, Uint8Array.of(1))].map(
      outcome,
    );
    peer.send('OK');
    peer.stream.end();
    expect(await Promise.all(waiting)).toEqual(['gdb-lost', 'gdb-lost', 'gdb-lost']);
    expect(await outcome(stub.handOver())).toBe('gdb-lost');
    expect(await outcome(stub.batch([read(0n, 1)]))).toBe('gdb-lost');
  });
});
