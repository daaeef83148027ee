import { formatBdf, parseBdf, type Bdf } from '../pci/bdf.js';
import { Problem } from '../problem/problem.js';
import type { TwinDevice } from './device.js';

/** A function that is to appear late: after so many milliseconds, or when it is told to. */
export interface LateRule {
  readonly at: Bdf;
  readonly after?: number;
}

/** A day: longer than any guest waits. */
const MAX_SECONDS = 86_400;

/**
 * `0000:01:00.0`, or `0000:01:00.0@2.5` for two and a half seconds after the guest has started.
 * @throws Problem `twin-absent`, `bdf-syntax`
 */
export function parseLateRule(text: string): LateRule {
  const [address = '', seconds, ...more] = text.split('@');
  const at = parseBdf(address);
  if (seconds === undefined) return { at };
  if (more.length === 0 && /^\d+([.]\d+)?$/.test(seconds) && Number(seconds) <= MAX_SECONDS) {
    return { at, after: Number(seconds) * 1000 };
  }
  throw new Problem('twin-absent', `"${text.slice(0, 60)}" does not say when the function appears`, {
    hint: 'write ADDRESS@SECONDS, such as 0009:03:00.0@5, or ADDRESS alone for when SIGUSR2 comes',
  });
}

/** Makes functions appear late: their slots are empty until their time has come. */
export class LateDevices {
  readonly #waiting: { readonly device: TwinDevice; readonly after: number | undefined }[];
  readonly #timers: NodeJS.Timeout[] = [];
  #started = false;
  readonly #signal = () => this.#appear(({ after }) => after === undefined);

  /** @throws Problem `twin-absent` where a rule's function is not served */
  constructor(
    rules: readonly LateRule[],
    devices: readonly TwinDevice[],
    private readonly notice: (text: string) => void,
  ) {
    this.#waiting = rules.map(({ at, after }) => {
      const name = formatBdf(at);
      const device = devices.find(({ fn }) => formatBdf(fn.address) === name);
      if (device) return { device, after };
      throw new Problem('twin-absent', `${name} is to appear late, and it is not served`, {
        hint: `served are ${devices.map(({ fn }) => formatBdf(fn.address)).join(', ')}`,
      });
    });
    if (this.#waiting.length > 0) process.on('SIGUSR2', this.#signal);
  }

  /** For whoever prepares the machine: all are there, so that room is kept for them. */
  show(): void {
    for (const { device } of this.#waiting) device.absent = false;
  }

  /** For the guest: those whose time has not come are not there. The first time is when the guest starts. */
  hide(): void {
    for (const { device } of this.#waiting) device.absent = true;
    if (this.#started) return;
    this.#started = true;
    for (const one of this.#waiting) {
      const { after } = one;
      if (after !== undefined) this.#timers.push(setTimeout(() => this.#appear((other) => other === one), after));
    }
  }

  /**
   * For a QEMU that somebody else starts: it sees all functions while it makes its machine, and none of those from the reset
   * on with which it ends that.
   */
  followClients(): void {
    for (const { device } of this.#waiting) {
      device.client = {
        reset: () => {
          if (this.#waiting.some((one) => one.device === device)) this.hide();
        },
        left: () => {
          if (this.#waiting.some((one) => one.device === device)) device.absent = false;
        },
      };
    }
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    process.off('SIGUSR2', this.#signal);
  }

  #appear(which: (one: { readonly device: TwinDevice; readonly after: number | undefined }) => boolean): void {
    for (const one of this.#waiting.filter(which)) {
      this.#waiting.splice(this.#waiting.indexOf(one), 1);
      one.device.absent = false;
      this.notice(`${formatBdf(one.device.fn.address)} has appeared`);
    }
  }
}
