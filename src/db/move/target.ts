import { sql, type TableMetadata, type Transaction } from 'kysely';
import type { Handle } from '../dialect.js';
import { lockMigrations, MIGRATION_TABLE, migrateWithin } from '../migrate.js';
import { MIGRATIONS } from '../migrations/index.js';
import type { Database } from '../schema.js';
import { TABLES } from '../tables.js';

/** How long something else may keep a table of the target. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Makes the tables in an empty PostgreSQL, and keeps everybody else out of them until the transaction ends.
 * @throws when there is anything in them already.
 */
export async function prepareTarget(
  transaction: Transaction<Database>,
  nowMs: number,
): Promise<void> {
  await lockMigrations(transaction);
  const found = (await targetTables(transaction)).map(({ name }) => name);
  const ours = TABLES.filter((name) => found.includes(name));
  if (ours.length === 0) {
    await migrateWithin(transaction, nowMs);
  } else {
    await assertMigrated(transaction, found, 'The target');
    for (const name of ours) {
      const { rows } = await sql`select 1 from ${sql.id(name)} limit 1`.execute(transaction);
      if (rows.length > 0) {
        throw new Error(
          `The target is not empty: ${name} has rows. Move to a new database, or drop what is in this one`,
        );
      }
    }
  }
  await sql`select set_config('lock_timeout', ${`${LOCK_TIMEOUT_MS}ms`}, true)`.execute(
    transaction,
  );
  const names = sql.join(TABLES.map((name) => sql.id(name)));
  await sql`lock table ${names} in access exclusive mode`.execute(transaction);
}

/** The tables of the schema that Fleetwire works in. */
export async function targetTables(db: Handle): Promise<TableMetadata[]> {
  const { rows } = await sql<{ name: string }>`select current_schema() as name`.execute(db);
  const tables = await db.introspection.getTables();
  return tables.filter(({ schema }) => schema === rows[0]?.name);
}

/** @throws unless exactly the migrations of this Fleetwire have run. */
export async function assertMigrated(
  db: Handle,
  found: readonly string[],
  what: string,
): Promise<void> {
  const { rows } = found.includes(MIGRATION_TABLE)
    ? await sql<{ name: string }>`
        select name from ${sql.table(MIGRATION_TABLE)} order by name`.execute(db)
    : { rows: [] };
  const ran = rows.map(({ name }) => name).join();
  if (ran === Object.keys(MIGRATIONS).toSorted().join()) return;
  throw new Error(
    `${what} is not of this version of Fleetwire: bring it up to date with "fleetwire migrate" first`,
  );
}
