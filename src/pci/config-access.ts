import type { Bdf } from './bdf.js';

export type Width = 1 | 2 | 4;

/** One access to config space. `register` is a byte offset, 0 to 0xfff, a multiple of `width`. */
export type ConfigOp =
  | { readonly kind: 'read'; readonly at: Bdf; readonly register: number; readonly width: Width }
  | {
      readonly kind: 'write';
      readonly at: Bdf;
      readonly register: number;
      readonly width: Width;
      readonly value: number;
    };

/**
 * The only thing that `enumerate` and `program` know of a machine. Values are unsigned. A read of what is absent gives all
 * ones, as a root complex does (PCI Express Base 6.0 §2.3.2); a write to it is dropped.
 */
export interface ConfigAccess {
  /** What stands behind it, for messages. */
  readonly source: 'sim' | 'qtest' | 'gdbstub' | 'sysfs' | 'dump';
  /** False for captures: a write is then refused with a Problem `config-read-only`. */
  readonly writable: boolean;
  /**
   * Carries out `ops` in order and resolves with one number per op: what a read saw, 0 for a write. One round trip
   * where the transport allows it.
   */
  batch(ops: readonly ConfigOp[]): Promise<number[]>;
}

export const readOp = (at: Bdf, register: number, width: Width): ConfigOp => ({ kind: 'read', at, register, width });
export const writeOp = (at: Bdf, register: number, width: Width, value: number): ConfigOp => ({
  kind: 'write',
  at,
  register,
  width,
  value: value >>> 0,
});

export async function readConfig(access: ConfigAccess, at: Bdf, register: number, width: Width): Promise<number> {
  const [value] = await access.batch([readOp(at, register, width)]);
  if (value === undefined) throw new Error(`${access.source}: a batch of one read gave no value`);
  return value;
}

export async function writeConfig(access: ConfigAccess, at: Bdf, register: number, width: Width, value: number) {
  await access.batch([writeOp(at, register, width, value)]);
}

/** What a read of `width` bytes gives where nothing answers. */
export const allOnes = (width: Width): number => (width === 4 ? 0xffff_ffff : width === 2 ? 0xffff : 0xff);
