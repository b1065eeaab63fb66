import type { Database as SqliteDatabase, Statement } from 'better-sqlite3';
import { isDataError, isForeignKeyViolation } from '../errors.js';
import { DUPLICATE, GONE, INGEST_COLUMNS, type IngestGroup, REFUSED } from './protocol.js';

/**
 * Group commit: all rows in one transaction; if one of them is bad, the others without it.
 * Returns one verdict a row, in order (see `unpackVerdict`).
 */
export function createGroupInsert(database: SqliteDatabase) {
  const insert = {
    status: database.prepare<unknown[]>(insertSql('robot_statuses', INGEST_COLUMNS.status)),
    log: database.prepare<unknown[]>(insertSql('robot_logs', INGEST_COLUMNS.log)),
    message: database.prepare<unknown[]>(insertSql('robot_messages', INGEST_COLUMNS.message)),
  };
  function insertOne(statement: Statement<unknown[]>, values: unknown[]): number {
    const { changes, lastInsertRowid } = statement.run(values);
    return changes === 0 ? DUPLICATE : Number(lastInsertRowid);
  }
  /** SQLite undoes a failed statement alone, so the transaction goes on. */
  function insertAlone(statement: Statement<unknown[]>, values: unknown[]): number {
    try {
      return insertOne(statement, values);
    } catch (error) {
      if (isForeignKeyViolation(error)) return GONE;
      if (isDataError(error)) return REFUSED;
      throw error;
    }
  }
  function insertEach({ kinds, values }: IngestGroup, one: typeof insertOne): number[] {
    let from = 0;
    return kinds.map((kind) => {
      const until = from + INGEST_COLUMNS[kind].length;
      const verdict = one(insert[kind], values.slice(from, until));
      from = until;
      return verdict;
    });
  }
  const inTransaction = database.transaction(insertEach);

  return function insertGroup(group: IngestGroup): number[] {
    try {
      return inTransaction.immediate(group, insertOne);
    } catch (error) {
      if (isDataError(error)) return inTransaction.immediate(group, insertAlone);
      throw error;
    }
  };
}

function insertSql(table: string, columns: readonly string[]): string {
  return `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})
    on conflict (robot_id, event_id) where event_id is not null do nothing`;
}
