import { join } from 'node:path';
import { guestCommand, RunningPinbar, type GuestOptions } from './pinbar.js';
import type { QemuVersion } from './lab.js';
import type { ProgramOptions } from './running.js';
import { RunningProgram } from './running.js';
import { scratchFolder } from './suite.js';

/** A QEMU that is started by hand, paused, with the sockets that pinbar attaches to: a QMP monitor each for it and for a user. */
export class OwnQemu {
  readonly run: RunningProgram;
  readonly #folder: string;

  constructor(
    version: QemuVersion,
    { sockets = '', ...guest }: GuestOptions & { readonly sockets?: string } = {},
    options?: ProgramOptions,
  ) {
    this.#folder = sockets || scratchFolder();
    const unix = (name: string) => `unix:${this.socket(name)},server=on,wait=off`;
    this.run = new RunningProgram(
      [
        ...guestCommand(version, guest),
        ...['-S', '-qmp', unix('qmp'), '-qmp', unix('user-qmp'), '-monitor', unix('monitor'), '-gdb', unix('gdb')],
        ...['-chardev', `socket,id=qtest0,path=${this.socket('qtest')},server=on,wait=off`],
        ...['-object', 'qtest,id=qtest1,chardev=qtest0,log=/dev/null'],
      ],
      options,
    );
  }

  /** The path of `qmp`, `user-qmp`, `qtest`, `gdb`, `monitor`, or of a file beside them. */
  socket(name: string): string {
    return join(this.#folder, name);
  }

  /** `pinbar attach` to this machine. */
  attach(transport: 'qtest' | 'gdb', words: readonly string[] = [], options?: ProgramOptions): RunningPinbar {
    return new RunningPinbar(
      ['attach', '--qmp', this.socket('qmp'), `--${transport}`, this.socket(transport), ...words],
      options,
    );
  }
}
