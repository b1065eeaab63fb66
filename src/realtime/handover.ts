import type { StreamEvent } from './event.js';

/** Where the events of a reader that has caught up go: as bytes to its connection, past everything in between. */
export interface EventSink {
  /** Those of one tick, oldest first; must neither block nor wait. */
  write(events: readonly StreamEvent[]): void;
}

/**
 * What a stream yields when its reader has everything there is and its connection takes handovers. The door that comes
 * upon it calls `begin` in that same step, and its sink gets what comes, until the stream itself has more to yield or ends.
 * It stands for no value: it must not be sent, and no type of a stream shows it.
 */
export class Handover {
  readonly begin: (sink: EventSink) => void;

  constructor(begin: (sink: EventSink) => void) {
    this.begin = begin;
  }

  /** Whoever passes it on as JSON has not understood it, and must not go on. */
  toJSON(): never {
    throw new Error('A handover was to be sent to a client');
  }
}
