import type { StreamEvent } from './event.js';

/**
 * Where a topic's events go: an iterator's slots, or the frames of a socket.
 * `write` takes the events of one tick, oldest first, and must neither block nor wait.
 */
export interface Subscriber<T = unknown> {
  /**
   * What `full` means: `end` gives the reader up (a durable stream, which resumes from its cursor); `skip` goes on,
   * because the subscriber keeps the newest value by itself (a latest-value stream).
   */
  readonly whenFull: 'end' | 'skip';
  write(events: readonly StreamEvent<T>[]): 'sent' | 'full';
  /** Called at most once, after which nothing more is written. */
  end(reason: Error): void;
}
