import type { Insertable, TableMetadata, Transaction } from 'kysely';
import { sql } from 'kysely';
import type { Config } from '../../config.js';
import { findOriginal } from '../adopt/original.js';
import { countRows } from '../adopt/read.js';
import { createRejected, REJECTED_TABLE } from '../adopt/rejected.js';
import type { Handle } from '../dialect.js';
import { migrate } from '../migrate.js';
import { type PageColumn, type RawRow, readPages } from '../pages.js';
import { openPostgres } from '../postgres/open.js';
import type { Database } from '../schema.js';
import { continueAfter } from '../sequences.js';
import { openSqliteSource } from '../sqlite/open.js';
import { TABLES } from '../tables.js';
import { createTableSum, type TableSum } from './checksum.js';
import { assertMigrated, prepareTarget, targetTables } from './target.js';

type DatabaseConfig = Config['database'];
export type PostgresTarget = Extract<DatabaseConfig, { type: 'postgres' }>;

export interface MoveStep {
  step: 'copy' | 'compare';
  table: string;
  done: number;
  of: number;
}

export interface MoveOptions {
  nowMs: number;
  onStep?(step: MoveStep): void;
}

export interface MovedTable extends TableSum {
  name: string;
}

export interface Move {
  tables: MovedTable[];
  /** Tables that are not Fleetwire's; they stay in the file. */
  left: string[];
}

/** The file of a SQLite configuration; undefined for any other. */
export function sqliteFile(config: DatabaseConfig): string | undefined {
  return config.type === 'sqlite' ? config.path : undefined;
}

/**
 * Copies the fleet in the SQLite file at `path` to an empty PostgreSQL, in one transaction, and compares both sides by
 * count and checksum before it commits. Nobody else can open the file meanwhile; nothing in it is changed.
 * @throws when a server has the file open, the target is not empty, or anything differs; then the target is as it was.
 */
export async function moveToPostgres(
  path: string,
  target: PostgresTarget,
  options: MoveOptions,
): Promise<Move> {
  const source = await openSqliteSource(path, 'exclusive').catch(explainBusy);
  try {
    const { db, close } = await openPostgres(target);
    try {
      const move = await source.db
        .transaction()
        .execute((from) => db.transaction().execute((to) => copyAll(from, to, options)));
      // What Kysely's migrator keeps beside the tables.
      await migrate(db);
      return move;
    } finally {
      await close();
    }
  } finally {
    await source.close();
  }
}

async function copyAll(
  from: Handle,
  to: Transaction<Database>,
  options: MoveOptions,
): Promise<Move> {
  const { found, left, hasRejected } = await inspectSource(from);
  await assertMigrated(from, found, 'The source');
  await prepareTarget(to, options.nowMs);
  if (hasRejected) await createRejected(to);
  const names: readonly string[] = hasRejected ? [...TABLES, REJECTED_TABLE] : TABLES;
  const tables = (await targetTables(to)).filter(({ name }) => names.includes(name));
  const sums = new Map<string, TableSum>();
  for (const name of names) {
    const table = tables.find((candidate) => candidate.name === name);
    if (!table) throw new Error(`The target has no table ${name}`);
    sums.set(name, await copyTable(from, to, table, options));
  }
  for (const table of tables) await compareTable(to, table, sums.get(table.name), options);
  return {
    tables: names.map((name) => ({ name, ...(sums.get(name) ?? { rows: 0, checksum: '' }) })),
    left,
  };
}

async function inspectSource(from: Handle) {
  if (await findOriginal(from)) {
    throw new Error(
      'The source is a database of the KairoIO server: take it over with "fleetwire adopt" first',
    );
  }
  const found = (await from.introspection.getTables()).map(({ name }) => name);
  const known: readonly string[] = TABLES;
  const left = found.filter(
    (name) => !known.includes(name) && !/^(schema_migrations|kairoio_rejected)/.test(name),
  );
  return { found, left, hasRejected: found.includes(REJECTED_TABLE) };
}

async function copyTable(
  from: Handle,
  to: Transaction<Database>,
  table: TableMetadata,
  { onStep }: MoveOptions,
): Promise<TableSum> {
  const { name } = table;
  const columns = columnsOf(table);
  const expected = await countRows(from, { name });
  const sum = createTableSum(columns.map((column) => column.name));
  let done = 0;
  onStep?.({ step: 'copy', table: name, done, of: expected });
  for await (const page of readPages(from, { name }, columns)) {
    for (const row of page) sum.add(row);
    await insert(to, name, page);
    done += page.length;
    onStep?.({ step: 'copy', table: name, done, of: expected });
  }
  if (done !== expected) throw new Error(`${name}: ${done} rows were read of ${expected}`);
  for (const column of table.columns.filter(({ isAutoIncrementing }) => isAutoIncrementing)) {
    await continueAfter(to, name, column.name, await lastId(from, name));
  }
  return sum.read();
}

async function insert(to: Handle, table: string, rows: readonly RawRow[]): Promise<void> {
  try {
    await to
      .insertInto(table as keyof Database)
      .values(rows as Insertable<Database[keyof Database]>[])
      .execute();
  } catch (error) {
    throw new Error(`${table}: PostgreSQL refuses rows: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Reads the target back. @throws when it holds anything else than what was read from the source. */
async function compareTable(
  to: Handle,
  table: TableMetadata,
  expected: TableSum | undefined,
  { onStep }: MoveOptions,
): Promise<void> {
  const { name } = table;
  const columns = columnsOf(table);
  const sum = createTableSum(columns.map((column) => column.name));
  const of = expected?.rows ?? 0;
  for await (const page of readPages(to, { name }, columns)) {
    for (const row of page) sum.add(row);
    onStep?.({ step: 'compare', table: name, done: sum.read().rows, of });
  }
  const found = sum.read();
  if (found.rows === expected?.rows && found.checksum === expected.checksum) return;
  throw new Error(
    `${name} differs after the copy: ${expected?.rows} rows (${expected?.checksum}) in SQLite, ${found.rows} (${found.checksum}) in PostgreSQL. Nothing was kept in PostgreSQL`,
  );
}

function columnsOf({ columns }: TableMetadata): PageColumn[] {
  return columns.map(({ name, dataType }) => ({
    name,
    isLong: /^(text|bytea)$/.test(dataType),
  }));
}

async function lastId(from: Handle, table: string): Promise<number> {
  const { rows } = await sql<{ seq: number }>`
    select seq from sqlite_sequence where name = ${table}`.execute(from);
  return rows[0]?.seq ?? 0;
}

function explainBusy(error: Error): never {
  const { code } = (error.cause ?? {}) as { code?: string };
  if (code !== 'SQLITE_BUSY') throw error;
  throw new Error('Another process has the SQLite database open: stop the server first');
}
