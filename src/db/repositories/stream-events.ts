import { type Insertable, type Selectable, sql } from 'kysely';
import { dialectOf, type Handle } from '../dialect.js';
import type { StreamEventsTable } from '../schema.js';
import { STREAM_LOCKS } from '../stream-locks.js';

export type StreamEventRow = Selectable<StreamEventsTable>;

/** Bound parameters of one statement are limited. */
const INSERT_ROWS = 500;

/**
 * Adds events and returns their ids, in the same order. Call it in a transaction: until its commit nobody else can draw
 * an id, so ids are committed in their order.
 */
export async function appendStreamEvents(
  tx: Handle,
  events: readonly Insertable<StreamEventsTable>[],
): Promise<number[]> {
  if (dialectOf(tx) === 'postgres') {
    await sql`select pg_advisory_xact_lock(${sql.lit(STREAM_LOCKS.events)})`.execute(tx);
  }
  const ids: number[] = [];
  for (let from = 0; from < events.length; from += INSERT_ROWS) {
    const rows = await tx
      .insertInto('stream_events')
      .values(events.slice(from, from + INSERT_ROWS))
      .returning('id')
      .execute();
    // They are drawn in the order of the values, but may be returned in any.
    ids.push(...rows.map(({ id }) => id).sort((a, b) => a - b));
  }
  return ids;
}

/** The events of an account's stream after `after`, oldest first; of these robots alone if they are named. */
export async function streamEventsAfter(
  db: Handle,
  query: {
    stream: string;
    account_id: string;
    robot_ids?: readonly string[] | undefined;
    after: number;
    limit: number;
  },
): Promise<StreamEventRow[]> {
  let select = db
    .selectFrom('stream_events')
    .selectAll()
    .where('account_id', '=', query.account_id)
    .where('stream', '=', query.stream)
    .where('id', '>', query.after)
    .orderBy('id')
    .limit(query.limit);
  if (query.robot_ids) select = select.where('robot_id', 'in', [...query.robot_ids]);
  return select.execute();
}

/** The newest id of any stream's event; 0 when there is none. */
export async function lastStreamEventId(db: Handle): Promise<number> {
  const row = await db
    .selectFrom('stream_events')
    .select('id')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.id ?? 0;
}
