import type { Transaction } from 'kysely';
import type { Db } from '../dialect.js';
import type { TableRef } from '../pages.js';
import type { Database } from '../schema.js';
import type { KairoioTable, Original } from './original.js';

/** What SQLite and PostgreSQL do each in their own way when a database is adopted. */
export interface Engine {
  /** Runs `work` in one transaction while nobody else adopts or migrates. */
  exclusively<T>(db: Db, work: (transaction: Transaction<Database>) => Promise<T>): Promise<T>;
  /** Backs the originals up, checks the copy, and makes their names free. */
  setAside(
    transaction: Transaction<Database>,
    original: Original,
    options: { nowMs: number; onBackup(done: number, of: number): void },
  ): Promise<SetAside>;
}

/** The originals, out of the way. */
export interface SetAside {
  /** For people: where the backup is. */
  backup: string;
  source(table: KairoioTable): TableRef;
  /** The last id that the database gave out in a table, or 0: deleted rows may have had higher ones than are there. */
  lastId(table: KairoioTable): Promise<number>;
  /** Removes what only the work needed. */
  finish(): Promise<void>;
  /** Removes the backup of originals that are as they were. */
  abandon(): Promise<void>;
}

/** `20260125T120000Z`, for names. */
export function stampOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}
