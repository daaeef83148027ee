import { Duplex } from 'node:stream';

class Half extends Duplex {
  peer: Half | undefined;

  override _read(): void {
    // The other half pushes.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.peer?.push(chunk);
    done();
  }

  override _final(done: () => void): void {
    this.peer?.push(null);
    done();
  }
}

/** Two connected streams in memory: what one writes, the other reads. */
export function duplexPair(): [Duplex, Duplex] {
  const [a, b] = [new Half(), new Half()];
  a.peer = b;
  b.peer = a;
  return [a, b];
}
