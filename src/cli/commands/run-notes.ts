import type { Machine } from '../../machine/model.js';
import type { Plan } from '../../place/plan.js';

/**
 * Says what usual guests would do by themselves, once the guest runs, so that it does not wait for that: what they would leave
 * without an address; with `verbose` also what they would make of the pins.
 */
export class GuestNotes {
  /** Settles when all is said. Never rejects: a note is not worth a guest that runs. */
  said: Promise<void> = Promise.resolve();
  #plan: { readonly machine: Machine; readonly plan: Plan } | undefined;
  #running = false;
  #done = false;

  constructor(
    private readonly flags: { readonly quiet: boolean; readonly verbose: boolean },
    private readonly uefi: boolean,
    private readonly line: (text: string) => void,
  ) {}

  /** With UEFI firmware this comes when the guest runs already. */
  planned(machine: Machine, plan: Plan): void {
    this.#plan = { machine, plan };
    this.#sayOnce();
  }

  running(): void {
    this.#running = true;
    this.#sayOnce();
  }

  #sayOnce(): void {
    if (!this.#plan || !this.#running || this.#done || this.flags.quiet) return;
    this.#done = true;
    this.said = this.#say(this.#plan).catch(() => undefined);
  }

  async #say({ machine, plan }: { readonly machine: Machine; readonly plan: Plan }): Promise<void> {
    const { missingNotes, pinningNotes } = await import('../../guests/notes.js');
    const notes =
      this.flags.verbose && !this.uefi ? pinningNotes(machine, plan) : missingNotes(machine, plan, this.uefi);
    if (notes.length > 0) this.line(notes.join(' '));
  }
}
