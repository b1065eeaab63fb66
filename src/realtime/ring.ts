import type { DurableSource } from './durable.js';
import { StreamEvent } from './event.js';

/** The newest events of one stream, in memory: the source of a durable stream that need not outlive the process. */
export interface Ring<T> extends DurableSource<T> {
  /** Adds an event as the newest; the oldest go when there are too many. */
  append(payload: T): StreamEvent<T>;
  /** The version of the newest; 0 before the first. */
  last(): number;
}

export function createRing<T>(limits: { events: number; bytes: number }): Ring<T> {
  const events: StreamEvent<T>[] = [];
  let last = 0;
  let horizon = 0;
  let bytes = 0;

  return {
    append(payload) {
      last += 1;
      const event = new StreamEvent({ payload, version: last, cursor: String(last) });
      events.push(event);
      bytes += event.sizeBytes;
      while (events.length > limits.events || (bytes > limits.bytes && events.length > 1)) {
        const dropped = events.shift() as StreamEvent<T>;
        bytes -= dropped.sizeBytes;
        horizon = dropped.version;
      }
      return event;
    },
    last: () => last,
    read: async (after, limit) => events.filter(({ version }) => version > after).slice(0, limit),
    end: async () => last,
    horizon: async () => horizon,
  };
}
