import { chmodSync, existsSync, renameSync, rmSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { sql } from 'kysely';
import type { Db, Handle } from '../dialect.js';
import { openThreadChannel } from '../sqlite/thread-channel.js';
import { TABLES } from '../tables.js';
import { type Engine, stampOf } from './engine.js';
import type { Original } from './original.js';
import { countRows } from './read.js';

const ASIDE = 'kairoio_original_';
/** Another process may be adopting the same file, which takes minutes when it is large. */
const BEGIN_ATTEMPTS = 120;
/** The backup, the new tables beside the old ones, and the journal of the transaction. */
const SPACE_FACTOR = 3;
const PAGES_A_STEP = 1_000;

/**
 * The backup is a copy of the whole file, made while nobody can write. The originals are renamed, read, and dropped in
 * the same transaction.
 */
export const sqliteEngine: Engine = {
  async exclusively(db, work) {
    // Neither can be switched inside a transaction. With them, dropping the originals would delete, and renaming them
    // would rewrite, what other tables refer to.
    await sql`pragma foreign_keys = off`.execute(db);
    await sql`pragma legacy_alter_table = on`.execute(db);
    try {
      return await begin(db, work);
    } finally {
      await sql`pragma legacy_alter_table = off`.execute(db);
      await sql`pragma foreign_keys = on`.execute(db);
    }
  },

  async setAside(transaction, original, { nowMs, onBackup }) {
    const path = await pathOf(transaction);
    const backup = unusedPath(`${path}.kairoio-${stampOf(nowMs)}`);
    const lastIds = await readLastIds(transaction);
    // Under its name there is never less than the whole of it, even when the machine stops.
    const part = `${backup}.part`;
    try {
      assertSpace(path);
      await copyFile(path, part, onBackup);
      await verifyCopy(transaction, original, part);
      renameSync(part, backup);
      for (const name of [...original.tables.map((table) => table.name), ...original.inTheWay]) {
        await dropIndexes(transaction, name);
        await transaction.schema.alterTable(name).renameTo(`${ASIDE}${name}`).execute();
      }
    } catch (error) {
      rmSync(part, { force: true });
      rmSync(backup, { force: true });
      throw error;
    }
    return {
      backup,
      source: (name) => ({ name: `${ASIDE}${name}` }),
      lastId: async (name) => lastIds.get(name) ?? 0,
      async finish() {
        for (const { name } of original.tables) {
          await transaction.schema.dropTable(`${ASIDE}${name}`).execute();
        }
        await assertReferences(transaction);
      },
      abandon: async () => rmSync(backup, { force: true }),
    };
  },
};

async function begin<T>(db: Db, work: Parameters<Engine['exclusively']>[1]): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    let begun = false;
    try {
      return (await db.transaction().execute((transaction) => {
        begun = true;
        return work(transaction);
      })) as T;
    } catch (error) {
      const isBusy = error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY';
      if (begun || !isBusy || attempt === BEGIN_ATTEMPTS) throw error;
    }
  }
}

/** The file of a database. */
export async function pathOf(db: Handle): Promise<string> {
  const { rows } = await sql<{ name: string; file: string }>`pragma database_list`.execute(db);
  const file = rows.find(({ name }) => name === 'main')?.file;
  if (!file) throw new Error('The database is not in a file');
  return file;
}

function unusedPath(stem: string): string {
  for (let n = 1; ; n += 1) {
    const path = n === 1 ? `${stem}.bak` : `${stem}-${n}.bak`;
    if (!existsSync(path)) return path;
  }
}

function assertSpace(path: string): void {
  const { needed, free } = spaceFor(path);
  if (free >= needed) return;
  throw new Error(
    `Adopting ${path} takes about ${inMegabytes(needed)} beside it, for a backup and the new tables, and only ${inMegabytes(free)} are free`,
  );
}

/** Bytes that adopting takes on the disk of the file, and bytes that are free there. */
export function spaceFor(path: string): { backup: number; needed: number; free: number } {
  const { size } = statSync(path);
  const { bavail, bsize } = statfsSync(dirname(path));
  return { backup: size, needed: size * SPACE_FACTOR, free: bavail * bsize };
}

export function inMegabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

async function copyFile(
  path: string,
  backup: string,
  onBackup: (done: number, of: number) => void,
): Promise<void> {
  rmSync(backup, { force: true });
  const source = new SqliteDatabase(path, { readonly: true });
  try {
    await source.backup(backup, {
      progress({ totalPages, remainingPages }) {
        onBackup(totalPages - remainingPages, totalPages);
        return PAGES_A_STEP;
      },
    });
  } finally {
    source.close();
  }
  // It holds keys, as the file does.
  chmodSync(backup, statSync(path).mode & 0o777);
}

/** @throws when the copy is not sound or has not all rows. */
async function verifyCopy(db: Handle, original: Original, backup: string): Promise<void> {
  const copy = openThreadChannel({ path: backup, mode: 'write' });
  try {
    // So that it is one file without a journal beside it.
    await copy.statement('pragma journal_mode = delete', []);
    const { rows } = await copy.statement('pragma integrity_check(10)', []);
    const verdict = (rows as { integrity_check: string }[]).map((row) => row.integrity_check);
    if (verdict.join() !== 'ok') {
      throw new Error(
        `The database is damaged, as its copy shows (${verdict.join('; ')}); repair it first, with .recover of sqlite3 for instance`,
      );
    }
    for (const { name } of original.tables) {
      const counted = await copy.statement(`select count(*) as n from "${name}"`, []);
      const [{ n } = { n: -1 }] = counted.rows as { n: number }[];
      const expected = await countRows(db, { name });
      if (n !== expected) {
        throw new Error(`The backup ${backup} has ${n} rows in ${name} instead of ${expected}`);
      }
    }
  } finally {
    await copy.close();
  }
}

/** Their names are those of the whole file, so one could be that of a new index. */
async function dropIndexes(db: Handle, table: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select name from sqlite_master
    where type = 'index' and tbl_name = ${table} and sql is not null`.execute(db);
  for (const { name } of rows) await sql`drop index ${sql.id(name)}`.execute(db);
}

async function readLastIds(db: Handle): Promise<Map<string, number>> {
  const { rows: found } = await sql`
    select 1 from sqlite_master where name = 'sqlite_sequence'`.execute(db);
  if (found.length === 0) return new Map();
  const { rows } = await sql<{ name: string; seq: number }>`
    select name, seq from sqlite_sequence`.execute(db);
  return new Map(rows.map(({ name, seq }) => [name, seq]));
}

/** What foreign keys would have refused, had they been on. */
async function assertReferences(db: Handle): Promise<void> {
  for (const name of TABLES) {
    const { rows } = await sql`
      select 1 from pragma_foreign_key_check(${name}) limit 1`.execute(db);
    if (rows.length > 0) throw new Error(`Rows of ${name} refer to rows that are not there`);
  }
}
