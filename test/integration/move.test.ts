import { sql } from 'kysely';
import { describe, expect, it, onTestFinished } from 'vitest';
import { prepareDatabase } from '../../src/db/adopt/prepare.js';
import { type DatabaseHandle, type Db, openDatabase } from '../../src/db/client.js';
import { migrate } from '../../src/db/migrate.js';
import { type MoveStep, moveToPostgres, type PostgresTarget } from '../../src/db/move/move.js';
import type { Database } from '../../src/db/schema.js';
import { TABLES } from '../../src/db/tables.js';
import { startApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase, testDatabases } from '../support/databases.js';
import {
  createByGorm,
  GORM_PASSWORD,
  type RawDatabase,
  rawDatabase,
  status,
} from '../support/kairoio-database.js';

const NOW_MS = Date.parse('2026-11-20T10:20:30Z');
const ODD = 'ключ "quoted" \\ \u{1f916} \'; --\t\u0001\r\n';

async function open(database: TestDatabase): Promise<DatabaseHandle> {
  const handle = await openDatabase(database.config);
  onTestFinished(handle.close);
  return handle;
}

describeEachDatabase('the list of tables', (kind) => {
  it('has every table of the schema, and those that others refer to first', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const { db } = await open(database);
    await migrate(db);
    const tables = (await db.introspection.getTables())
      .map(({ name }) => name)
      .filter((name) => !name.startsWith('schema_migrations'));
    expect([...TABLES].sort()).toEqual(tables.sort());
    // Foreign keys are checked at every row here.
    await fill(db);
  });
});

const [sqlite, postgres] = testDatabases;
const skipped = postgres?.unavailable;
const title = 'moving from SQLite to PostgreSQL';
describe.skipIf(skipped !== undefined)(skipped ? `${title} (skipped: ${skipped})` : title, () => {
  async function create() {
    const source = await sqlite!.create();
    onTestFinished(source.dispose);
    const target = await postgres!.create();
    onTestFinished(target.dispose);
    const path = source.config.type === 'sqlite' ? source.config.path : '';
    const move = (onStep?: (step: MoveStep) => void) =>
      moveToPostgres(path, target.config as PostgresTarget, {
        nowMs: NOW_MS,
        ...(onStep && { onStep }),
      });
    return { source, target, move };
  }

  /** A database of this Fleetwire with rows in every table. */
  async function createFilled() {
    const databases = await create();
    const { db, close } = await openDatabase(databases.source.config);
    await migrate(db);
    await fill(db);
    await close();
    return databases;
  }

  async function assertUntouched(target: TestDatabase): Promise<void> {
    expect(await rawDatabase(target).tables()).toEqual([]);
  }

  it('copies every row of every table, and the ids go on', async () => {
    const { source, target, move } = await createFilled();
    const steps: MoveStep[] = [];
    const moved = await move((step) => void steps.push(step));
    const [from, to] = [await open(source), await open(target)];
    expect(moved.left).toEqual([]);
    expect(moved.tables.map(({ name }) => name)).toEqual([...TABLES]);
    for (const name of TABLES) {
      const rows = await rowsOf(from.db, name);
      expect(rows.length).toBeGreaterThan(1);
      expect([name, await rowsOf(to.db, name)]).toEqual([name, rows]);
      const told = moved.tables.find((table) => table.name === name);
      expect(told).toMatchObject({
        rows: rows.length,
        checksum: expect.stringMatching(/^[0-9a-f]{32}$/),
      });
      expect(steps).toContainEqual({
        step: 'copy',
        table: name,
        done: rows.length,
        of: rows.length,
      });
      expect(steps).toContainEqual({
        step: 'compare',
        table: name,
        done: rows.length,
        of: rows.length,
      });
    }
    expect(await migrate(to.db)).toEqual([]);
    for (const [name, column] of [
      ...(['robot_statuses', 'robot_logs', 'robot_messages'] as const).map((table) => [
        table,
        'id',
      ]),
      ...[
        ['commands', 'seq'],
        ['stream_events', 'id'],
        ['audit_entries', 'id'],
      ],
    ] as [string, string][]) {
      const next = async (db: Db) => {
        const { rows } = await sql<{
          n: number;
        }>`select max(${sql.id(column)}) as n from ${sql.id(name)}`.execute(db);
        return rows[0]?.n ?? 0;
      };
      const last = await next(from.db);
      const { rows } = await sql<{ n: number }>`
        select nextval(pg_get_serial_sequence(${name}, ${column})) as n`.execute(to.db);
      // The last row of each was deleted again, and its id is not given to another.
      expect([name, rows[0]?.n]).toEqual([name, last + 2]);
    }
  });

  it('copies more rows than a page holds, and large ones', async () => {
    const { source, target, move } = await create();
    const { db, close, ingest } = await openDatabase(source.config);
    await migrate(db);
    await fill(db);
    const row = {
      ...{ robot_id: 'r1', account_id: 'ANN', received_at: 1, event_id: null, lat: null },
      ...{ x: 0.1 + 0.2, y: -1e-300, lng: 1e21, battery_level: 85 },
    };
    const count = 1_300;
    for (let from = 0; from < count; from += 650) {
      await ingest.write(
        Array.from({ length: 650 }, (_, at) => ({
          kind: 'status' as const,
          row: { ...row, timestamp: from + at, status_json: `{"n":${from + at}}` },
        })),
      );
    }
    const large = `{"note":"${'ü'.repeat(2_500_000)}"}`;
    for (const timestamp of [1, 2]) {
      await ingest.write([{ kind: 'status', row: { ...row, timestamp, status_json: large } }]);
    }
    const expected = await rowsOf(db, 'robot_statuses');
    expect(expected.length).toBeGreaterThan(count);
    await close();
    await move();
    const { db: there } = await open(target);
    expect((await rowsOf(there, 'robot_statuses')).length).toBe(expected.length);
    expect(await rowsOf(there, 'robot_statuses')).toEqual(expected);
  });

  it('detects a target that does not keep what it is given, and leaves nothing in it', async () => {
    const { target, move } = await createFilled();
    const there = await openDatabase(target.config);
    await migrate(there.db);
    await there.close();
    const raw = rawDatabase(target);
    await raw.run(`create function tamper() returns trigger language plpgsql as $$
      begin new.message := replace(new.message, 'ключ', 'Ключ'); return new; end $$;
      create trigger tamper before insert on robot_logs for each row execute function tamper()`);
    await expect(move()).rejects.toThrow(
      /^robot_logs differs after the copy: 2 rows \([0-9a-f]{32}\)/,
    );
    await assertEmpty(raw);
    await raw.run('drop trigger tamper on robot_logs');
    await raw.run(`create function lose() returns trigger language plpgsql as $$
      begin return null; end $$;
      create trigger lose before insert on alerts for each row execute function lose()`);
    await expect(move()).rejects.toThrow(
      /^alerts differs after the copy: 3 rows .* 0 \(0{32}\) in PostgreSQL/,
    );
    await assertEmpty(raw);
    await raw.run('drop trigger lose on alerts');
    expect((await move()).tables.every(({ rows }) => rows > 1)).toBe(true);
  });

  it('leaves nothing behind when it ends at any step', async () => {
    const { source, target, move } = await createFilled();
    const all: MoveStep[] = [];
    const probe = await createFilled();
    await probe.move((step) => void all.push(step));
    for (const last of [0, 5, all.length - 20, all.length - 1]) {
      let count = 0;
      const failing = move(() => {
        count += 1;
        if (count > last) throw new Error('it ends here');
      });
      await expect(failing).rejects.toThrow('it ends here');
      await assertUntouched(target);
    }
    await move();
    await (await openDatabase(source.config)).close();
  });

  it('refuses while anybody has the file open, and keeps others out meanwhile', async () => {
    const { source, target, move } = await createFilled();
    const server = await openDatabase(source.config);
    await server.db.selectFrom('robots').select('id').execute();
    await expect(move()).rejects.toThrow(
      'Another process has the SQLite database open: stop the server first',
    );
    await server.close();
    await assertUntouched(target);
    let attempt: Promise<unknown> | undefined;
    await move(() => {
      attempt ??= openDatabase(source.config).catch((error: Error) => error.message);
    });
    // It waited as long as SQLite lets it, or came when the move was over.
    const late = await attempt;
    if (typeof late === 'string') expect(late).toContain('database is locked');
    else await (late as DatabaseHandle).close();
  });

  it('refuses a target that is not empty, and a source that is not ready', async () => {
    const full = await createFilled();
    const app = await startApp(full.target);
    await app.close();
    await expect(full.move()).rejects.toThrow(
      'The target is not empty: accounts has rows. Move to a new database, or drop what is in this one',
    );

    const original = await create();
    await createByGorm(original.source);
    await expect(original.move()).rejects.toThrow('take it over with "fleetwire adopt" first');

    const old = await createFilled();
    await rawDatabase(old.source).run(
      'delete from schema_migrations where name = (select max(name) from schema_migrations)',
    );
    await expect(old.move()).rejects.toThrow(/^The source is not of this version of Fleetwire/);

    const none = await create();
    await expect(none.move()).rejects.toThrow(/^The SQLite database .* cannot be opened/);
    for (const { target } of [original, old, none]) await assertUntouched(target);
  });

  it('names what PostgreSQL cannot store', async () => {
    const { source, target, move } = await createFilled();
    await rawDatabase(source).run(`update robots set robot_name = 'a' || char(0) || 'b'`);
    await expect(move()).rejects.toThrow(/^robots: PostgreSQL refuses rows: .*0x00/);
    await assertUntouched(target);
  });

  it('takes an adopted fleet along, with its rejected rows, and a server goes on with it', async () => {
    const { source, target, move } = await create();
    const raw = await createByGorm(source);
    await raw.insert('robot_statuses', [status(20, 'nobody')]);
    await raw.run('create table notes (note text)');
    const handle = await openDatabase(source.config);
    await prepareDatabase(handle.db, { nowMs: NOW_MS });
    await handle.close();
    const moved = await move();
    expect(moved.left).toEqual(['notes']);
    expect(moved.tables.at(-1)).toMatchObject({ name: 'kairoio_rejected', rows: 1 });
    expect(await rawDatabase(target).all('select row_key, reason from kairoio_rejected')).toEqual([
      { row_key: '20', reason: 'its robot is not there' },
    ]);
    const app = await startApp(target);
    const login = { username: 'owner@example.com', password: GORM_PASSWORD };
    const { json } = await app.call('POST', '/api/v1/auth/login', login, null);
    const token: string = json.data.certification_key;
    const pushed = await app.call('POST', '/api/v1/robots/robot_001/status', { status: {} }, token);
    expect(pushed.status).toBe(200);
    const rows = await rawDatabase(target).all('select max(id) as id from robot_statuses');
    expect(rows).toEqual([{ id: 21 }]);
  });
});

async function assertEmpty(raw: RawDatabase): Promise<void> {
  for (const name of TABLES) expect(await raw.all(`select 1 from ${name}`)).toEqual([]);
}

async function rowsOf(db: Db, table: keyof Database): Promise<unknown[]> {
  const rows = await db.selectFrom(table).selectAll().execute();
  const plain = rows.map((row) =>
    Object.entries(row)
      .map(([name, value]) => [
        name,
        value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
      ])
      .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  );
  return plain.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

const IDS: Partial<Record<keyof Database, string>> = {
  accounts: 'ANN',
  robots: 'r1',
  notification_channels: 'c1',
};

/** Two rows in each table, the second with every null there can be, and a third that is deleted again. */
async function fill(db: Db): Promise<void> {
  const tables = await db.introspection.getTables();
  for (const name of TABLES) {
    const columns = tables.find((table) => table.name === name)?.columns ?? [];
    for (const n of [1, 2, 3]) {
      const values = columns
        .filter(({ isAutoIncrementing }) => !isAutoIncrementing)
        .map(({ name: column, dataType, isNullable }) => [
          column,
          isNullable && !/^(id|email)$/.test(column) && n > 1
            ? null
            : sampleOf(name, column, dataType, n),
        ]);
      await db.insertInto(name).values(Object.fromEntries(values)).execute();
    }
    const [serial] = columns.filter(({ isAutoIncrementing }) => isAutoIncrementing);
    if (serial) {
      await sql`delete from ${sql.id(name)} where ${sql.id(serial.name)} = 3`.execute(db);
    }
  }
}

function sampleOf(table: keyof Database, column: string, type: string, n: number): unknown {
  const isId = column === 'id' || (column === 'robot_id' && table === 'stream_horizons' && n > 1);
  if (column === 'account_id') return IDS.accounts;
  if (column === 'channel_id') return IDS.notification_channels;
  if (column === 'robot_id') return isId ? `${IDS.robots}-${n}` : IDS.robots;
  if (isId) return n === 1 ? (IDS[table] ?? `${table} ${ODD}`) : `${IDS[table] ?? table}-${n}`;
  if (/int/i.test(type)) return column === 'enabled' || column === 'negate' ? 1 : 2_000_000 + n;
  if (/real|double|float/i.test(type)) return n / 10;
  if (/blob|bytea/i.test(type)) return Buffer.from([0, 255, n]);
  return `${ODD} ${column} ${n}`;
}
