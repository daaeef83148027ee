import type { Duplex } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';
import { decodeMessage, encodeMessage, MESSAGE_SIZE, type Message } from './message.js';

/** Whole messages to and from another thread or process, in order. */
export interface Channel {
  /** Dropped where the channel is closed. */
  send(message: Message): void;
  /** Closing is said once, with a reason for people; nothing comes after it. */
  listen(on: { readonly message: (message: Message) => void; readonly closed: (reason: string) => void }): void;
  close(): void;
}

/** Bytes that the other side may leave unread before it is given up: some thousands of messages. */
const MAX_UNREAD = 64 << 10;

const NOT_A_MESSAGE = 'it sent what is no message';

/** A channel whose other end is a thread, or the other port in this one. */
export function portChannel(port: MessagePort): Channel {
  let closed = false;
  return {
    send: (message) => {
      if (!closed) port.postMessage(encodeMessage(message));
    },
    listen: (on) => {
      const end = (reason: string) => {
        if (closed) return;
        closed = true;
        port.close();
        on.closed(reason);
      };
      port.on('message', (data: unknown) => {
        if (closed) return;
        const message = data instanceof Uint8Array ? decodeMessage(data) : undefined;
        if (message) on.message(message);
        else end(NOT_A_MESSAGE);
      });
      port.on('messageerror', () => end(NOT_A_MESSAGE));
      port.on('close', () => end('it has ended'));
    },
    close: () => {
      closed = true;
      port.close();
    },
  };
}

/** A channel over a socket or a pipe. */
export function streamChannel(stream: Duplex): Channel {
  let closed = false;
  let rest = Buffer.alloc(0);
  let on: Parameters<Channel['listen']>[0] | undefined;
  const end = (reason: string) => {
    if (closed) return;
    closed = true;
    stream.destroy();
    on?.closed(reason);
  };
  const take = (chunk: Buffer) => {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    for (; !closed && at + MESSAGE_SIZE <= bytes.length; at += MESSAGE_SIZE) {
      const message = decodeMessage(bytes.subarray(at, at + MESSAGE_SIZE));
      if (message) on?.message(message);
      else end(NOT_A_MESSAGE);
    }
    // A copy, so that what is left of a large chunk does not keep all of it.
    rest = Buffer.from(bytes.subarray(at, at + MESSAGE_SIZE));
  };
  return {
    send: (message) => {
      if (closed) return;
      stream.write(encodeMessage(message));
      if (stream.writableLength > MAX_UNREAD) end('it does not read what it is sent');
    },
    listen: (handlers) => {
      on = handlers;
      stream.on('data', take);
      stream.on('error', (error) => end(error.message));
      stream.on('end', () => end('it has ended'));
      stream.on('close', () => end('it has ended'));
    },
    close: () => {
      closed = true;
      stream.destroy();
    },
  };
}
