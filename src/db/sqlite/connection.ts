import SqliteDatabase, { type Database, type Statement } from 'better-sqlite3';
import { FOLD_CASE } from './fold-case.js';

const BUSY_TIMEOUT_MS = 5_000;
const STATEMENT_CACHE = 200;
/** 16 MB of write-ahead log. SQLite's own 1,000 pages cost a tenth of the throughput; more than this cost latency. */
const CHECKPOINT_PAGES = 4_000;

export interface Connection {
  database: Database;
  prepare(sql: string): Statement<unknown[]>;
}

/** `read` writes nothing, not even the journal mode; `exclusive` needs a file that nobody else has open. */
export type ConnectionMode = 'write' | 'read' | 'exclusive';

/** One SQLite connection with the settings Fleetwire relies on, and a bounded cache of prepared statements. */
export function openConnection(path: string, mode: ConnectionMode): Connection {
  const database = new SqliteDatabase(path, {
    readonly: mode === 'read',
    fileMustExist: mode !== 'write',
    timeout: mode === 'exclusive' ? 0 : BUSY_TIMEOUT_MS,
  });
  if (mode === 'exclusive') database.pragma('locking_mode = EXCLUSIVE');
  if (mode === 'write') {
    database.pragma('journal_mode = WAL');
    // better-sqlite3 leaves WAL at NORMAL, which loses the last commits when the power goes.
    database.pragma('synchronous = FULL');
    // A checkpoint takes the writer's time, and the pages of many commits take hardly more of it than those of few.
    database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    database.pragma('foreign_keys = ON');
  }
  database.function(FOLD_CASE, { deterministic: true }, (text) => String(text).toLowerCase());
  const statements = new Map<string, Statement<unknown[]>>();
  function prepare(sql: string): Statement<unknown[]> {
    const known = statements.get(sql);
    if (known) return known;
    const statement = database.prepare<unknown[]>(sql);
    if (statements.size >= STATEMENT_CACHE) {
      const oldest = statements.keys().next();
      if (!oldest.done) statements.delete(oldest.value);
    }
    statements.set(sql, statement);
    return statement;
  }
  return { database, prepare };
}
