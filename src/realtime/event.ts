/** The objects themselves, with the names of a payload's members shared by all of its kind. */
const OBJECT_BYTES = 200;

/**
 * One thing that happened, shared by everybody who watches: the payload is never copied or changed, and its JSON text
 * is made at most once however many read it.
 */
export class StreamEvent<T = unknown> {
  readonly payload: T;
  /**
   * Grows with every event of the same key, and must go on growing when what the key names is deleted and made anew:
   * take it from one sequence for all keys. What is not newer than the last seen version is a duplicate.
   */
  readonly version: number;
  /** What the payload is the newest state of (a robot's id); empty for events that do not replace each other. */
  readonly key: string;
  /** Where a durable stream resumes after this event; null for latest-value events. */
  readonly cursor: string | null;
  /**
   * Of a durable stream: when it is not that of the event before, others may have been stored in between that were not
   * published here.
   */
  readonly stretch: number;
  #json: string | undefined;
  #bySkipped: Map<number, StreamEvent<T & { skipped: number }>> | undefined;

  constructor(fields: {
    payload: T;
    version: number;
    key?: string;
    cursor?: string;
    stretch?: number;
  }) {
    this.payload = fields.payload;
    this.version = fields.version;
    this.key = fields.key ?? '';
    this.cursor = fields.cursor ?? null;
    this.stretch = fields.stretch ?? 0;
  }

  /** About what it takes in memory: the payload, and the same again as text. */
  get sizeBytes(): number {
    return OBJECT_BYTES + 2 * this.json.length;
  }

  /** The value as a reader gets it who has not been given the `skipped` values before it. */
  withSkipped(skipped: number): StreamEvent<T & { skipped: number }> {
    this.#bySkipped ??= new Map();
    let event = this.#bySkipped.get(skipped);
    if (!event) {
      const { payload, version, key } = this;
      event = new StreamEvent({ payload: { ...payload, skipped }, version, key });
      this.#bySkipped.set(skipped, event);
    }
    return event;
  }

  /** The payload as JSON text. */
  get json(): string {
    this.#json ??= JSON.stringify(this.payload);
    return this.#json;
  }
}
