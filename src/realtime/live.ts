import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { StreamEvent } from './event.js';
import { type EventSink, Handover } from './handover.js';
import type { EventHub } from './hub.js';
import { createPressureGate, type PressureSocket } from './pressure.js';
import { createSlots } from './slots.js';
import type { Subscriber } from './subscriber.js';

export interface LatestOptions<T extends object> {
  hub: EventHub;
  /** A value that arrives through two of them is delivered once. */
  topics: readonly string[];
  /** The state of every key as it is now; read after the subscription began, so that nothing falls in between. */
  snapshot: () => readonly StreamEvent<T>[] | Promise<readonly StreamEvent<T>[]>;
  /** Which values this reader gets; asked for snapshot and live values alike. */
  filter?: ((payload: T) => boolean) | undefined;
  /** The connection that the values are written to. */
  socket?: PressureSocket | undefined;
  /** The most that may wait on that connection; see `createPressureGate`. */
  capBytes: number;
  stallMs?: number | undefined;
  /** Ends the stream: quietly, or with the error when the signal's reason is a DomainError. */
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/** Values handed out in a row before other work gets its turn. */
const RUN_VALUES = 100;

/** A value, and how many newer than the last delivered one of its key were replaced before they could be delivered. */
export type Latest<T> = T & { skipped: number };

/**
 * The newest value of every key: first the snapshot, then what changes. A reader that is slow, or whose connection is
 * full, gets fewer values and never older ones; each says by `skipped` how many it stands for. Within a key there is
 * no duplicate and no step back. Holds one value per key, and leaves the hub when it ends for whatever reason.
 * A connection that takes handovers is yielded one after the snapshot, in place of what changes.
 * @throws DomainError `overloaded` when the connection takes nothing for `stallMs`.
 */
export async function* latest<T extends object>(
  options: LatestOptions<T>,
): AsyncGenerator<Latest<T>, void, undefined> {
  const { hub, signal, socket, filter } = options;
  const slots = createSlots<T>();
  const gate = createPressureGate(options);
  const takesHandovers = socket?.takesHandovers === true;
  /** Set while values are handed on and nothing is yielded. */
  let sink: EventSink | undefined;
  let wake = () => {};
  let failure: Error | undefined;
  let run = 0;

  function keep(events: readonly StreamEvent<T>[]): void {
    for (const event of events) {
      if (!filter || filter(event.payload)) slots.put(event);
    }
  }
  const subscriber: Subscriber<T> = {
    whenFull: 'skip',
    write(events) {
      keep(events);
      if (!sink || !handOn(sink)) wake();
      return 'sent';
    },
    end(reason) {
      failure = reason;
      end();
    },
  };
  function end(): void {
    sink = undefined;
    wake();
  }
  function isOver(): boolean {
    return signal?.aborted === true || socket?.destroyed === true || failure !== undefined;
  }

  /**
   * Writes what the connection takes; the rest stays in the slots, where newer values replace it.
   * @returns whether nothing is left to do until the next value comes.
   */
  function handOn(target: EventSink): boolean {
    if (!gate.isOpen()) return false;
    const values: StreamEvent<Latest<T>>[] = [];
    let bytes = socket?.writableLength ?? 0;
    do {
      const slot = slots.take();
      if (!slot) break;
      const value = slot.event.withSkipped(slot.skipped);
      values.push(value);
      bytes += value.json.length;
    } while (bytes <= options.capBytes);
    if (values.length > 0) target.write(values);
    return slots.isEmpty() && gate.isOpen();
  }

  const handover = new Handover((target) => {
    if (!isOver()) sink = target;
  });
  const leave = options.topics.map((topic) => hub.subscribe<T>(topic, subscriber));
  signal?.addEventListener('abort', end);
  try {
    keep(await options.snapshot());
    while (!isOver()) {
      if (!gate.isOpen()) {
        await gate.wait();
        continue;
      }
      if (sink) {
        if (!handOn(sink)) continue;
      } else {
        const slot = slots.take();
        if (slot) {
          yield slot.event.withSkipped(slot.skipped).payload;
          run += 1;
          if (run % RUN_VALUES === 0) await setImmediate();
          continue;
        }
        if (takesHandovers) {
          yield handover as never;
          // A door that is closing passes it over; offered again at once, it would be for ever.
          if (sink || isOver()) continue;
        }
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (signal?.reason instanceof DomainError) throw signal.reason;
    if (failure && !signal?.aborted && !socket?.destroyed) throw failure;
  } finally {
    signal?.removeEventListener('abort', end);
    for (const unsubscribe of leave) unsubscribe();
  }
}
