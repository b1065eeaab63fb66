import { type CompiledQuery, type Insertable, type Selectable, sql } from 'kysely';
import { type Db, dialectOf, type Handle } from '../dialect.js';
import type { StreamEventsTable } from '../schema.js';
import { STREAM_LOCKS } from '../stream-locks.js';
import { raiseHorizon, type StreamName } from './stream-horizons.js';

export type StreamEventRow = Selectable<StreamEventsTable>;
export type NewStreamEvent = Insertable<StreamEventsTable>;

const LOCK = sql`select pg_advisory_xact_lock(${sql.lit(STREAM_LOCKS.events)})`;
/** Bound parameters of one statement are limited. */
const INSERT_ROWS = 500;

/**
 * Adds events and returns their ids, in the same order. Call it in a transaction: until its commit nobody else can draw
 * an id, so ids are committed in their order.
 */
export async function appendStreamEvents(
  tx: Handle,
  events: readonly NewStreamEvent[],
): Promise<number[]> {
  if (dialectOf(tx) === 'postgres') await LOCK.execute(tx);
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

/** The same for one event, as the statements of a batch: what comes before the first other one, and what adds it. */
export function streamEventQueries(
  db: Db,
  event: NewStreamEvent,
): { before: CompiledQuery[]; append: CompiledQuery } {
  return {
    before: dialectOf(db) === 'postgres' ? [LOCK.compile(db)] : [],
    append: db.insertInto('stream_events').values(event).returning('id').compile(),
  };
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

/** Deletes up to `limit` events of before `before`, and notes how far for their readers. Returns how many went. */
export async function deleteStreamEventsBefore(
  tx: Handle,
  before: number,
  limit: number,
): Promise<number> {
  const deleted = await tx
    .deleteFrom('stream_events')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('stream_events')
        .select('id')
        .where('created_at', '<', before)
        .orderBy('created_at')
        .limit(limit),
    )
    .returning(['id', 'stream', 'account_id', 'robot_id'])
    .execute();
  const horizons = new Map<string, (typeof deleted)[number]>();
  for (const event of deleted) {
    const { stream, account_id, robot_id, id } = event;
    const key = JSON.stringify([stream, account_id, robot_id]);
    if (id > (horizons.get(key)?.id ?? 0)) horizons.set(key, event);
  }
  for (const { id, ...of } of horizons.values()) {
    await raiseHorizon(tx, { ...of, stream: of.stream as StreamName, cursor: id });
  }
  return deleted.length;
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
