import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import pg from 'pg';
import type { TestDatabase } from './databases.js';

const FIXTURES = join(import.meta.dirname, '../fixtures');

/** Made by GORM, with an account `owner@example.com` whose password this is. */
export const GORM_PASSWORD = 'old password ÄÖ';

/** Of `secret`, at cost 4, which is quick. */
export const SECRET_HASH = '$2a$04$uetTqipSS2z8KIcp3xatounMxKyTndicbq1ngBhZEgsng7l5T/uw.';

type Value = string | number | boolean | null | Buffer;
type Row = Record<string, Value>;

/** Raw access to a database, past everything of Fleetwire's. */
export interface RawDatabase {
  /** Any number of statements. */
  run(text: string): Promise<void>;
  insert(table: string, rows: readonly Row[]): Promise<void>;
  /** Values as the driver gives them, but for PostgreSQL's times, which stay text. */
  all(query: string): Promise<Record<string, unknown>[]>;
  /** Names of the tables, those of other schemas as `schema.table`. */
  tables(): Promise<string[]>;
}

export function rawDatabase({ config }: TestDatabase): RawDatabase {
  return config.type === 'sqlite' ? rawSqlite(config.path) : rawPostgres(config.connection);
}

/** What GORM really made: tables and a few rows. */
export async function createByGorm(database: TestDatabase): Promise<RawDatabase> {
  const raw = rawDatabase(database);
  await raw.run(fixture(database));
  return raw;
}

/** GORM's tables, empty, and without foreign keys, which GORM can be told to leave out. */
export async function createEmptyKairoio(database: TestDatabase): Promise<RawDatabase> {
  const raw = rawDatabase(database);
  const statements = fixture(database)
    .split('\n')
    .filter((line) => /^CREATE /.test(line))
    .map((line) => line.replace(/,CONSTRAINT ["`]fk_\w+["`] FOREIGN KEY .*(\);)$/, '$1'));
  await raw.run(statements.join('\n'));
  return raw;
}

/** An account whose password is `secret`. */
export function account(id: string, values: Row = {}): Row {
  return {
    id,
    email: `${id.toLowerCase()}@example.com`,
    password_hash: SECRET_HASH,
    certification_key: `key of ${id}`,
    email_verified: true,
    created_at: '2026-01-25 12:00:00+08:00',
    updated_at: '2026-01-25 12:00:00+08:00',
    ...values,
  };
}

export function robot(id: string, account_id: string, values: Row = {}): Row {
  return {
    id,
    account_id,
    robot_type: 'mobile_robot',
    robot_name: '',
    created_at: '2026-01-25 12:00:00+08:00',
    updated_at: '2026-01-25 12:00:00+08:00',
    ...values,
  };
}

export function status(id: number, robot_id: string, values: Row = {}): Row {
  return {
    id,
    robot_id,
    account_id: 'ANN',
    status_json: '{}',
    timestamp: '2026-01-25 12:00:00+08:00',
    ...values,
  };
}

function fixture({ config }: TestDatabase): string {
  return readFileSync(join(FIXTURES, `kairoio.${config.type}.sql`), 'utf8');
}

function rawSqlite(path: string): RawDatabase {
  async function open<T>(work: (database: SqliteDatabase.Database) => T): Promise<T> {
    const database = new SqliteDatabase(path);
    // As mattn/go-sqlite3 has it.
    database.pragma('foreign_keys = OFF');
    try {
      return work(database);
    } finally {
      database.close();
    }
  }
  return {
    run: (text) => open((database) => void database.exec(text)),
    insert: (table, rows) =>
      open((database) => {
        database.transaction(() => {
          for (const row of rows) {
            const names = Object.keys(row).map((name) => `"${name}"`);
            const places = names.map(() => '?');
            database
              .prepare(`insert into "${table}" (${names}) values (${places})`)
              .run(
                Object.values(row).map((value) => (typeof value === 'boolean' ? +value : value)),
              );
          }
        })();
      }),
    all: (query) => open((database) => database.prepare<[], Record<string, unknown>>(query).all()),
    tables: () =>
      open((database) =>
        database
          .prepare<[], { name: string }>(
            `select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name`,
          )
          .all()
          .map(({ name }) => name),
      ),
  };
}

function rawPostgres(connection: object): RawDatabase {
  const types = { getTypeParser: typeParser as typeof pg.types.getTypeParser };
  async function open<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client({ ...connection, types });
    await client.connect();
    try {
      await client.query(`set timezone to 'UTC'`);
      return await work(client);
    } finally {
      await client.end();
    }
  }
  async function all(query: string) {
    return open(async (client) => (await client.query(query)).rows as Record<string, unknown>[]);
  }
  return {
    all,
    run: (text) => open(async (client) => void (await client.query(text))),
    insert: (table, rows) =>
      open(async (client) => {
        for (const row of rows) {
          const names = Object.keys(row).map((name) => `"${name}"`);
          const places = names.map((_, at) => `$${at + 1}`);
          await client.query(
            `insert into ${table} (${names}) values (${places})`,
            Object.values(row),
          );
        }
      }),
    async tables() {
      const rows = await all(`
        select case schemaname when 'public' then '' else schemaname || '.' end || tablename as name
        from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1`);
      return rows.map(({ name }) => String(name));
    },
  };
}

function typeParser(oid: number, format?: 'text' | 'binary') {
  const { builtins } = pg.types;
  if (oid === builtins.INT8) return Number;
  const isTime = oid === builtins.TIMESTAMPTZ || oid === builtins.TIMESTAMP;
  return isTime ? String : pg.types.getTypeParser(oid, format as 'text');
}
