import { sql } from 'kysely';
import { columnTypes, dialectOf, type Handle } from '../dialect.js';
import type { RejectedRow } from './copy.js';

/** Rows of an adopted database that have no place in any table of ours, each with the reason. */
export const REJECTED_TABLE = 'kairoio_rejected';

export async function createRejected(db: Handle): Promise<void> {
  const types = columnTypes(dialectOf(db));
  await db.schema
    .createTable(REJECTED_TABLE)
    .ifNotExists()
    .addColumn('id', types.serial)
    .addColumn('table_name', 'text', (column) => column.notNull())
    .addColumn('row_key', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('row_json', 'text', (column) => column.notNull())
    .addColumn('rejected_at', types.ms, (column) => column.notNull())
    .execute();
}

export async function insertRejected(
  db: Handle,
  rows: readonly RejectedRow[],
  nowMs: number,
): Promise<void> {
  const values = rows.map(
    ({ table, key, reason, raw }) =>
      sql`(${table}, ${storable(key)}, ${reason}, ${toJson(raw)}, ${nowMs})`,
  );
  await sql`
    insert into ${sql.table(REJECTED_TABLE)} (table_name, row_key, reason, row_json, rejected_at)
    values ${sql.join(values)}`.execute(db);
}

/** Bytes become base64 under a name that says so. */
function toJson(raw: object): string {
  const entries = Object.entries(raw).map(([name, value]) =>
    value instanceof Uint8Array
      ? [`${name} (base64)`, Buffer.from(value).toString('base64')]
      : [name, value],
  );
  return JSON.stringify(Object.fromEntries(entries));
}

function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}
