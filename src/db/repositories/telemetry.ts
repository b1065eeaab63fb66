import type { Handle } from '../dialect.js';
import { raiseHorizon, type StreamName } from './stream-horizons.js';

/** What robots send and retention deletes again. */
export type TelemetryTable = 'robot_statuses' | 'robot_logs' | 'robot_messages';

const STREAM_OF: Partial<Record<TelemetryTable, StreamName>> = {
  robot_logs: 'logs',
  robot_messages: 'messages',
};

interface Expired {
  table: TelemetryTable;
  account_id: string;
  robot_id: string;
  /** In milliseconds since the epoch, by recorded time. */
  before: number;
}

/** Whether a robot has rows that are too old; its newest status may be the one. */
export async function hasExpired(
  db: Handle,
  { table, robot_id, before }: Expired,
): Promise<boolean> {
  const row = await db
    .selectFrom(table as 'robot_logs')
    .select('id')
    .where('robot_id', '=', robot_id)
    .where('timestamp', '<', before)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/**
 * Deletes up to `limit` of a robot's rows that are too old, and never its newest status. What a stream is replayed from
 * goes together with the note that tells its readers. Returns how many went.
 */
export async function deleteExpired(
  tx: Handle,
  expired: Expired & { limit: number },
): Promise<number> {
  const { account_id, robot_id, before, limit } = expired;
  const stream = STREAM_OF[expired.table];
  // The columns used here are the same in all of these tables.
  const table = expired.table as 'robot_logs';
  let oldest = tx
    .selectFrom(table)
    .select('id')
    .where('robot_id', '=', robot_id)
    .where('timestamp', '<', before)
    .orderBy('timestamp')
    .limit(limit);
  if (expired.table === 'robot_statuses') {
    oldest = oldest.where('id', '<>', (newest) =>
      newest
        .selectFrom(table)
        .select('id')
        .where('robot_id', '=', robot_id)
        .orderBy('timestamp', 'desc')
        .orderBy('id', 'desc')
        .limit(1),
    );
  }
  const deleted = await tx.deleteFrom(table).where('id', 'in', oldest).returning('id').execute();
  if (stream && deleted.length > 0) {
    const cursor = Math.max(...deleted.map(({ id }) => id));
    await raiseHorizon(tx, { stream, account_id, robot_id, cursor });
  }
  return deleted.length;
}

/** Deletes up to `limit` of a robot's rows, whichever, of a robot that is deleted itself. Returns how many went. */
export async function deleteAnyOf(
  db: Handle,
  table: TelemetryTable | 'commands' | 'stream_events',
  robotId: string,
  limit: number,
): Promise<number> {
  const any = table as 'robot_logs';
  const result = await db
    .deleteFrom(any)
    .where('id', 'in', (eb) =>
      eb.selectFrom(any).select('id').where('robot_id', '=', robotId).limit(limit),
    )
    .executeTakeFirst();
  return Number(result.numDeletedRows);
}
