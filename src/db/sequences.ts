import { sql } from 'kysely';
import { dialectOf, type Handle } from './dialect.js';

/** Makes the ids that the database assigns go on above all that are in the table, and above `last`. */
export async function continueAfter(
  db: Handle,
  table: string,
  column: string,
  last: number,
): Promise<void> {
  const name = sql.lit(table);
  if (dialectOf(db) === 'postgres') {
    await sql`
      select setval(pg_get_serial_sequence(${name}, ${sql.lit(column)}), greatest(max(id), 1), max(id) > 0)
      from (select greatest(max(${sql.id(column)}), ${last}::bigint) as id from ${sql.id(table)}) as t
    `.execute(db);
    return;
  }
  // Rows with ids of their own have moved it to the highest of them, and made its row if there was any.
  await sql`
    insert into sqlite_sequence (name, seq) select ${name}, 0
    where not exists (select 1 from sqlite_sequence where name = ${name})`.execute(db);
  await sql`
    update sqlite_sequence set seq = max(seq, ${last}) where name = ${name}`.execute(db);
}
