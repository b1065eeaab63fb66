import Database from 'better-sqlite3';
import pg from 'pg';
import { sequenceOf } from './status-body.js';

/** Reads back what a server has stored, past the server. */
export interface StatusStore {
  count(): Promise<number>;
  /** The sequence numbers of all stored statuses. */
  sequences(): Promise<Set<number>>;
  close(): Promise<void>;
}

export function openSqliteStore(path: string): StatusStore {
  const db = new Database(path, { fileMustExist: true });
  return {
    async count() {
      const row = db.prepare('SELECT count(*) AS count FROM robot_statuses').get();
      return (row as { count: number }).count;
    },
    async sequences() {
      const found = new Set<number>();
      const statement = db.prepare('SELECT status_json FROM robot_statuses').pluck();
      for (const text of statement.iterate()) addSequence(found, text as string);
      return found;
    },
    async close() {
      db.close();
    },
  };
}

export async function openPostgresStore(url: string): Promise<StatusStore> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    async count() {
      const { rows } = await client.query('SELECT count(*) AS count FROM robot_statuses');
      return Number(rows[0].count);
    },
    async sequences() {
      const found = new Set<number>();
      const { rows } = await client.query('SELECT status_json FROM robot_statuses');
      for (const row of rows) addSequence(found, row.status_json);
      return found;
    },
    close: () => client.end(),
  };
}

function addSequence(found: Set<number>, statusJson: string): void {
  const sequence = sequenceOf(statusJson);
  if (sequence !== null) found.add(sequence);
}
