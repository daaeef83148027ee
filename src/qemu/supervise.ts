import type { Qmp, QmpEvent } from './qmp.js';

/**
 * What the user wants to happen, as QEMU's `-action` has it. While pinbar supervises, QEMU itself runs with
 * `reboot=shutdown,shutdown=pause`, so that a reset stops the machine before the guest's first instruction.
 */
export interface Actions {
  readonly reboot: 'reset' | 'shutdown';
  readonly shutdown: 'poweroff' | 'pause';
  readonly panic: 'pause' | 'shutdown' | 'exit-failure' | 'none';
}

/** QEMU's defaults, qapi/run-state.json. */
export const defaultActions: Actions = { reboot: 'reset', shutdown: 'poweroff', panic: 'shutdown' };

/** What QEMU is started with, in the place of the user's own. */
export const SUPERVISED = 'reboot=shutdown,shutdown=pause';

/** `reason` of a SHUTDOWN event that was a reset before `reboot=shutdown` made it one (system/runstate.c). */
const resets = new Set(['guest-reset', 'host-qmp-system-reset']);

/** Whether a SHUTDOWN event of this reason stands for a reset. */
export const isReset = (reason: string): boolean => resets.has(reason);

/** Of one that QEMU ends with at once, whatever `-action` says: nothing can be asked of it any more. */
const ends = new Set(['host-qmp-quit', 'host-signal']);

export interface Supervised {
  /** Programs the machine that was just reset; it stands before its first instruction. */
  readonly reprogram: () => Promise<void>;
  /** The guest has stopped for good or for a reset; registers are as it left them. `reason` as QEMU has it. */
  readonly onStop: (reason: string) => Promise<void>;
}

/**
 * Keeps a running machine programmed for its life: programs it again at every reset, and does for the user's
 * `-action` what QEMU can no longer do itself. `supervise` ends with the connection; what `reprogram` throws is thrown on.
 * The exit code is 1 where QEMU's own would have been (`panic=exit-failure`) and cannot be any more, else undefined.
 */
export async function supervise(
  qmp: Qmp,
  actions: Actions,
  running: boolean,
  { reprogram, onStop }: Supervised,
): Promise<{ readonly exitCode?: number }> {
  const events = queue(qmp);
  for await (const { event, data } of events) {
    switch (event) {
      case 'STOP':
        running = false;
        break;
      case 'RESUME':
        running = true;
        break;
      case 'SHUTDOWN': {
        const reason = String(data['reason']);
        if (ends.has(reason)) break;
        await onStop(reason);
        if (isReset(reason) && actions.reboot === 'reset') {
          running = await resetAgain(qmp, reprogram, running);
          // What came until the machine went on is answered by this reset: a second request, and its own STOP.
          while (running) {
            const next = await events.next();
            if (next.done || next.value.event === 'RESUME') break;
          }
        } else if (actions.shutdown === 'poweroff') {
          await quit(qmp);
          if (reason === 'guest-panic' && actions.panic === 'exit-failure') return { exitCode: 1 };
        }
        break;
      }
      case 'GUEST_PANICKED':
        // With shutdown=pause QEMU makes panic=shutdown a pause, and sends no SHUTDOWN.
        if (actions.panic === 'shutdown' && actions.shutdown === 'poweroff') await quit(qmp);
        break;
    }
  }
  return {};
}

/**
 * The machine stands after a reset that did not happen: lets it happen, programs it, and lets it go on.
 * @param running whether it ran until then
 * @returns whether it runs now
 */
async function resetAgain(qmp: Qmp, reprogram: () => Promise<void>, running: boolean): Promise<boolean> {
  // The user may have sent cont after the request; a machine that runs would take its first steps unprogrammed.
  const status = (await qmp.execute('query-status')) as { readonly running?: unknown };
  await qmp.execute('stop');
  const reset = qmp.waitFor(({ event }) => event === 'RESET');
  reset.catch(() => undefined);
  await qmp.execute('set-action', { reboot: 'reset' });
  await qmp.execute('system_reset');
  await reset;
  await qmp.execute('set-action', { reboot: 'shutdown' });
  // Whoever else asked for a reset just before that line got it at once, and QEMU carries it out before its next answers.
  for (let turn = 0; turn < 2; turn++) await qmp.execute('query-status');
  await reprogram();
  if (!running && status.running !== true) return false;
  await qmp.execute('cont');
  return true;
}

/** QEMU closes the connection as it goes; that is no failure here. */
async function quit(qmp: Qmp): Promise<void> {
  await qmp.execute('quit').catch(() => undefined);
}

/** Events in order, also those that come while one is being dealt with; ends with the connection. */
async function* queue(qmp: Qmp): AsyncGenerator<QmpEvent, void> {
  const waiting: (QmpEvent | 'end')[] = [];
  let wake: () => void = () => undefined;
  const add = (event: QmpEvent | 'end') => {
    waiting.push(event);
    wake();
  };
  const stop = qmp.onEvent(add);
  void qmp.closed.then(() => add('end'));
  try {
    for (;;) {
      const event = waiting.shift();
      if (event === 'end') return;
      if (event) yield event;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    stop();
  }
}
