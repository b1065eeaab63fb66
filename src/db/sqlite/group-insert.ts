import type { Database as SqliteDatabase, Statement } from 'better-sqlite3';
import { isDataError, isForeignKeyViolation } from '../dialect.js';
import type { IngestRow, IngestVerdict } from '../ingest.js';

const INSERT = {
  status: `insert into robot_statuses
    (robot_id, account_id, status_json, timestamp, received_at, event_id, x, y, lat, lng, battery_level)
    values (@robot_id, @account_id, @status_json, @timestamp, @received_at, @event_id, @x, @y, @lat, @lng, @battery_level)
    on conflict (robot_id, event_id) where event_id is not null do nothing`,
  log: `insert into robot_logs
    (robot_id, account_id, topic, message, level, timestamp, received_at, event_id)
    values (@robot_id, @account_id, @topic, @message, @level, @timestamp, @received_at, @event_id)
    on conflict (robot_id, event_id) where event_id is not null do nothing`,
};

/** Group commit: all rows in one transaction; if one of them is bad, each in its own, so that it fails alone. */
export function createGroupInsert(database: SqliteDatabase) {
  const insert: Record<IngestRow['kind'], Statement> = {
    status: database.prepare(INSERT.status),
    log: database.prepare(INSERT.log),
  };
  function insertOne({ kind, row }: IngestRow): IngestVerdict {
    const { changes, lastInsertRowid } = insert[kind].run(row);
    return changes === 0
      ? { outcome: 'duplicate' }
      : { outcome: 'stored', id: Number(lastInsertRowid) };
  }
  function insertAlone(row: IngestRow): IngestVerdict {
    try {
      return insertOne(row);
    } catch (error) {
      if (isForeignKeyViolation(error)) return { outcome: 'gone' };
      if (isDataError(error)) return { outcome: 'refused' };
      throw error;
    }
  }
  const together = database.transaction((rows: readonly IngestRow[]) => rows.map(insertOne));
  const apart = database.transaction((rows: readonly IngestRow[]) => rows.map(insertAlone));

  return function insertGroup(rows: readonly IngestRow[]): IngestVerdict[] {
    try {
      return together.immediate(rows);
    } catch (error) {
      if (isDataError(error)) return apart.immediate(rows);
      throw error;
    }
  };
}
