import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { StreamEvent } from './event.js';
import type { EventHub } from './hub.js';
import { createPressureGate, type PressureSocket } from './pressure.js';
import type { Subscriber } from './subscriber.js';

/**
 * Where a durable stream is replayed from. An event's version is its cursor: ids become visible in their order, so that
 * having read up to one means having missed none below it.
 */
export interface DurableSource<T> {
  /** The events after `after`, oldest first, at most `limit`; fewer mean that there are no more now. */
  read(after: number, limit: number): Promise<readonly StreamEvent<T>[]>;
  /** The newest version there is: where a reader begins who has no cursor. */
  end(): Promise<number>;
  /** Events up to this version may have been deleted. */
  horizon(): Promise<number>;
}

export interface DurableOptions<T> {
  hub: EventHub;
  topic: string;
  source: DurableSource<T>;
  /** The version after which to go on; null means with what comes from now on. */
  after: number | null;
  /** Which live events this reader gets; `source` has its own. */
  filter?: ((payload: T) => boolean) | undefined;
  /** The connection that the events are written to. */
  socket?: PressureSocket | undefined;
  /** The most that may wait for this reader, here and on that connection, before it is given up. */
  capBytes: number;
  stallMs?: number | undefined;
  /** Ends the stream: quietly, or with the error when the signal's reason is a DomainError. */
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/** `start` and `reset` come before the first event; all three carry the cursor to go on from. */
export type Durable<T> =
  | { kind: 'start'; cursor: number }
  /** Something after the reader's cursor has been deleted; the stream goes on with what is left. */
  | { kind: 'reset'; cursor: number; begins_after: number }
  | { kind: 'event'; cursor: number; event: StreamEvent<T> };

const PAGE_EVENTS = 100;
/** Events handed out in a row before other work gets its turn. */
const RUN_EVENTS = 100;
const TOO_SLOW = 'This reader is too slow for the stream; connect again to resume';

/**
 * Every event after a cursor, in order, each once: first from the source, then live, without a gap in between. A reader
 * that takes its time holds up to `capBytes`; above that its connection is given up, and it goes on from its cursor on
 * the next. Leaves the hub when it ends for whatever reason.
 * @throws DomainError `overloaded` in place of giving up a connection where there is none.
 */
export async function* durable<T>(
  options: DurableOptions<T>,
): AsyncGenerator<Durable<T>, void, undefined> {
  const { hub, source, filter, signal, socket, capBytes } = options;
  const gate = createPressureGate(options);
  let live: StreamEvent<T>[] = [];
  let liveBytes = 0;
  /** Live events came while the source was read and had to be let go: the source has them. */
  let mustRead = true;
  let reading = true;
  let failure: Error | undefined;
  let wake = () => {};

  const subscriber: Subscriber<T> = {
    whenFull: 'end',
    write(events) {
      for (const event of events) {
        if (filter && !filter(event.payload)) continue;
        live.push(event);
        liveBytes += event.json.length;
      }
      if (liveBytes + (socket?.writableLength ?? 0) <= capBytes) {
        wake();
        return 'sent';
      }
      live = [];
      liveBytes = 0;
      if (!reading) return 'full';
      mustRead = true;
      return 'sent';
    },
    end(reason) {
      failure = reason;
      wake();
    },
  };
  const onAbort = () => wake();
  const isOver = () => signal?.aborted || socket?.destroyed;
  const leave = hub.subscribe<T>(options.topic, subscriber);
  signal?.addEventListener('abort', onAbort);
  let run = 0;
  let last = options.after ?? 0;

  /** @returns false when the stream is over. */
  async function ready(): Promise<boolean> {
    run += 1;
    if (run % RUN_EVENTS === 0) await setImmediate();
    while (!isOver() && !failure && !gate.isOpen()) await gate.wait();
    return !isOver() && !failure;
  }

  try {
    if (options.after === null) {
      last = await source.end();
      yield { kind: 'start', cursor: last };
    } else {
      const horizon = await source.horizon();
      if (last < horizon) yield { kind: 'reset', cursor: last, begins_after: horizon };
    }
    while (!isOver() && !failure) {
      if (mustRead) {
        mustRead = false;
        const page = await source.read(last, PAGE_EVENTS);
        for (const event of page) {
          if (!(await ready())) break;
          last = event.version;
          yield { kind: 'event', cursor: last, event };
        }
        mustRead ||= page.length === PAGE_EVENTS;
        reading = mustRead;
        continue;
      }
      if (live.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const events = live;
      live = [];
      for (const event of events) {
        if (event.version > last) {
          if (!(await ready())) break;
          last = event.version;
          yield { kind: 'event', cursor: last, event };
        }
        liveBytes = Math.max(0, liveBytes - event.json.length);
      }
    }
    if (signal?.reason instanceof DomainError) throw signal.reason;
    if (failure && !isOver()) await giveUp(failure);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    leave();
  }

  /** An error would end the subscription for good; a connection that is lost is made again, and resumes. */
  async function giveUp(reason: Error): Promise<void> {
    if (!socket) throw reason;
    const closed = new Promise<void>((resolve) => {
      socket.once('close', resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
    if (socket.giveUp) socket.giveUp(TOO_SLOW);
    else socket.destroy();
    await closed;
  }
}
