import type { Pool } from 'pg';

/** Ids of a table ahead of its rows, for rows that are copied in: COPY does not say which ids it has drawn. */
export interface DrawnIds {
  /** The next `count` ids, in rising order and higher than those given out before by this server. */
  take(count: number): Promise<number[]>;
}

/** As many are drawn at once; a server that stops leaves the rest unused. */
const DRAWN_AT_ONCE = 1_000;

/** The next id of a table, in SQL. A subquery by itself is executed once a statement; finding the sequence is dear. */
export function nextId(table: string): string {
  return `nextval((select pg_get_serial_sequence('${table}', 'id')::regclass))`;
}

export function createDrawnIds(pool: Pool, table: string): DrawnIds {
  let drawn: number[] = [];
  let lastTaken: Promise<unknown> = Promise.resolve();

  async function draw(atLeast: number): Promise<void> {
    const { rows } = await pool.query<{ id: number }>({
      name: `draw_ids_of_${table}`,
      text: `select ${nextId(table)} as id from generate_series(1, $1)`,
      values: [Math.max(DRAWN_AT_ONCE, atLeast)],
    });
    drawn = [...drawn, ...rows.map(({ id }) => id)];
  }
  async function takeNow(count: number): Promise<number[]> {
    if (drawn.length < count) await draw(count - drawn.length);
    const taken = drawn.slice(0, count);
    drawn = drawn.slice(count);
    return taken;
  }
  return {
    take(count) {
      const taken = lastTaken.then(() => takeNow(count));
      lastTaken = taken.catch(() => {});
      return taken;
    },
  };
}
