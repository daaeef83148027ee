import { LineDecoder, Qmp } from '../../src/qemu/qmp.js';
import { duplexPair } from './duplex-pair.js';

/**
 * A QEMU that is played from a script. Real ones are there in the end-to-end tests; here it is about orders of events
 * that a real one cannot be made to give on demand, and about who is told what when things fail in between.
 */
export class ScriptedQemu {
  /** Commands in the order in which they came, and what pinbar did between them. */
  readonly log: string[] = [];
  running = true;
  /** What happens at a command, before it is answered. */
  on: Readonly<Record<string, () => void>> = {};
  readonly #far;
  readonly qmp: Qmp;

  constructor() {
    const [own, far] = duplexPair();
    this.qmp = new Qmp(own);
    this.#far = far;
    const decoder = new LineDecoder((line) => this.#command(line));
    far.on('data', (chunk: Buffer) => decoder.push(chunk));
    far.on('error', () => undefined);
  }

  event(event: string, data: Record<string, unknown> = {}): void {
    this.#send({ event, data });
  }

  /** A guest that reboots. */
  guestReset(): void {
    this.event('SHUTDOWN', { guest: true, reason: 'guest-reset' });
    this.event('STOP');
    this.running = false;
  }

  end(): void {
    this.#far.end();
  }

  #send(message: object): void {
    this.#far.write(`${JSON.stringify(message)}\n`);
  }

  #command(line: string): void {
    const { execute, arguments: args, id } = JSON.parse(line) as { execute: string; arguments?: object; id: number };
    this.log.push(args ? `${execute} ${Object.values(args).join(' ')}` : execute);
    this.on[execute]?.();
    if (execute === 'system_reset') this.event('RESET', { guest: false, reason: 'host-qmp-system-reset' });
    if (execute === 'cont') {
      this.running = true;
      this.event('RESUME');
    }
    this.#send({ return: execute === 'query-status' ? { running: this.running } : {}, id });
    if (execute === 'quit') this.end();
  }
}
