import type { CompiledQuery, DatabaseHandle, Db, Handle } from '../db/client.js';
import {
  appendStreamEvents,
  type NewStreamEvent,
  streamEventQueries,
} from '../db/repositories/stream-events.js';
import type { Clock } from '../lib/clock.js';
import { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';
import { createStretches } from './stretches.js';

/** Something that happened to an alert or a command, for the stream of its account. */
export interface JournalEvent {
  stream: 'alerts' | 'commands';
  account_id: string;
  robot_id: string;
  payload: object;
}

/**
 * The way every change of an alert or a command is made: what is stored and what its watchers are told is one
 * transaction, and they are told after its commit, in the order of the commits.
 */
export interface Journal {
  /**
   * Runs `work` in a transaction of its own and appends the events it records. Calls wait for one another: keep the
   * work short, and never call this from within.
   * @throws what `work` throws; then nothing is stored and nobody is told.
   */
  write<T>(work: (tx: Handle, record: (event: JournalEvent) => void) => Promise<T>): Promise<T>;
  /**
   * The same in a single trip to the database, for what must be quick. `make` is asked when its turn has come, which is
   * before the end of other batches where the database commits them in order. Returns the rows of each query; when one
   * of them returns none, nothing happens and the answer is undefined.
   */
  writeBatch(make: () => JournalBatch): Promise<unknown[][] | undefined>;
}

export interface JournalBatch {
  queries: readonly CompiledQuery[];
  event: JournalEvent;
}

export interface JournalDeps {
  db: Db;
  batch: DatabaseHandle['batch'];
  /** By default batches wait for one another. */
  batchesInOrder?: boolean;
  hub: EventHub;
  clock: Clock;
}

export function createJournal({
  db,
  batch,
  batchesInOrder = false,
  hub,
  clock,
}: JournalDeps): Journal {
  const stretchOf = createStretches();
  /** Settles when everything before has ended, and when the next batch may begin. */
  let allEnded: Promise<unknown> = Promise.resolve();
  let batchMayBegin = allEnded;

  async function writeNow<T>(
    work: (tx: Handle, record: (event: JournalEvent) => void) => Promise<T>,
  ): Promise<T> {
    const events: JournalEvent[] = [];
    const { result, ids } = await db.transaction().execute(async (tx) => {
      const result = await work(tx, (event) => void events.push(event));
      if (events.length === 0) return { result, ids: [] };
      return { result, ids: await appendStreamEvents(tx, events.map(rowOf)) };
    });
    for (const [at, event] of events.entries()) tell(event, ids[at] as number);
    return result;
  }

  async function writeBatchNow(make: () => JournalBatch): Promise<unknown[][] | undefined> {
    const { queries, event } = make();
    const { before, append } = streamEventQueries(db, rowOf(event));
    // The lock of the events comes last, as in `write`: two servers that take it in different orders block each other.
    const results = await batch([...queries, ...before, append]);
    if (!results) return undefined;
    const [appended] = results.pop() as [{ id: number }];
    tell(event, appended.id);
    return results.slice(0, queries.length);
  }

  function rowOf({ payload, ...event }: JournalEvent): NewStreamEvent {
    return { ...event, payload: JSON.stringify(payload), created_at: clock.now() };
  }

  function tell({ stream, account_id, payload }: JournalEvent, version: number): void {
    hub.publish(
      journalTopic(stream, account_id),
      new StreamEvent({ payload, version, cursor: String(version), stretch: stretchOf(version) }),
    );
  }

  return {
    write(work) {
      const result = allEnded.then(() => writeNow(work));
      allEnded = result.then(nothing, nothing);
      batchMayBegin = allEnded;
      return result;
    },
    writeBatch(make) {
      const result = batchMayBegin.then(() => writeBatchNow(make));
      const ended = result.then(nothing, nothing);
      allEnded = Promise.all([allEnded, ended]).then(nothing);
      if (!batchesInOrder) batchMayBegin = ended;
      return result;
    },
  };
}

function nothing(): void {}

export function journalTopic(stream: JournalEvent['stream'], accountId: string): string {
  return `${stream}/${accountId}`;
}
