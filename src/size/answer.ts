/** What one option of one stack has to be. */
export interface SizeAnswer {
  readonly stack: 'qemu' | 'ovmf' | 'port' | 'linux' | 'libvirt' | 'vmware' | 'cpu';
  /** As it is written: `highmem-mmio-size`. */
  readonly option: string;
  /** What it is an option of, and of which machine. */
  readonly where: string;
  /** As it is written; null: the default does, leave it out. */
  readonly value: string | null;
  readonly why: string;
  /** The next smaller value that can be said, and what becomes of it. */
  readonly smaller?: { readonly value: string; readonly fails: string };
  /** `model`: pinbar's models of these guests, which are checked against real ones. `rule`: a rule of its documentation. */
  readonly by: 'model' | 'source' | 'rule';
}
