import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Config } from '../../config.js';
import type { Db, Handle } from '../dialect.js';
import { openPostgres } from '../postgres/open.js';
import { openSqliteSource } from '../sqlite/open.js';
import { copyOriginal } from './copy.js';
import { findOriginal, type KairoioTable } from './original.js';
import { hasProblems, type Survey } from './report.js';
import { inMegabytes, spaceFor } from './sqlite.js';

/** What adopting a database would do. */
export interface Check extends Survey {
  /** How much the backup will take; 0 on PostgreSQL, where the originals themselves become it. */
  backup_bytes: number;
  /** What would keep it from being adopted, in sentences. */
  obstacles: string[];
  /** Whether somebody should look first. */
  has_problems: boolean;
}

export interface CheckOptions {
  nowMs: number;
  onRows(table: KairoioTable, rows: number, of: number): void;
}

/**
 * Reads a database of the KairoIO server as adopting it would, and writes nothing. Undefined when it is none.
 * @throws when it cannot be read, or has tables of the same names that are not KairoIO's.
 */
export async function checkAdoption(
  config: Config['database'],
  options: CheckOptions,
): Promise<Check | undefined> {
  const { db, close } = await (config.type === 'sqlite'
    ? openSqliteSource(config.path, 'read')
    : openPostgres(config));
  try {
    return await snapshot(db, async (transaction) => {
      const original = await findOriginal(transaction);
      if (!original) return undefined;
      const survey = await copyOriginal(transaction, original, {
        source: (name) => ({ name }),
        sink: { insert: async () => {}, reject: async () => {} },
        nowMs: options.nowMs,
        newKey: randomUUID,
        onRows: options.onRows,
      });
      const room = config.type === 'sqlite' ? spaceOf(config.path) : await rightsOf(transaction);
      return {
        ...survey,
        ...room,
        has_problems: room.obstacles.length > 0 || hasProblems(survey),
      };
    });
  } finally {
    await close();
  }
}

/** One state of the database, read alone. */
export function snapshot<T>(db: Db, work: (transaction: Handle) => Promise<T>): Promise<T> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(work);
}

type Room = Pick<Check, 'backup_bytes' | 'obstacles'>;

function spaceOf(path: string): Room {
  const { backup, needed, free } = spaceFor(path);
  const obstacles =
    free >= needed
      ? []
      : [`it takes about ${inMegabytes(needed)} on the disk, and ${inMegabytes(free)} are free`];
  return { backup_bytes: backup, obstacles };
}

async function rightsOf(db: Handle): Promise<Room> {
  const { rows } = await sql<{ may: boolean }>`
    select has_database_privilege(current_database(), 'CREATE') as may`.execute(db);
  const obstacles = rows[0]?.may
    ? []
    : ['the login may not create the schema of the backup; grant it CREATE on the database'];
  return { backup_bytes: 0, obstacles };
}
