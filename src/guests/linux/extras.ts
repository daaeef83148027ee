import type { Size } from '../../address/kinds.js';
import type { Resource } from './resource.js';

/** What a resource would like beyond what it must have (struct pci_dev_resource of the kernel's realloc list). */
export interface Extra {
  size: Size;
  /** A window's alignment with it; 0: does not matter. */
  readonly align: Size;
}

/** What is optional. The kernel puts new entries in front, and answers them in that order. */
export class Extras {
  readonly #entries = new Map<Resource, Extra>();

  add(res: Resource, size: Size, align: Size): void {
    this.#entries.delete(res);
    this.#entries.set(res, { size, align });
  }

  get(res: Resource): Extra | undefined {
    return this.#entries.get(res);
  }

  delete(res: Resource): void {
    this.#entries.delete(res);
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** The newest first; entries may go while it runs. */
  newestFirst(): [Resource, Extra][] {
    return [...this.#entries].reverse();
  }
}

/** A resource as it was. */
export interface Saved {
  readonly res: Resource;
  readonly start: bigint;
  readonly end: bigint;
  readonly kinds: number;
  readonly alignedByStart: boolean;
  readonly unset: boolean;
  readonly disabled: boolean;
}

export const save = (res: Resource): Saved => ({
  res,
  start: res.start,
  end: res.end,
  kinds: res.kinds,
  alignedByStart: res.alignedByStart,
  unset: res.unset,
  disabled: res.disabled,
});

export function restore({ res, start, end, kinds, alignedByStart, unset, disabled }: Saved): void {
  Object.assign(res, { start, end, kinds, alignedByStart, unset, disabled });
}
