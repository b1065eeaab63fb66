import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import { type DatabaseHandle, type Db, openDatabase } from '../../src/db/client.js';
import { migrate, migrationStatus } from '../../src/db/migrate.js';
import { MIGRATIONS } from '../../src/db/migrations/index.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';

const NAMES = Object.keys(MIGRATIONS);

async function open(database: TestDatabase): Promise<DatabaseHandle> {
  const handle = await openDatabase(database.config);
  onTestFinished(handle.close);
  return handle;
}

describeEachDatabase('migrations', (kind) => {
  async function create(): Promise<TestDatabase> {
    const database = await kind.create();
    onTestFinished(database.dispose);
    return database;
  }

  it('run once, in order, and tell which and when', async () => {
    const { db } = await open(await create());
    expect((await migrationStatus(db)).map(({ name, executedAt }) => [name, executedAt])).toEqual(
      NAMES.map((name) => [name, undefined]),
    );
    const before = Date.now();
    expect(await migrate(db)).toEqual(NAMES);
    expect(await migrate(db)).toEqual([]);
    for (const { executedAt } of await migrationStatus(db)) {
      expect(executedAt?.getTime()).toBeGreaterThanOrEqual(before - 1_000);
      expect(executedAt?.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
    }
  });

  it('keep what is stored when the server starts again', async () => {
    const database = await create();
    const first = await open(database);
    await migrate(first.db);
    await sql`insert into maps (id, account_id, pgm_data, yaml_raw, created_at)
      values ('m', 'a', ${Buffer.from([0, 255])}, 'image: x', 1)`.execute(first.db);
    await first.close();
    const again = await open(database);
    await migrate(again.db);
    const map = await again.db.selectFrom('maps').selectAll().executeTakeFirstOrThrow();
    expect([...map.pgm_data]).toEqual([0, 255]);
  });

  it('run in one of several instances that start at once, and the others wait', async () => {
    for (let round = 0; round < 5; round += 1) {
      const database = await create();
      const handles = await Promise.all([open(database), open(database), open(database)]);
      const ran = await Promise.all(handles.map(({ db }) => migrate(db)));
      expect(ran.flat()).toEqual(NAMES);
    }
  });

  it('change nothing when one of them fails', async () => {
    const { db } = await open(await create());
    // The last table of the first migration is in the way.
    await sql`create table email_verification_codes (email text)`.execute(db);
    await expect(migrate(db)).rejects.toThrow('email_verification_codes');
    const { rows } = await sql`select * from email_verification_codes`.execute(db);
    expect(rows).toEqual([]);
    await expect(sql`select * from accounts`.execute(db)).rejects.toThrow('accounts');
    await sql`drop table email_verification_codes`.execute(db);
    expect(await migrate(db)).toEqual(NAMES);
  });

  it('make the schema that is committed', async () => {
    const { db } = await open(await create());
    await migrate(db);
    const dump = kind.dialect === 'sqlite' ? await dumpSqlite(db) : await dumpPostgres(db);
    await expect(dump).toMatchFileSnapshot(`../fixtures/schema.${kind.dialect}.txt`);
  });
});

/** The tables and indexes as they are, one line for each part of them. */
async function dumpSqlite(db: Db): Promise<string> {
  const { rows } = await sql<{ sql: string }>`
    select sql from sqlite_master where sql is not null and name not like 'sqlite_%'
    order by tbl_name, type desc, name`.execute(db);
  return lines(rows.map((row) => row.sql.replaceAll(/, (?="\w+" \w)/g, ',\n  ')));
}

async function dumpPostgres(db: Db): Promise<string> {
  const { rows } = await sql<{ line: string }>`
    select line from (
      select table_name as name, 1 as part, ordinal_position as n,
        format('%s.%s %s%s%s%s', table_name, column_name, data_type,
          case is_nullable when 'NO' then ' not null' else '' end,
          ' default ' || column_default, ' identity ' || identity_generation) as line
      from information_schema.columns where table_schema = 'public'
      union all
      select conrelid::regclass::text, 2, 0,
        format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = 'public'::regnamespace and contype in ('p', 'u', 'f', 'c')
      union all
      select tablename, 3, 0, indexdef from pg_indexes where schemaname = 'public'
    ) as dump order by name collate "C", part, n, line collate "C"`.execute(db);
  return lines(rows.map(({ line }) => line));
}

function lines(parts: string[]): string {
  return `${parts.join('\n')}\n`;
}
