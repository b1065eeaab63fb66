import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { StreamEvent } from './event.js';
import { type EventSink, Handover } from './handover.js';
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
  /** The stream ends behind the first event of which this is so. */
  endsWith?: ((payload: T) => boolean) | undefined;
  /** The connection that the events are written to. */
  socket?: PressureSocket | undefined;
  /** The most that may wait for this reader, here and on that connection, before it is given up. */
  capBytes: number;
  stallMs?: number | undefined;
  /** Ends the stream: quietly, or with the error when the signal's reason is a DomainError. */
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/** Either `start` or `reset` comes first; all three carry the cursor to go on from. */
export type Durable<T> =
  | { kind: 'start'; cursor: number }
  /**
   * Something after the reader's cursor has been deleted, at the latest at `begins_after`, or the cursor is of a
   * history that this is not; the stream goes on with what is left. May come again while a slow reader catches up.
   */
  | { kind: 'reset'; cursor: number; begins_after: number }
  | { kind: 'event'; cursor: number; event: StreamEvent<T> };

const PAGE_EVENTS = { first: 20, most: 100 };
/** What a page of the source is meant to hold, so that large events come few at a time. */
const PAGE_BYTES = 262_144;
/** Events handed out in a row before other work gets its turn. */
const RUN_EVENTS = 100;

/**
 * Every event after a cursor, in order, each once: first from the source, then live, without a gap in between. What a
 * reader has not taken yet is held up to `capBytes`, its connection's queue included. Above that, a reader whose
 * connection is free is given the rest from the source; any other is given up, and goes on from its cursor on its next
 * connection. A connection that takes handovers is yielded one in place of live events. Leaves the hub when it ends for
 * whatever reason.
 * @throws DomainError `overloaded` in place of giving up a connection where there is none.
 */
export async function* durable<T>(
  options: DurableOptions<T>,
): AsyncGenerator<Durable<T>, void, undefined> {
  const { hub, source, filter, endsWith, socket, capBytes } = options;
  const ended = new AbortController();
  const gate = createPressureGate({ ...options, signal: ended.signal });
  let live: StreamEvent<T>[] = [];
  let liveBytes = 0;
  /** Of the events that were taken from `live` and are still to be handed out. */
  let takenBytes = 0;
  /** The source has events that `live` does not. */
  let mustRead = true;
  let reading = true;
  /** Set while live events are handed on and nothing is yielded. */
  let sink: EventSink | undefined;
  let stretch = 0;
  let failure: Error | undefined;
  let wake = () => {};
  let last = 0;
  let knownHorizon = 0;
  let pageEvents = PAGE_EVENTS.first;
  let run = 0;

  function takeLive(): StreamEvent<T>[] {
    const taken = live;
    live = [];
    liveBytes = 0;
    return taken;
  }

  /** What was published so far comes from the source, with whatever else it has. */
  function readOn(): void {
    takeLive();
    sink = undefined;
    reading = true;
    mustRead = true;
  }

  function handOn(target: EventSink, events: readonly StreamEvent<T>[]): void {
    const unseen = only(events, ({ version }) => version > last);
    last = unseen.at(-1)?.version ?? last;
    if (unseen.length > 0) target.write(unseen);
    if (endsWith && unseen.some(({ payload }) => endsWith(payload))) end();
  }

  const handover = new Handover((target) => {
    if (mustRead || ended.signal.aborted) return;
    sink = target;
    handOn(target, takeLive());
  });

  const subscriber: Subscriber<T> = {
    whenFull: 'end',
    write(events) {
      for (const event of events) {
        if (event.stretch === stretch) continue;
        stretch = event.stretch;
        readOn();
      }
      const wanted = filter ? only(events, ({ payload }) => filter(payload)) : events;
      const heldBytes = liveBytes + takenBytes;
      const queuedBytes = socket?.writableLength ?? 0;
      const bytes = sumOfBytes(wanted);
      if (heldBytes + queuedBytes + bytes > capBytes) {
        const wasFree = socket ? queuedBytes <= socket.writableHighWaterMark : heldBytes === 0;
        const isTooMuch = !reading && !wasFree;
        readOn();
        if (isTooMuch) return 'full';
      } else if (sink) {
        handOn(sink, wanted);
        return 'sent';
      } else {
        for (const event of wanted) live.push(event);
        liveBytes += bytes;
      }
      wake();
      return 'sent';
    },
    end(reason) {
      failure = reason;
      // At once, because the reader may be stuck in what it was given last.
      if (reason instanceof DomainError && socket?.giveUp) socket.giveUp(reason.message);
      else socket?.destroy();
      end();
    },
  };
  function end(): void {
    sink = undefined;
    ended.abort();
    wake();
  }
  const leave = hub.subscribe<T>(options.topic, subscriber);
  socket?.once('close', end);
  options.signal?.addEventListener('abort', end);
  if (options.signal?.aborted) end();

  function woken(): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
    });
  }

  async function begin(): Promise<Durable<T>> {
    const { after } = options;
    const newest = await source.end();
    knownHorizon = await source.horizon();
    const latest = Math.max(newest, knownHorizon);
    last = Math.min(after ?? latest, latest);
    const isKnown = after === null || (after >= knownHorizon && after <= latest);
    return isKnown ? { kind: 'start', cursor: last } : resetAt(Math.max(knownHorizon, last));
  }

  function resetAt(beginsAfter: number): Durable<T> {
    return { kind: 'reset', cursor: last, begins_after: beginsAfter };
  }

  async function readPage(): Promise<{ page: StreamEvent<T>[]; missed: boolean }> {
    mustRead = false;
    const page = await source.read(last, pageEvents);
    mustRead ||= page.length === pageEvents;
    const fitting = Math.floor((page.length * PAGE_BYTES) / Math.max(1, sumOfBytes(page)));
    if (page.length > 0) pageEvents = Math.min(PAGE_EVENTS.most, Math.max(1, fitting));
    // Asked afterwards: what was deleted before the page was read is known by now.
    const horizon = await source.horizon();
    const missed = horizon > Math.max(knownHorizon, last);
    knownHorizon = horizon;
    return { page: [...page], missed };
  }

  /** @returns false when the stream is over. */
  async function ready(): Promise<boolean> {
    run += 1;
    if (run % RUN_EVENTS === 0) await setImmediate();
    while (!ended.signal.aborted && !gate.isOpen()) await gate.wait();
    return !ended.signal.aborted;
  }

  /** To be handed out next, oldest last. */
  let batch: StreamEvent<T>[] = [];
  try {
    yield await begin();
    while (!ended.signal.aborted) {
      const event = batch.pop();
      if (event) {
        if (event.version > last && (await ready())) {
          last = event.version;
          yield { kind: 'event', cursor: last, event };
          if (endsWith?.(event.payload)) return;
        }
        takenBytes = Math.max(0, takenBytes - event.sizeBytes);
        continue;
      }
      reading = mustRead;
      if (mustRead) {
        const { page, missed } = await readPage();
        if (missed) yield resetAt(knownHorizon);
        batch = page.reverse();
      } else if (socket?.takesHandovers && !sink) {
        yield handover as never;
        // A door that is closing passes it over; offered again at once, it would be for ever.
        if (!sink && !mustRead && !ended.signal.aborted) await woken();
      } else if (live.length > 0) {
        takenBytes = liveBytes;
        batch = takeLive().reverse();
      } else {
        await woken();
      }
    }
    const { signal } = options;
    if (signal?.reason instanceof DomainError) throw signal.reason;
    if (failure && !signal?.aborted) await lost(failure);
  } finally {
    options.signal?.removeEventListener('abort', end);
    socket?.off('close', end);
    leave();
  }

  /** An error would end a subscription for good; a connection that is lost is made again, and resumes. */
  async function lost(reason: Error): Promise<void> {
    if (!socket || !(reason instanceof DomainError)) throw reason;
    if (socket.destroyed) return;
    await new Promise<void>((resolve) => {
      socket.once('close', resolve);
      options.signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

/** Those that `takes` accepts: the list itself if that is all of them, which is then shared by all who get it. */
function only<T>(
  events: readonly StreamEvent<T>[],
  takes: (event: StreamEvent<T>) => boolean,
): readonly StreamEvent<T>[] {
  return events.every(takes) ? events : events.filter(takes);
}

function sumOfBytes(events: readonly StreamEvent[]): number {
  let bytes = 0;
  for (const { sizeBytes } of events) bytes += sizeBytes;
  return bytes;
}
