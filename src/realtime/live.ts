import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { StreamEvent } from './event.js';
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
 * @throws DomainError `overloaded` when the connection takes nothing for `stallMs`.
 */
export async function* latest<T extends object>(
  options: LatestOptions<T>,
): AsyncGenerator<Latest<T>, void, undefined> {
  const { hub, signal, socket, filter } = options;
  const slots = createSlots<T>();
  const gate = createPressureGate(options);
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
      wake();
      return 'sent';
    },
    end(reason) {
      failure = reason;
      wake();
    },
  };
  const onAbort = () => wake();
  const leave = options.topics.map((topic) => hub.subscribe<T>(topic, subscriber));
  signal?.addEventListener('abort', onAbort);
  try {
    keep(await options.snapshot());
    while (!signal?.aborted && !socket?.destroyed) {
      if (failure) throw failure;
      if (!gate.isOpen()) {
        await gate.wait();
        continue;
      }
      const slot = slots.take();
      if (slot) {
        yield { ...slot.event.payload, skipped: slot.skipped };
        run += 1;
        if (run % RUN_VALUES === 0) await setImmediate();
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (signal?.reason instanceof DomainError) throw signal.reason;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    for (const unsubscribe of leave) unsubscribe();
  }
}
