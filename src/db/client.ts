import type { CompiledQuery } from 'kysely';
import type { Config } from '../config.js';
import type { Db, DialectName } from './dialect.js';
import type { IngestWriter } from './ingest.js';
import { openSqlite } from './sqlite/open.js';

export type { CompiledQuery } from 'kysely';
export type { Db, DialectName, Handle } from './dialect.js';

/** An open database. Its tables exist once `migrate` has run. */
export interface DatabaseHandle {
  db: Db;
  dialect: DialectName;
  /** For people: which database and where, without secrets. */
  description: string;
  ingest: IngestWriter;
  /**
   * Runs statements in one transaction, in order, in a single trip where the database allows it: for what must be quick.
   * Returns the rows of each. When one of them returns no row, everything is undone and the answer is undefined.
   */
  batch(queries: readonly CompiledQuery[]): Promise<unknown[][] | undefined>;
  /** Whether batches that are under way at once are committed, and answered, in the order they were given. */
  batchesInOrder: boolean;
  /** @throws when the database cannot be read or written. */
  ping(): Promise<void>;
  /** What it takes on disk. */
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

/** @throws when the database cannot be reached; the message says which one and why. */
export async function openDatabase(config: Config['database']): Promise<DatabaseHandle> {
  if (config.type === 'sqlite') return openSqlite(config.path);
  // Its driver takes memory that a server on SQLite has no use for.
  const { openPostgres } = await import('./postgres/open.js');
  return openPostgres(config);
}
