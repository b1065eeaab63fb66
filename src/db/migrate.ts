import { type Migration, type MigrationInfo, Migrator } from 'kysely';
import { columnTypes, type Db, dialectOf } from './dialect.js';
import { MIGRATIONS } from './migrations/index.js';

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

function migratorFor(db: Db): Migrator {
  const types = columnTypes(dialectOf(db));
  const migrations: Record<string, Migration> = {};
  for (const [name, run] of Object.entries(MIGRATIONS)) {
    migrations[name] = { up: ({ schema }) => run({ schema, types }) };
  }
  return new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    migrationTableName: 'schema_migrations',
    migrationLockTableName: 'schema_migrations_lock',
  });
}
