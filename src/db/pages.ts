import { type RawBuilder, sql } from 'kysely';
import { dialectOf, type Handle } from './dialect.js';

/** A table as it is named in SQL; without a schema the first of the search path. */
export interface TableRef {
  schema?: string;
  name: string;
}

/** A column to read. */
export interface PageColumn {
  name: string;
  /** What is read instead of the column itself. */
  expression?: RawBuilder<unknown>;
  /** Its values may be long, so that they count for the size of a page. */
  isLong: boolean;
}

export type RawRow = Record<string, unknown>;

const PAGE_ROWS = 500;
/** A single row may be larger; then it is a page of its own. */
const PAGE_BYTES = 4_000_000;

export function tableSql({ schema, name }: TableRef): RawBuilder<unknown> {
  return schema === undefined ? sql.id(name) : sql.id(schema, name);
}

/**
 * Every row of a table once, in pages of bounded rows and bytes, whatever its key; an empty table has no page.
 * `transaction` must be one: what is read is one state of the table.
 */
export function readPages(
  transaction: Handle,
  table: TableRef,
  columns: readonly PageColumn[],
): AsyncGenerator<RawRow[]> {
  return dialectOf(transaction) === 'postgres'
    ? postgresPages(transaction, table, columns)
    : sqlitePages(transaction, table, columns);
}

function listOf(columns: readonly PageColumn[]): RawBuilder<unknown> {
  const read = ({ name, expression }: PageColumn) =>
    expression ? sql`${expression} as ${sql.id(name)}` : sql.id(name);
  return sql.join(columns.map(read));
}

function bytesOf(columns: readonly PageColumn[]): RawBuilder<number> {
  const sizes = columns
    .filter(({ isLong }) => isLong)
    .map(({ name }) => sql`coalesce(octet_length(${sql.id(name)}), 0)`);
  return sizes.length === 0 ? sql<number>`0` : sql<number>`${sql.join(sizes, sql` + `)}`;
}

async function* sqlitePages(
  db: Handle,
  table: TableRef,
  columns: readonly PageColumn[],
): AsyncGenerator<RawRow[]> {
  const from = tableSql(table);
  let after: number | null = null;
  for (;;) {
    const lower: RawBuilder<unknown> = after === null ? sql`true` : sql`rowid > ${after}`;
    const { rows: ends } = await sql<{ last: number | null }>`
      select max(k) as last from (
        select k, sum(bytes) over (order by k) as total, row_number() over (order by k) as n from (
          select rowid as k, ${bytesOf(columns)} as bytes from ${from} where ${lower}
          order by rowid limit ${sql.lit(PAGE_ROWS)}
        )
      ) where total <= ${sql.lit(PAGE_BYTES)} or n = 1`.execute(db);
    const last = ends[0]?.last ?? null;
    if (last === null) return;
    const { rows } = await sql<RawRow>`
      select ${listOf(columns)} from ${from} where ${lower} and rowid <= ${last}
      order by rowid`.execute(db);
    yield rows;
    after = last;
  }
}

async function* postgresPages(
  db: Handle,
  table: TableRef,
  columns: readonly PageColumn[],
): AsyncGenerator<RawRow[]> {
  const from = tableSql(table);
  const cursor = sql.id(`pages_of_${table.name}`);
  await sql`declare ${cursor} no scroll cursor for
    select ctid::text as place, ${bytesOf(columns)} as bytes from ${from}`.execute(db);
  for (;;) {
    const { rows: places } = await sql<{ place: string; bytes: number }>`
      fetch ${sql.lit(PAGE_ROWS)} from ${cursor}`.execute(db);
    if (places.length === 0) break;
    for (const part of cut(places)) {
      const { rows } = await sql<RawRow>`
        select ${listOf(columns)} from ${from}
        where ctid = any(${part.map(({ place }) => place)}::tid[])`.execute(db);
      yield rows;
    }
  }
  await sql`close ${cursor}`.execute(db);
}

function cut<T extends { bytes: number }>(rows: readonly T[]): T[][] {
  const parts: T[][] = [];
  let part: T[] = [];
  let total = 0;
  for (const row of rows) {
    if (part.length > 0 && total + row.bytes > PAGE_BYTES) {
      parts.push(part);
      part = [];
      total = 0;
    }
    part.push(row);
    total += row.bytes;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
