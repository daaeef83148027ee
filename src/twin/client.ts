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

/**
 * Milliseconds for a client to say its version, from when it has connected, and for a message, from its first byte on; the latter
 * as well for taking replies. What comes meanwhile does not prolong them.
 */
export const PATIENCE = { version: 10_000, message: 30_000 } as const;

/** Bytes of replies that a client has not taken yet, from which on nothing more is read from it. */
const MAX_UNREAD = 4 * 1024 * 1024;

const TAKES_NO_REPLIES = 'it did not take its replies';

/**
 * Serves one client until it goes. File descriptors that come with messages (of DMA memory, of interrupts) are closed by the
 * kernel, because Node reads the socket without asking for them: a twin does neither DMA nor interrupts.
 * @returns what ended it where that was not the client's own wish
 */
export function serveClient(socket: Socket, device: TwinDevice, patience = PATIENCE): Promise<string | undefined> {
  const maps: DmaMaps = new Map();
  let negotiated = false;
  let reason: string | undefined;

  let deadline: NodeJS.Timeout | undefined;

  /** Gives the client up after that time, unless the next call is earlier. */
  const giveUpAfter = (milliseconds: number, why: string) => {
    clearTimeout(deadline);
    deadline = setTimeout(() => {
      reason ??= why;
      socket.destroy();
    }, milliseconds);
  };
  const waitAsLongAsItTakes = () => {
    clearTimeout(deadline);
    deadline = undefined;
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
    let took = socket.isPaused();
    try {
      while (socket.writableLength <= MAX_UNREAD) {
        const message = decoder.next();
        if (!message) {
          if (negotiated && !decoder.pending) waitAsLongAsItTakes();
          else if (negotiated && (took || !deadline)) giveUpAfter(patience.message, 'it did not finish a message');
          return void socket.resume();
        }
        took = true;
        const bytes = reply(message);
        if (message.wantsReply) socket.write(bytes);
        if (!negotiated) throw new BrokenStream('there is no version of the protocol that both speak');
      }
      giveUpAfter(patience.message, TAKES_NO_REPLIES);
      socket.pause();
    } catch (error) {
      if (!(error instanceof BrokenStream)) throw error;
      reason ??= error.message;
      giveUpAfter(patience.message, TAKES_NO_REPLIES);
      socket.destroySoon();
    }
  };

  giveUpAfter(patience.version, 'it did not say its version');
  socket.on('data', (chunk: Buffer) => {
    if (reason) return;
    decoder.push(chunk);
    serve();
  });
  socket.on('drain', () => {
    if (!reason && !socket.readableEnded) serve();
  });
  // A client that goes while it is answered is no failure.
  socket.on('error', () => undefined);
  socket.on('end', () => {
    if (decoder.pending) reason ??= 'it went in the middle of a message';
    // It is closed once it has taken what is left for it.
    giveUpAfter(patience.message, TAKES_NO_REPLIES);
  });
  return new Promise((resolve) =>
    socket.once('close', () => {
      clearTimeout(deadline);
      device.client?.left();
      resolve(reason);
    }),
  );
}
