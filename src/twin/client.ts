import type { Socket } from 'node:net';
import type { TwinDevice } from './device.js';
import {
  BrokenStream,
  commands,
  encodeError,
  encodeReply,
  errno,
  MessageDecoder,
  Refusal,
  type Message,
} from './protocol.js';
import { answer, type DmaMaps } from './requests.js';
import { negotiate } from './version.js';

/** Milliseconds for a client to say its version, and for the rest of a message once it has begun. */
export const PATIENCE = { version: 10_000, message: 30_000 } as const;

/** Bytes of replies that a client has not taken yet, from which on nothing more is read from it. */
const MAX_UNREAD = 4 * 1024 * 1024;

/**
 * Serves one client until it goes. File descriptors that come with messages (of DMA memory, of interrupts) are closed by the
 * kernel, because Node reads the socket without asking for them: a twin does neither DMA nor interrupts.
 * @returns what ended it where that was not the client's own wish
 */
export function serveClient(socket: Socket, device: TwinDevice, patience = PATIENCE): Promise<string | undefined> {
  const maps: DmaMaps = new Map();
  let negotiated = false;
  let reason: string | undefined;

  const fail = (why: string) => {
    reason ??= why;
    socket.destroy();
  };
  const carryOut = (message: Message): Buffer => {
    const { command, payload } = message;
    if (command !== commands.version) {
      if (negotiated) return answer(device, maps, command, payload);
      throw new BrokenStream('it did not begin with VERSION');
    }
    if (negotiated) throw new Refusal(errno.EINVAL);
    const reply = negotiate(payload);
    negotiated = true;
    return reply;
  };
  const reply = (message: Message): Buffer => {
    try {
      return encodeReply(message, carryOut(message));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return encodeError(message, error.errno);
    }
  };
  const decoder = new MessageDecoder();
  /** Answers what has come, as long as the client takes the answers. */
  const serve = () => {
    try {
      while (socket.writableLength <= MAX_UNREAD) {
        const message = decoder.next();
        if (!message) return void socket.resume();
        const bytes = reply(message);
        if (message.wantsReply) socket.write(bytes);
        if (!negotiated) throw new BrokenStream('there is no version of the protocol that both speak');
      }
      socket.pause();
    } catch (error) {
      if (!(error instanceof BrokenStream)) throw error;
      reason ??= error.message;
      socket.destroySoon();
    }
  };

  socket.setTimeout(patience.version, () => {
    if (!negotiated) fail('it did not say its version');
    else if (socket.isPaused()) fail('it did not take its replies');
    else if (decoder.pending || reason) fail('it did not finish a message');
  });
  socket.on('data', (chunk: Buffer) => {
    if (reason) return;
    decoder.push(chunk);
    serve();
    if (negotiated && socket.timeout !== patience.message) socket.setTimeout(patience.message);
  });
  socket.on('drain', () => {
    if (!reason) serve();
  });
  // A client that goes while it is answered is no failure.
  socket.on('error', () => undefined);
  socket.on('end', () => {
    if (decoder.pending) reason ??= 'it went in the middle of a message';
  });
  return new Promise((resolve) =>
    socket.once('close', () => {
      device.client?.left();
      resolve(reason);
    }),
  );
}
