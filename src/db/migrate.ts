import { type Migration, type MigrationInfo, Migrator, sql, type Transaction } from 'kysely';
import { columnTypes, type Db, dialectOf, type Handle } from './dialect.js';
import { MIGRATIONS } from './migrations/index.js';
import type { Database } from './schema.js';

export const MIGRATION_TABLE = 'schema_migrations';

/**
 * Brings the tables up to date and returns the names of the migrations it ran. Runs in one transaction under a lock,
 * so that several instances may start at once: one migrates, the others wait and find nothing to do.
 * @throws the first error; then nothing has changed.
 */
export async function migrate(db: Db): Promise<string[]> {
  const { error, results } = await migratorFor(db).migrateToLatest();
  if (error) throw error;
  return (results ?? []).map(({ migrationName }) => migrationName);
}

/** Every migration with the time it ran, or none if it has not. */
export async function migrationStatus(db: Db): Promise<readonly MigrationInfo[]> {
  return migratorFor(db).getMigrations();
}

/**
 * Makes every table inside the caller's transaction, which must hold `lockMigrations`, in a database without any;
 * `migrate` finds them done afterwards.
 */
export async function migrateWithin(
  transaction: Transaction<Database>,
  nowMs: number,
): Promise<void> {
  const { schema } = transaction;
  const types = columnTypes(dialectOf(transaction));
  // As Kysely makes it: its migrator goes on with it.
  await schema
    .createTable(MIGRATION_TABLE)
    .ifNotExists()
    .addColumn('name', 'varchar(255)', (column) => column.notNull().primaryKey())
    .addColumn('timestamp', 'varchar(255)', (column) => column.notNull())
    .execute();
  for (const [name, run] of Object.entries(MIGRATIONS)) {
    await run({ schema, types });
    await sql`insert into ${sql.table(MIGRATION_TABLE)} (name, timestamp)
      values (${name}, ${new Date(nowMs).toISOString()})`.execute(transaction);
  }
}

/** Whether any migration has run. */
export async function isMigrated(db: Handle): Promise<boolean> {
  const { rows } = await sql<{ name: string }>`
    select name from ${sql.table(MIGRATION_TABLE)} limit 1`.execute(db);
  return rows.length > 0;
}

/** Keeps every other instance from migrating until the transaction ends. */
export async function lockMigrations(transaction: Transaction<Database>): Promise<void> {
  // On SQLite a transaction that writes is alone already. On PostgreSQL it is the lock of Kysely's migrator.
  if (dialectOf(transaction) === 'postgres') {
    await sql`select pg_advisory_xact_lock(3853314791062309107)`.execute(transaction);
  }
}

function migratorFor(db: Db): Migrator {
  const types = columnTypes(dialectOf(db));
  const migrations: Record<string, Migration> = {};
  for (const [name, run] of Object.entries(MIGRATIONS)) {
    migrations[name] = { up: ({ schema }) => run({ schema, types }) };
  }
  return new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    migrationTableName: MIGRATION_TABLE,
    migrationLockTableName: `${MIGRATION_TABLE}_lock`,
  });
}
