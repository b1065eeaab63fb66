import type { Db, Handle } from '../db/client.js';
import { appendStreamEvents } from '../db/repositories/stream-events.js';
import type { Clock } from '../lib/clock.js';
import { StreamEvent } from '../realtime/event.js';
import type { EventHub } from '../realtime/hub.js';

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
}

export interface JournalDeps {
  db: Db;
  hub: EventHub;
  clock: Clock;
}

export function createJournal({ db, hub, clock }: JournalDeps): Journal {
  let last: Promise<unknown> = Promise.resolve();

  async function writeNow<T>(
    work: (tx: Handle, record: (event: JournalEvent) => void) => Promise<T>,
  ): Promise<T> {
    const events: JournalEvent[] = [];
    const { result, ids } = await db.transaction().execute(async (tx) => {
      const result = await work(tx, (event) => void events.push(event));
      if (events.length === 0) return { result, ids: [] };
      const created_at = clock.now();
      const rows = events.map(({ payload, ...event }) => ({
        ...event,
        payload: JSON.stringify(payload),
        created_at,
      }));
      return { result, ids: await appendStreamEvents(tx, rows) };
    });
    for (const [at, { stream, account_id, payload }] of events.entries()) {
      const version = ids[at] as number;
      hub.publish(
        journalTopic(stream, account_id),
        new StreamEvent({ payload, version, cursor: String(version) }),
      );
    }
    return result;
  }

  return {
    write(work) {
      const result = last.then(() => writeNow(work));
      last = result.catch(() => {});
      return result;
    },
  };
}

export function journalTopic(stream: JournalEvent['stream'], accountId: string): string {
  return `${stream}/${accountId}`;
}
