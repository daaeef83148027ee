import { formatBdf, parseBdf, type Bdf } from '../pci/bdf.js';
import { Problem } from '../problem/problem.js';
import type { TwinDevice } from './device.js';

/** A function that is to appear late: after so many milliseconds, or when it is told to. */
export interface LateRule {
  readonly at: Bdf;
  readonly after?: number;
  /** Whether it is plugged in to its port, which tells the guest; else it is there from one moment to the next. */
  readonly hotplug: boolean;
}

/** A day: longer than any guest waits. */
const MAX_SECONDS = 86_400;

/**
 * `0000:01:00.0`, or `0000:01:00.0@2.5` for two and a half seconds after the guest has started; with `,hotplug` it is plugged in then.
 * @throws Problem `twin-absent`, `bdf-syntax`
 */
export function parseLateRule(text: string): LateRule {
  const [when = '', how, ...others] = text.split(',');
  const [address = '', seconds, ...more] = when.split('@');
  const at = parseBdf(address);
  if (others.length > 0 || (how !== undefined && how !== 'hotplug')) {
    throw new Problem('twin-absent', `"${text.slice(0, 60)}" does not say how the function appears`, {
      hint: 'write ,hotplug for a function that is plugged in to its port, and nothing for one that appears without a word',
    });
  }
  const hotplug = how !== undefined;
  if (seconds === undefined) return { at, hotplug };
  if (more.length === 0 && /^\d+([.]\d+)?$/.test(seconds) && Number(seconds) <= MAX_SECONDS) {
    return { at, after: Number(seconds) * 1000, hotplug };
  }
  throw new Problem('twin-absent', `"${text.slice(0, 60)}" does not say when the function appears`, {
    hint: 'write ADDRESS@SECONDS, such as 0009:03:00.0@5, or ADDRESS alone for when SIGUSR2 comes',
  });
}

interface Waiting {
  readonly device: TwinDevice;
  readonly after: number | undefined;
  readonly hotplug: boolean;
}

/** Makes functions appear late: their slots are empty until their time has come. */
export class LateDevices {
  readonly #waiting: Waiting[];
  readonly #timers: NodeJS.Timeout[] = [];
  /** Their time has come while the machine was prepared. */
  readonly #due: TwinDevice[] = [];
  #plugIn: ((devices: readonly TwinDevice[]) => Promise<void>) | undefined;
  #preparing = true;
  #started = false;
  readonly #signal = () => this.#appear(({ after }) => after === undefined);

  /** @throws Problem `twin-absent` where a rule's function is not served */
  constructor(
    rules: readonly LateRule[],
    devices: readonly TwinDevice[],
    private readonly notice: (text: string) => void,
  ) {
    this.#waiting = rules.map(({ at, after, hotplug }) => {
      const name = formatBdf(at);
      const device = devices.find(({ fn }) => formatBdf(fn.address) === name);
      if (device) return { device, after, hotplug };
      throw new Problem('twin-absent', `${name} is to appear late, and it is not served`, {
        hint: `served are ${devices.map(({ fn }) => formatBdf(fn.address)).join(', ')}`,
      });
    });
    if (this.#waiting.length > 0) process.on('SIGUSR2', this.#signal);
  }

  /** What plugs functions in. It is called while the guest is there, not while its machine is prepared. */
  plugInBy(plugIn: (devices: readonly TwinDevice[]) => Promise<void>): void {
    this.#plugIn = plugIn;
  }

  /** For whoever prepares the machine: all are there, so that room is kept for them. */
  show(): void {
    this.#preparing = true;
    for (const { device } of this.#waiting) device.absent = false;
  }

  /** For the guest: those whose time has not come are not there. The first time is when the guest starts. */
  hide(): void {
    this.#preparing = false;
    // One that is plugged in is not known to anybody before, and is there for whoever it is plugged in by.
    for (const { device, hotplug } of this.#waiting) device.absent = !hotplug;
    this.#plugInDue();
    if (this.#started) return;
    this.#started = true;
    // Those of the same time at once: functions of one device are plugged in together.
    for (const after of new Set(this.#waiting.map((one) => one.after))) {
      if (after !== undefined) this.#timers.push(setTimeout(() => this.#appear((one) => one.after === after), after));
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

  #appear(which: (one: Waiting) => boolean): void {
    for (const one of this.#waiting.filter(which)) {
      const { device, hotplug } = one;
      this.#waiting.splice(this.#waiting.indexOf(one), 1);
      if (hotplug) this.#due.push(device);
      else {
        device.absent = false;
        this.notice(`${formatBdf(device.fn.address)} has appeared`);
      }
    }
    this.#plugInDue();
  }

  #plugInDue(): void {
    if (this.#preparing || this.#due.length === 0) return;
    const due = this.#due.splice(0);
    const names = due.map(({ fn }) => formatBdf(fn.address)).join(', ');
    this.#plugIn?.(due).then(
      () => this.notice(`plugged in: ${names}`),
      (error: unknown) =>
        this.notice(`could not be plugged in: ${names}: ${error instanceof Error ? error.message : String(error)}`),
    );
  }
}
