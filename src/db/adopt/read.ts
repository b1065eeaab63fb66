import { type RawBuilder, sql } from 'kysely';
import { dialectOf, type Handle } from '../dialect.js';
import { type PageColumn, type TableRef, tableSql } from '../pages.js';
import type { OriginalColumn, OriginalTable } from './original.js';

/** Every column of an original table, read so that values come the same from both databases. */
export function columnsToRead(db: Handle, { columns }: OriginalTable): PageColumn[] {
  const isPostgres = dialectOf(db) === 'postgres';
  return columns.map((column) => {
    const expression = isPostgres ? postgresValue(column) : undefined;
    return {
      name: column.name,
      isLong: isPostgres ? /^(text|varchar|bpchar|bytea)$/.test(column.type) : isLongSqlite(column),
      ...(expression && { expression }),
    };
  });
}

/** SQLite takes a value of any length into any column, but numbers and times are short wherever GORM puts them. */
function isLongSqlite({ type }: OriginalColumn): boolean {
  return !/int|real|numeric|date|time|bool/.test(type);
}

/** Times as text in UTC, numbers as numbers; what JavaScript has no type for, as text. */
function postgresValue({ name, type }: OriginalColumn): RawBuilder<unknown> | undefined {
  const column = sql.id(name);
  const format = sql.lit('YYYY-MM-DD HH24:MI:SS.US');
  const first = sql.lit('0001-01-01 00:00:00');
  switch (type) {
    case 'timestamptz':
      return sql`case when isfinite(${column}) and ${column} >= timestamptz '0001-01-01 00:00:00+00'
        then to_char(${column} at time zone 'UTC', ${format}) || '+00:00' else ${column}::text end`;
    case 'timestamp':
      return sql`case when isfinite(${column}) and ${column} >= ${first}
        then to_char(${column}, ${format}) else ${column}::text end`;
    case 'numeric':
      return sql`${column}::double precision`;
    case 'text':
    case 'varchar':
    case 'bpchar':
    case 'bytea':
    case 'bool':
    case 'int2':
    case 'int4':
    case 'int8':
    case 'float4':
    case 'float8':
      return undefined;
    default:
      return sql`${column}::text`;
  }
}

export async function countRows(db: Handle, table: TableRef): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from ${tableSql(table)}`.execute(db);
  return Number(rows[0]?.n ?? 0);
}

/** Ids that more than one row has, which only a table without GORM's key can hold. */
export async function repeatedIds(
  db: Handle,
  table: TableRef,
  { columns }: OriginalTable,
): Promise<Set<string>> {
  if (!columns.some(({ name }) => name === 'id')) return new Set();
  const { rows } = await sql<{ id: unknown }>`
    select id from ${tableSql(table)} group by id having count(*) > 1`.execute(db);
  return new Set(rows.map(({ id }) => String(id)));
}
