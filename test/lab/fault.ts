import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { qemuBinary, type QemuVersion } from './lab.js';
import { scratchFolder } from './suite.js';

/** A line on one of pinbar's connections to QEMU; `to` is from pinbar. `start`: QEMU does not run yet. */
export interface FaultStep {
  readonly way: 'start' | `${'to' | 'from'} ${'qmp' | 'qtest'}`;
  /** A regular expression for the line. */
  readonly line?: string;
  /** The how-manieth such line since the step before; 1 where it is left out. */
  readonly count?: number;
}

export interface Fault {
  /** Passed one after another; the fault happens at the last, before its line is passed on. */
  readonly steps: readonly FaultStep[];
  /** `hold`: not a byte is passed on any more. `cut`: pinbar's connection ends. A signal goes to QEMU. */
  readonly act: 'hold' | 'cut qmp' | 'cut qtest' | 'SIGKILL' | 'SIGSEGV' | 'SIGABRT';
  /** In how many starts, counted from the first; every one where it is left out. */
  readonly times?: number;
}

/** A program to run in QEMU's place: the real one behind a relay that makes it fail as `fault` says. */
export class FaultyQemu {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #log: string;

  constructor(version: QemuVersion, fault: Fault) {
    const folder = scratchFolder();
    this.#log = join(folder, 'log');
    this.program = join(folder, 'qemu-system-aarch64');
    const relay = join(import.meta.dirname, 'faulty-qemu.mjs');
    writeFileSync(this.program, `#!/bin/sh\nulimit -c 0\nexec '${process.execPath}' '${relay}' "$@"\n`, {
      mode: 0o755,
    });
    this.env = {
      PINBAR_FAULT: JSON.stringify({ ...fault, log: this.#log }),
      PINBAR_FAULT_QEMU: qemuBinary(version),
    };
  }

  /** How often it was started. */
  get starts(): number {
    return this.#count(/^start$/gm);
  }

  /** How often the fault has happened. */
  get faults(): number {
    return this.#count(/^fault /gm);
  }

  /** Waits until the fault has happened. */
  async happened(): Promise<void> {
    for (let tries = 0; this.faults === 0; tries++) {
      if (tries > 600) throw new Error(`the fault never happened; the relay logged: ${this.#read()}`);
      await sleep(50);
    }
  }

  #count(pattern: RegExp): number {
    return this.#read().match(pattern)?.length ?? 0;
  }

  #read(): string {
    return existsSync(this.#log) ? readFileSync(this.#log, 'utf8') : '';
  }
}
