import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.js';
import type { PressureSocket } from '../realtime/pressure.js';
import type { SseMessage } from './define.js';

/** One answer that is an event stream. */
export interface EventConnection {
  /** What the stream's source sees of it. */
  readonly socket: PressureSocket;
  /** Aborts when nobody reads any more, or nothing more can be written. */
  readonly signal: AbortSignal;
  begin(headers: OutgoingHttpHeaders, retryMs: number): void;
  write(message: SseMessage): void;
  /** Says nothing to the client; left out while it has other things to take. */
  comment(): void;
  /** Ends the answer, with a last message; a client that does not take that soon is cut off. */
  end(last?: SseMessage): void;
  /** The same with the reason, for a client that is to come back. */
  giveUp(reason: string): void;
  /** The connection is lost. */
  close(): void;
}

const CUT_OFF_MS = 5_000;

export function openConnection(response: ServerResponse, clock: Clock): EventConnection {
  const gone = new AbortController();
  const isOver = () => response.destroyed || response.writableEnded;

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
      once: (event, listener) => response.once(event, listener),
      off: (event, listener) => response.off(event, listener),
      destroy: () => response.destroy(),
      giveUp,
    },
    begin(headers, retryMs) {
      response.writeHead(200, headers);
      response.write(textOf({ retry: retryMs }));
    },
    write(message) {
      const text = textOf(message);
      if (text !== '' && !isOver()) response.write(text);
    },
    comment() {
      if (response.writableLength === 0 && !isOver()) response.write(':\n\n');
    },
    end,
    giveUp,
    close: () => gone.abort(),
  };
}

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
