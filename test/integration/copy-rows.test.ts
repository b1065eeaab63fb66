import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CopyType } from '../../src/db/postgres/copy-format.js';
import { copyRows } from '../../src/db/postgres/copy-rows.js';
import { testDatabases } from '../support/databases.js';

const { create, unavailable } = testDatabases.find(({ dialect }) => dialect === 'postgres')!;

const COLUMNS = [
  ['word', 'text'],
  ['number', 'bigint'],
  ['real', 'double precision'],
  ['long', 'text'],
] as const satisfies readonly (readonly [string, CopyType])[];
type Row = { word: string | null; number: number | null; real: number | null; long: string | null };

describe.skipIf(unavailable)('rows that are copied in', () => {
  let dispose: () => Promise<void>;
  let pool: pg.Pool;
  beforeAll(async () => {
    const database = await create();
    dispose = database.dispose;
    if (database.config.type !== 'postgres') throw new Error('another database than asked for');
    // One connection: what fails must leave it in order.
    pool = new pg.Pool({ ...database.config.connection, max: 1 });
    pool.on('error', () => {});
    await pool.query('create table words (word text primary key)');
    await pool.query(`create table copied (id bigint primary key, word text references words,
      number bigint, real double precision check (real <> 666), long text)`);
  });
  afterAll(async () => {
    await pool?.end();
    await dispose?.();
  });
  beforeEach(async () => {
    await pool.query('truncate copied, words');
    await pool.query(`insert into words values ('known')`);
  });

  const copy = (ids: number[], rows: Row[]) => copyRows(pool, 'copied', COLUMNS, ids, rows);
  const row = (more: Partial<Row>): Row => ({
    ...{ word: 'known', number: 1, real: 1, long: '' },
    ...more,
  });
  async function stored(): Promise<(Row & { id: number })[]> {
    const { rows } = await pool.query('select * from copied order by id');
    const numberOf = (text: string | null) => (text === null ? null : Number(text));
    return rows.map(({ id, number, ...rest }) => ({
      ...{ ...rest, id: Number(id), number: numberOf(number) },
    }));
  }

  it('are there, whatever is in them', async () => {
    const text = fc
      .string({ unit: 'grapheme', maxLength: 2_000, size: 'max' })
      .filter((value) => !value.includes('\0'));
    const rows = fc.array(
      fc.record({
        word: fc.constantFrom('known', null),
        number: fc.option(fc.maxSafeInteger()),
        real: fc.option(fc.double({ noNaN: true }).filter((value) => value !== 666)),
        long: fc.option(text),
      }),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(rows, async (values) => {
        await pool.query('truncate copied');
        const ids = values.map((_, n) => n + 2 ** 40);
        await copy(ids, values);
        expect(await stored()).toEqual(values.map((value, n) => ({ id: ids[n], ...value })));
      }),
      { numRuns: 50 },
    );
  });

  it.each<[string, string, Partial<Row>]>([
    ['what it points to is not there', '23503', { word: 'unknown' }],
    ['a rule is broken', '23514', { real: 666 }],
    ['a text cannot be one', '22021', { long: 'a\0b' }],
  ])('are none of them when %s, and the connection goes on', async (_name, code, bad) => {
    const long = 'x'.repeat(100_000);
    const rows = [row({ long }), row(bad), ...Array.from({ length: 50 }, () => row({ long }))];
    const ids = rows.map((_, n) => n);
    await expect(copy(ids, rows)).rejects.toMatchObject({ code });
    expect(await stored()).toEqual([]);
    await copy([7], [row({})]);
    expect(await stored()).toHaveLength(1);
  });
});
