import { describe, expect, it } from 'vitest';
import type { Bdf } from '../../src/pci/bdf.js';
import { allOnes, readOp, writeOp, type ConfigAccess, type Width } from '../../src/pci/config-access.js';

/** What a test needs to know of the machine behind an access. */
export interface Specimen {
  readonly access: ConfigAccess;
  /** A function that is there, on a bus that is routed, and its vendor and device id. */
  readonly present: { readonly at: Bdf; readonly vendor: number; readonly device: number };
  /** A function that is not there. */
  readonly absent: Bdf;
}

/**
 * What every ConfigAccess does, whatever stands behind it. `open` is called once for each test; writes go only to the
 * Interrupt Line register and the Command register's decode bits, which are free to change before a guest runs.
 */
export function configAccessContract(
  name: string,
  open: () => Specimen | Promise<Specimen>,
  options: { readonly skip?: Readonly<Record<string, string>> } = {},
): void {
  const INTERRUPT_LINE = 0x3c;
  const check = (title: string, test: (specimen: Specimen) => Promise<void>) => {
    const reason = options.skip?.[title];
    if (reason) it.skip(`${title} (${reason})`);
    else it(title, async () => test(await open()));
  };

  describe(`ConfigAccess contract: ${name}`, () => {
    check('an empty batch gives nothing', async ({ access }) => {
      expect(await access.batch([])).toEqual([]);
    });

    check(
      'bytes, words and dwords of one register agree, little-endian',
      async ({ access, present: { at, vendor, device } }) => {
        const wide = (device * 0x1_0000 + vendor) >>> 0;
        const reads = [
          [0, 4],
          [0, 2],
          [2, 2],
          [0, 1],
          [1, 1],
          [2, 1],
          [3, 1],
        ] as const;
        expect(await access.batch(reads.map(([register, width]) => readOp(at, register, width)))).toEqual([
          wide,
          vendor,
          device,
          vendor & 0xff,
          vendor >> 8,
          device & 0xff,
          device >> 8,
        ]);
      },
    );

    check('what is absent reads all ones in every width', async ({ access, absent }) => {
      const widths: Width[] = [1, 2, 4];
      expect(await access.batch(widths.map((width) => readOp(absent, 0, width)))).toEqual(widths.map(allOnes));
    });

    check('a long batch keeps its order', async ({ access, present: { at, vendor }, absent }) => {
      const ops = Array.from({ length: 2000 }, (_, i) => readOp(i % 3 === 0 ? at : absent, 0, 2));
      expect(await access.batch(ops)).toEqual(ops.map((_, i) => (i % 3 === 0 ? vendor : 0xffff)));
    });

    check('batches that are under way together do not mix', async ({ access, present: { at, vendor, device } }) => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => access.batch([readOp(at, i % 2 ? 0 : 2, 2)])),
      );
      expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => [i % 2 ? vendor : device]));
    });

    check(
      'a write is seen by the next read of the same batch, and is alone in its bytes',
      async ({ access, present: { at } }) => {
        const [before = 0, , low, after = 0] = await access.batch([
          readOp(at, INTERRUPT_LINE, 4),
          writeOp(at, INTERRUPT_LINE, 1, 0x5a),
          readOp(at, INTERRUPT_LINE, 1),
          readOp(at, INTERRUPT_LINE, 4),
          writeOp(at, INTERRUPT_LINE, 1, 0),
        ]);
        expect(low).toBe(0x5a);
        expect(after).toBe(((before & 0xffff_ff00) | 0x5a) >>> 0);
      },
    );

    check('a write gives 0', async ({ access, present: { at } }) => {
      expect(await access.batch([writeOp(at, INTERRUPT_LINE, 1, 0)])).toEqual([0]);
    });

    check('a write to what is absent is dropped', async ({ access, present: { at, vendor }, absent }) => {
      expect(await access.batch([writeOp(absent, 4, 2, 3), readOp(absent, 4, 2), readOp(at, 0, 2)])).toEqual([
        0,
        0xffff,
        vendor,
      ]);
    });

    check('read-only registers keep their value', async ({ access, present: { at, vendor } }) => {
      expect(await access.batch([writeOp(at, 0, 2, 0), readOp(at, 0, 2)])).toEqual([0, vendor]);
    });

    check('values come back unsigned', async ({ access, absent }) => {
      const [value = -1] = await access.batch([readOp(absent, 0x10, 4)]);
      expect(value).toBe(4_294_967_295);
    });
  });
}
