import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.js';
import type { StreamEvent } from '../realtime/event.js';
import type { EventSink } from '../realtime/handover.js';
import type { PressureSocket } from '../realtime/pressure.js';
import type { EncodeEvents } from '../realtime/shared-bytes.js';
import type { SseMessage } from './define.js';

/** One answer that is an event stream. */
export interface EventConnection {
  /** What the stream's source sees of it. */
  readonly socket: PressureSocket;
  /** Aborts when nobody reads any more, or nothing more can be written. */
  readonly signal: AbortSignal;
  begin(headers: OutgoingHttpHeaders, retryMs: number): void;
  write(message: SseMessage): void;
  /** Where events go that are not yielded one by one. */
  readonly sink: EventSink;
  /** Writes what says nothing to the client; left out while it has other things to take. */
  beat(text: string): void;
  /** Ends the answer, with a last message; a client that does not take that soon is cut off. */
  end(last?: SseMessage): void;
  /** The same with the reason, for a client that is to come back. */
  giveUp(reason: string): void;
  /** The connection is lost. */
  close(): void;
}

const CUT_OFF_MS = 5_000;

interface ConnectionOptions {
  clock: Clock;
  takesHandovers: boolean;
  /** `encodeBlocks`, shared by all connections. */
  blocks: EncodeEvents;
}

export function openConnection(
  response: ServerResponse,
  { clock, takesHandovers, blocks }: ConnectionOptions,
): EventConnection {
  const gone = new AbortController();
  const isOver = () => response.destroyed || response.writableEnded;
  // The response tells of a drain only when the write that filled the connection was its own.
  const { socket } = response;
  const emitterOf = (event: 'drain' | 'close') => (event === 'drain' && socket) || response;

  function end(last: SseMessage = {}): void {
    // Before the head is out, its request is still answered as any other.
    if (response.headersSent && !isOver()) {
      const stop = clock.every(CUT_OFF_MS, () => response.destroy());
      response.once('close', stop);
      response.end(textOf(last));
    }
    gone.abort();
  }

  const giveUp = (reason: string) => end({ event: 'end', data: JSON.stringify({ reason }) });

  return {
    signal: gone.signal,
    socket: {
      get writableLength() {
        return response.writableLength;
      },
      get writableHighWaterMark() {
        return response.writableHighWaterMark;
      },
      get destroyed() {
        return isOver();
      },
      once: (event, listener) => emitterOf(event).once(event, listener),
      off: (event, listener) => emitterOf(event).off(event, listener),
      destroy: () => response.destroy(),
      giveUp,
      takesHandovers,
    },
    sink: {
      write(events) {
        if (isOver()) return;
        response.socket?.write(blocks(events, response.chunkedEncoding ? CHUNKED : PLAIN));
      },
    },
    begin(headers, retryMs) {
      response.writeHead(200, headers);
      response.write(textOf({ retry: retryMs }));
    },
    write(message) {
      const text = textOf(message);
      if (text !== '' && !isOver()) response.write(text);
    },
    beat(text) {
      if (response.writableLength === 0 && !isOver()) response.write(text);
    },
    end,
    giveUp,
    close: () => gone.abort(),
  };
}

const PLAIN = 'plain';
const CHUNKED = 'chunked';

/** Events as blocks of a stream; `chunked` is as one chunk of HTTP/1.1 (RFC 9112, 7.1), to be written past the response. */
export function encodeBlocks(events: readonly StreamEvent[], form: string): Buffer {
  const text = events.map(({ cursor, json }) => textOf({ id: cursor ?? undefined, data: json }));
  const blocks = Buffer.from(text.join(''));
  if (form === PLAIN) return blocks;
  const size = Buffer.from(`${blocks.length.toString(16)}\r\n`);
  return Buffer.concat([size, blocks, LINE_END]);
}

const LINE_END = Buffer.from('\r\n');

/** A message as it goes over the wire. */
export function textOf({ id, event, data, retry }: SseMessage): string {
  let text = '';
  if (retry !== undefined) text += `retry: ${retry}\n`;
  if (id !== undefined) text += `id: ${id}\n`;
  if (event !== undefined) text += `event: ${event}\n`;
  if (data !== undefined) {
    for (const line of data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`;
  }
  return text === '' ? '' : `${text}\n`;
}
