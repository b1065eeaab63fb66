import type { Socket } from 'node:net';
import type { Encoder } from '@trpc/server/adapters/ws';
import type { WebSocket } from 'ws';
import type { StreamEvent } from '../realtime/event.js';
import { type EventSink, Handover } from '../realtime/handover.js';
import { createSharedBytes, type EncodeEvents } from '../realtime/shared-bytes.js';
import { textFrame } from './ws-frame.js';

/** What the library has on its way to a client, before it is JSON. */
export interface Message {
  id: number | string | null;
  result?: { type: string; data?: unknown; id?: string };
}

/** Goes to `send` in place of a handover. No message is empty. */
const NOTHING = '';

/** The frames of events, shared by all sockets that watch them under the same request id. */
export function createEventFrames(): EncodeEvents {
  return createSharedBytes((events, opening) =>
    Buffer.concat(events.map((event) => textFrame(opening + closingOf(event)))),
  );
}

/** To the letter what the library would send. */
function closingOf({ cursor, json }: StreamEvent): string {
  if (cursor === null) return `"result":{"type":"data","data":${json}}}`;
  const id = JSON.stringify(cursor);
  return `"result":{"type":"data","data":{"id":${id},"data":${json}},"id":${id}}}`;
}

/** How the events of one request begin: with all that its messages have but the result. */
function openingOf(message: Message): string {
  return `${JSON.stringify({ ...message, result: undefined }).slice(0, -1)},`;
}

/**
 * The same encoder, but for handovers: those are begun and not sent. The sink writes beside `ws`, which is possible where
 * `ws` itself writes each frame at once and whole: without permessage-deflate, and without Blobs, which we never send.
 */
export function takeHandovers(
  inner: Encoder,
  { ws, connection, frames }: { ws: WebSocket; connection: Socket; frames: EncodeEvents },
): Encoder {
  function sinkOf(message: Message): EventSink {
    const opening = openingOf(message);
    return {
      write(events) {
        if (ws.readyState === ws.OPEN) connection.write(frames(events, opening));
      },
    };
  }
  return {
    encode(message) {
      const handover = handoverIn(message);
      if (!handover) return inner.encode(message);
      handover.begin(sinkOf(message as Message));
      return NOTHING;
    },
    decode: (data) => inner.decode(data),
  };
}

/** The handover that is to be sent in place of an event, if this is one. */
export function handoverIn(message: unknown): Handover | undefined {
  const { id, result } = message as Message;
  const isOne = result?.type === 'data' && result.data instanceof Handover && id !== null;
  return isOne ? (result.data as Handover) : undefined;
}

type Port = Pick<WebSocket, 'readyState' | 'on' | 'once' | 'send' | 'close' | 'terminate'>;

/** What the library sees of a WebSocket: all it uses, where sending nothing does nothing. */
export function portOf(ws: WebSocket): WebSocket {
  const port: Port = {
    get readyState() {
      return ws.readyState;
    },
    on: ws.on.bind(ws),
    once: ws.once.bind(ws),
    send(data: string | Buffer) {
      if (data !== NOTHING) ws.send(data);
    },
    close: ws.close.bind(ws),
    terminate: ws.terminate.bind(ws),
  };
  return port as WebSocket;
}
