import type { StreamEvent } from './event.js';

/** The newest undelivered value of one key, and how many it replaced. */
export interface Slot<T> {
  event: StreamEvent<T>;
  /** Values of this key that came after the last delivered one and were never delivered. */
  skipped: number;
}

/** One slot per key: memory is bounded by the number of keys, however slowly they are taken. */
export interface Slots<T> {
  /** Keeps `event` unless a version as new has been seen under its key. */
  put(event: StreamEvent<T>): void;
  /** The slot that has waited longest, removed; a newer value does not send a slot back in the line. */
  take(): Slot<T> | undefined;
  isEmpty(): boolean;
}

export function createSlots<T>(): Slots<T> {
  const waiting = new Map<string, Slot<T>>();
  const newest = new Map<string, number>();
  return {
    put(event) {
      const seen = newest.get(event.key);
      if (seen !== undefined && event.version <= seen) return;
      newest.set(event.key, event.version);
      const slot = waiting.get(event.key);
      if (slot) {
        slot.event = event;
        slot.skipped += 1;
      } else {
        waiting.set(event.key, { event, skipped: 0 });
      }
    },
    take() {
      for (const [key, slot] of waiting) {
        waiting.delete(key);
        return slot;
      }
      return undefined;
    },
    isEmpty: () => waiting.size === 0,
  };
}
