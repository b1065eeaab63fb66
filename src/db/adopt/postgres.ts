import { sql } from 'kysely';
import type { Handle } from '../dialect.js';
import { lockMigrations } from '../migrate.js';
import { type Engine, stampOf } from './engine.js';

/** How long an open transaction of the original server may keep a table from being moved. */
const LOCK_TIMEOUT_MS = 10_000;

/** The originals go into a schema of their own, with their indexes, constraints and sequences: that is the backup. */
export const postgresEngine: Engine = {
  exclusively: (db, work) =>
    db.transaction().execute(async (transaction) => {
      await lockMigrations(transaction);
      return work(transaction);
    }),

  async setAside(transaction, original, { nowMs, onBackup }) {
    const schema = `kairoio_backup_${stampOf(nowMs).toLowerCase()}`;
    const tables = [...original.tables.map(({ name }) => name), ...original.inTheWay];
    await sql`select set_config('lock_timeout', ${`${LOCK_TIMEOUT_MS}ms`}, true)`.execute(
      transaction,
    );
    await sql`create schema ${sql.id(schema)}`.execute(transaction);
    for (const [at, name] of tables.entries()) {
      await sql`alter table ${sql.id(name)} set schema ${sql.id(schema)}`.execute(transaction);
      onBackup(at + 1, tables.length);
    }
    return {
      backup: `the schema ${schema} of the same database`,
      source: (name) => ({ schema, name }),
      lastId: (name) => lastIdOf(transaction, schema, name),
      // The schema stays; when nothing comes of it, the transaction takes it back.
      finish: async () => {},
      abandon: async () => {},
    };
  },
};

async function lastIdOf(db: Handle, schema: string, table: string): Promise<number> {
  const { rows } = await sql<{ sequence: string | null }>`
    select pg_get_serial_sequence(format('%I.%I', ${schema}::text, ${table}::text), 'id') as sequence
  `.execute(db);
  const sequence = rows[0]?.sequence;
  if (!sequence) return 0;
  const { rows: values } = await sql<{ last: number }>`
    select case when is_called then last_value else 0 end as last from ${sql.raw(sequence)}`.execute(
    db,
  );
  return values[0]?.last ?? 0;
}
