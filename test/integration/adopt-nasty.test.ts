import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import { prepareDatabase } from '../../src/db/adopt/prepare.js';
import { openDatabase } from '../../src/db/client.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import {
  account,
  createEmptyKairoio,
  type RawDatabase,
  robot,
  SECRET_HASH,
  status,
} from '../support/kairoio-database.js';

/** 2026-01-25T12:00:00+08:00 */
const NOON_MS = Date.parse('2026-01-25T04:00:00Z');
const NOW_MS = Date.parse('2026-11-20T10:20:30Z');

describeEachDatabase('adopting what is not as it should be', (kind) => {
  const isSqlite = kind.dialect === 'sqlite';

  async function create(): Promise<{ database: TestDatabase; raw: RawDatabase }> {
    const database = await kind.create();
    onTestFinished(database.dispose);
    return { database, raw: await createEmptyKairoio(database) };
  }

  async function adopted(database: TestDatabase) {
    const handle = await openDatabase(database.config);
    onTestFinished(handle.close);
    const { adoption } = await prepareDatabase(handle.db, { nowMs: NOW_MS });
    if (!adoption) throw new Error('there was nothing to adopt');
    const { rows: rejected } = adoption.rejected_table
      ? await sql<{ table_name: string; row_key: string; reason: string; row_json: string }>`
          select table_name, row_key, reason, row_json from kairoio_rejected order by id`.execute(
          handle.db,
        )
      : { rows: [] };
    const findings = adoption.findings.map(
      ({ kind: of, table, what, rows }) => `${of} ${table} ${rows}: ${what}`,
    );
    return { db: handle.db, adoption, findings, rejected };
  }

  it('keeps rows that have no place, each with the reason', async () => {
    const { database, raw } = await create();
    await raw.run('alter table robot_statuses add column firmware text');
    await raw.insert('accounts', [account('ANN')]);
    await raw.insert('robots', [robot('r1', 'ANN'), robot('r2', 'GONE')]);
    await raw.insert('robot_statuses', [
      status(1, 'r1'),
      status(2, 'nobody', { firmware: '1.2' }),
      status(3, 'r1', { timestamp: null }),
      status(4, 'r1', { status_json: '{"battery_level":' }),
      status(5, 'r1', { status_json: '[1]' }),
      status(6, 'r1', { status_json: '' }),
      status(7, 'r1', { status_json: `${'{"a":'.repeat(600)}1${'}'.repeat(600)}` }),
      status(8, 'r2', { account_id: 'GONE' }),
      ...(isSqlite ? [status(9, 'r1', { timestamp: 'yesterday' })] : []),
      ...(isSqlite ? [status(10, 'r1', { timestamp: '2026-02-30 00:00:00Z' })] : []),
    ]);
    if (!isSqlite) {
      await raw.run(`insert into robot_statuses (id, robot_id, account_id, status_json, timestamp)
        values (9, 'r1', 'ANN', '{}', 'infinity'), (10, 'r1', 'ANN', '{}', '0044-03-15 12:00 BC')`);
    }
    await raw.insert('alerts', [
      {
        ...{ id: 'a1', robot_id: 'nobody', account_id: 'ANN', alert_type: 't', severity: 'info' },
        ...{ message: '', status: 'active', created_at: '2026-01-25T12:00:00+08:00' },
      },
    ]);
    await raw.insert('maps', [
      { id: 'm1', account_id: 'ANN', yaml_raw: '', created_at: '2026-01-25 04:00:00Z' },
    ]);
    const pgm_data = Buffer.from('P5 1 1 255\n.');
    const map = { account_id: 'ANN', pgm_data, yaml_raw: '', created_at: '2026-01-25 04:00:00Z' };
    await raw.insert('maps', [{ id: '', ...map }]);
    const { db, adoption, findings, rejected } = await adopted(database);

    const stored = await db.selectFrom('robot_statuses').select('id').orderBy('id').execute();
    expect(stored.map(({ id }) => id)).toEqual([1, 8]);
    expect(
      rejected.map(({ table_name, row_key, reason }) => [table_name, row_key, reason]),
    ).toEqual([
      ['robot_statuses', '2', 'its robot is not there'],
      ['robot_statuses', '3', 'timestamp is missing'],
      ['robot_statuses', '4', 'status_json is not a JSON object'],
      ['robot_statuses', '5', 'status_json is not a JSON object'],
      ['robot_statuses', '6', 'status_json is not a JSON object'],
      ['robot_statuses', '7', 'status_json must not be nested deeper than 500 levels'],
      ['robot_statuses', '9', 'timestamp is not a time that can be read'],
      ['robot_statuses', '10', 'timestamp is not a time that can be read'],
      ['alerts', 'a1', 'its robot is not there'],
      ['maps', 'm1', 'pgm_data is missing'],
      ['maps', '', 'id is empty or longer than 128 characters'],
    ]);
    expect(JSON.parse(rejected[0]?.row_json ?? '')).toMatchObject({
      ...{ id: 2, robot_id: 'nobody', status_json: '{}', firmware: '1.2' },
    });
    expect(adoption.other_columns).toEqual(['robot_statuses.firmware']);
    expect(findings).toContain('rejected robot_statuses 3: status_json is not a JSON object');
    // The robot of an account that is not there keeps what it said, and nobody can log in to that account.
    expect(findings).toContain(
      'changed accounts 1: not there, though robots belong to it: an account without a login is made',
    );
    const owner = await db
      .selectFrom('accounts')
      .selectAll()
      .where('id', '=', 'GONE')
      .executeTakeFirstOrThrow();
    expect(owner).toMatchObject({ email: 'without e-mail: GONE', password_hash: '' });
    for (const { name, rows, kept, deleted, rejected: refused } of adoption.tables) {
      expect([name, kept + deleted + refused]).toEqual([name, rows]);
    }
  });

  it('brings nothing back that was deleted, nor what belonged to it', async () => {
    const { database, raw } = await create();
    for (const table of ['accounts', 'robot_logs']) {
      await raw.run(
        `alter table ${table} add column deleted_at ${isSqlite ? 'datetime' : 'timestamptz'}`,
      );
    }
    const deleted_at = '2026-02-01 00:00:00+00:00';
    await raw.insert('accounts', [account('ANN'), account('BEN', { deleted_at })]);
    await raw.insert('robots', [
      robot('r1', 'ANN'),
      robot('r2', 'ANN', { deleted_at }),
      robot('r3', 'BEN'),
    ]);
    await raw.insert('robot_statuses', [status(1, 'r1'), status(2, 'r2'), status(3, 'r3')]);
    const log = { topic: 't', message: 'm', account_id: 'ANN', timestamp: deleted_at };
    await raw.insert('robot_logs', [
      { id: 1, robot_id: 'r1', ...log },
      { id: 2, robot_id: 'r1', ...log, deleted_at },
    ]);
    const { db, findings, rejected } = await adopted(database);
    expect(rejected).toEqual([]);
    expect(findings).toEqual([
      'deleted accounts 1: deleted in KairoIO: in the backup alone',
      'deleted robots 1: deleted in KairoIO: in the backup alone',
      'deleted robots 1: belongs to what was deleted in KairoIO: in the backup alone',
      'deleted robot_statuses 2: belongs to what was deleted in KairoIO: in the backup alone',
      'deleted robot_logs 1: deleted in KairoIO: in the backup alone',
    ]);
    const left = await Promise.all([
      db.selectFrom('accounts').select('id').execute(),
      db.selectFrom('robots').select('id').execute(),
      db.selectFrom('robot_statuses').select('id').execute(),
      db.selectFrom('robot_logs').select('id').execute(),
    ]);
    expect(left.map((rows) => rows.map(({ id }) => id))).toEqual([['ANN'], ['r1'], [1], [1]]);
  });

  it('settles accounts that ours cannot tell apart', async () => {
    const { database, raw } = await create();
    await raw.insert('accounts', [
      account('YOUNG', { email: 'Twin@example.com', created_at: '2026-02-01 00:00:00Z' }),
      account('OLD', { email: 'TWIN@example.com', created_at: '2026-01-01 00:00:00Z' }),
      account('LOWER', { email: 'lower@example.com', created_at: '2026-02-01 00:00:00Z' }),
      account('UPPER', { email: 'LOWER@example.com', created_at: '2026-01-01 00:00:00Z' }),
      account('KEYLESS', { certification_key: '' }),
      account('PLAIN', { password_hash: 'secret' }),
      account('DEAR', { password_hash: SECRET_HASH.replace('$04$', '$16$') }),
      account('ADMIN-001', { email: 'kairoio', certification_key: 'the same everywhere' }),
    ]);
    const { db, adoption, findings } = await adopted(database);
    const rows = await db.selectFrom('accounts').selectAll().orderBy('id').execute();
    const email = (id: string) => rows.find((row) => row.id === id)?.email;
    expect(['OLD', 'YOUNG', 'LOWER', 'UPPER', 'ADMIN-001'].map(email)).toEqual([
      ...['twin@example.com', 'Twin@example.com', 'lower@example.com', 'LOWER@example.com'],
      'ADMIN-001',
    ]);
    const key = (id: string) => rows.find((row) => row.id === id)?.certification_key;
    expect(key('OLD')).toBe('key of OLD');
    expect(key('KEYLESS')).toMatch(/^[0-9a-f-]{36}$/);
    expect(key('ADMIN-001')).toMatch(/^[0-9a-f-]{36}$/);
    expect(adoption.password_hashes).toEqual({
      ...{ 'bcrypt, cost 4': 5, 'bcrypt, cost 16': 1, 'of no known kind': 1 },
    });
    expect(findings.filter((text) => text.startsWith('problem'))).toEqual([
      expect.stringContaining('accounts 1: it had no certification key'),
      expect.stringContaining('accounts 1: its password hash is of no known kind'),
      expect.stringContaining('accounts 1: its password hash has a bcrypt cost above 15'),
      expect.stringContaining('accounts 2: another account has the same e-mail but for upper'),
    ]);
  });

  it('takes large and odd values over as they are', async () => {
    const { database, raw } = await create();
    await raw.insert('accounts', [account('ANN')]);
    const odd = 'ключ "quoted" \\ \u{1f916} %s; drop table robots; --\t\u0001';
    await raw.insert('robots', [
      robot(odd, 'ANN', { robot_name: odd, created_at: null, updated_at: null }),
    ]);
    const large = JSON.stringify({
      note: 'ü'.repeat(3_000_000),
      battery_level: 120,
      local_position: { x: 1 },
    });
    await raw.insert('robot_statuses', [
      status(1, odd, { status_json: large }),
      status(2, odd, { status_json: large, account_id: 'ANN' }),
      status(3, odd, {
        status_json: ' {"note" : "\\ud83e\\udd16 \\u0000", "battery_level":7e1}\n',
      }),
      status(4_000_000_000, odd, { status_json: '{"local_position":{"x":-0.5,"y":1e-7}}' }),
    ]);
    const pgm = Buffer.concat([Buffer.from('P5 3000 2000 255\n'), randomBytes(6_000_000)]);
    const map = { account_id: 'ANN', created_at: '2026-01-25 04:00:00Z' };
    await raw.insert('maps', [
      { id: 'large', ...map, pgm_data: pgm, yaml_raw: 'no: yaml: [of a map', robot_id: 'nobody' },
      { id: 'broken', ...map, pgm_data: Buffer.from('P5 9 9 255\n'), yaml_raw: '' },
    ]);
    await raw.insert('alerts', [
      {
        ...{ id: 'a1', robot_id: odd, account_id: 'ANN', alert_type: '', severity: 'HIGH' },
        ...{ message: '', metadata: 'not JSON', status: 'odd', created_at: '2026-01-25 04:00:00Z' },
        ...{ acknowledged_at: '0001-01-01 00:00:00+00:00' },
      },
    ]);
    const { db, adoption, findings, rejected } = await adopted(database);
    expect(rejected).toEqual([]);
    const statuses = await db.selectFrom('robot_statuses').selectAll().orderBy('id').execute();
    expect(statuses.map(({ id, robot_id, status_json }) => [id, robot_id, status_json])).toEqual([
      [1, odd, large],
      [2, odd, large],
      [3, odd, ' {"note" : "\\ud83e\\udd16 \\u0000", "battery_level":7e1}\n'],
      [4_000_000_000, odd, '{"local_position":{"x":-0.5,"y":1e-7}}'],
    ]);
    expect(statuses.map(({ x, y, battery_level }) => [x, y, battery_level])).toEqual([
      [null, null, null],
      [null, null, null],
      [null, null, 70],
      [-0.5, 1e-7, null],
    ]);
    const maps = await db.selectFrom('maps').selectAll().orderBy('id', 'desc').execute();
    expect(
      maps.map(({ id, width, height, size_bytes }) => [id, width, height, size_bytes]),
    ).toEqual([
      ['large', 3_000, 2_000, pgm.length],
      ['broken', null, null, 11],
    ]);
    expect(pgm.equals(maps[0]?.pgm_data ?? Buffer.alloc(0))).toBe(true);
    expect(await db.selectFrom('alerts').selectAll().execute()).toMatchObject([
      { severity: 'HIGH', status: 'odd', metadata: '"not JSON"', acknowledged_at: null },
    ]);
    expect(await db.selectFrom('robots').selectAll().execute()).toMatchObject([
      { id: odd, robot_name: odd, created_at: NOW_MS, updated_at: NOW_MS },
    ]);
    expect(findings).toContain(
      'note maps 1: its image is no PGM that can be read; it is kept as it is',
    );
    expect(findings.some((text) => text.startsWith('problem robots 1: no call can name it'))).toBe(
      true,
    );
    expect(adoption.tables).toContainEqual({
      name: 'maps',
      rows: 2,
      kept: 2,
      deleted: 0,
      rejected: 0,
    });
  });

  it('reads more rows than a page holds, each once, in a table without a key', async () => {
    const { database, raw } = await create();
    await raw.run('drop table robot_statuses');
    await raw.run(
      'create table robot_statuses (id bigint, robot_id text, account_id text, status_json text, timestamp text)',
    );
    await raw.insert('accounts', [account('ANN')]);
    await raw.insert('robots', [robot('r1', 'ANN')]);
    const count = 1_234;
    const rows = Array.from({ length: count }, (_, at) =>
      status(at + 1, 'r1', {
        status_json: JSON.stringify({ battery_level: at % 100 }),
        account_id: null,
      }),
    );
    await raw.insert('robot_statuses', [...rows, status(7, 'r1'), status(7, 'r1')]);
    const { db, adoption, rejected } = await adopted(database);
    const stored = await db.selectFrom('robot_statuses').selectAll().orderBy('id').execute();
    expect(stored.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
    expect(stored.every((row) => row.battery_level === (row.id - 1) % 100)).toBe(true);
    expect(
      new Set(stored.map(({ account_id, timestamp }) => `${account_id} ${timestamp}`)),
    ).toEqual(new Set([`ANN ${NOON_MS}`]));
    expect(rejected.map(({ row_key, reason }) => `${row_key} ${reason}`)).toEqual([
      '7 another row has the same id',
      '7 another row has the same id',
    ]);
    expect(adoption.time_forms).toEqual(
      isSqlite ? { 'text, +08:00': count + 4 } : { 'text, +08:00': count, 'text, +00:00': 4 },
    );
  });

  it('leaves alone what it does not know, and what others keep beside it', async () => {
    const { database, raw } = await create();
    await raw.insert('accounts', [account('ANN')]);
    await raw.insert('robots', [robot('r1', 'ANN')]);
    await raw.run(`create table notes (robot_id text references robots(id) on delete cascade, note text);
      insert into notes values ('r1', 'mind the step');
      create table actions (name text); insert into actions values ('dance');
      create index robots_account on robots (robot_type);
      create view busy as select id from robots`);
    const { db, adoption } = await adopted(database);
    expect(adoption.other_tables).toEqual(['actions', 'notes']);
    expect(await raw.all('select * from notes')).toEqual([
      { robot_id: 'r1', note: 'mind the step' },
    ]);
    const kept = (await raw.tables()).find((name) =>
      /kairoio_(original|backup)\w*[_.]actions$/.test(name),
    );
    expect(await raw.all(`select * from ${kept}`)).toEqual([{ name: 'dance' }]);
    expect(await db.selectFrom('actions').selectAll().execute()).toEqual([]);
    expect(await raw.all('select * from busy')).toEqual([{ id: 'r1' }]);
  });

  it('takes the alert rules of a later KairoIO over', async () => {
    const { database, raw } = await create();
    const time = isSqlite ? 'datetime' : 'timestamptz';
    await raw.run(`create table alert_rules (id ${isSqlite ? 'integer' : 'bigserial'} primary key,
      account_id text, robot_id text, name text, condition text, severity text,
      cooldown_minutes ${isSqlite ? 'integer' : 'bigint'}, enabled ${isSqlite ? 'numeric' : 'boolean'},
      created_at ${time}, updated_at ${time})`);
    await raw.insert('accounts', [account('ANN')]);
    const rule = {
      account_id: 'ANN',
      name: 'Low',
      condition: 'battery_level < 20',
      severity: 'warning',
    };
    await raw.insert('alert_rules', [
      {
        id: 1,
        ...rule,
        robot_id: '',
        cooldown_minutes: 5,
        enabled: true,
        created_at: '2026-01-25 04:00:00Z',
      },
      { id: 2, ...rule, robot_id: null, cooldown_minutes: null, enabled: false },
      { id: 3, ...rule, account_id: 'NOBODY' },
      { id: 4, ...rule, condition: null },
    ]);
    const { db, rejected } = await adopted(database);
    expect(await db.selectFrom('alert_rules').selectAll().orderBy('id').execute()).toEqual([
      {
        ...{ id: '1', account_id: 'ANN', robot_id: null, name: 'Low', severity: 'warning' },
        ...{ condition: 'battery_level < 20', clear_condition: null, for_ms: 0 },
        ...{ cooldown_minutes: 5, enabled: 1, created_at: NOON_MS, updated_at: NOON_MS },
      },
      expect.objectContaining({ id: '2', cooldown_minutes: 0, enabled: 0, created_at: NOW_MS }),
    ]);
    expect(rejected.map(({ row_key, reason }) => `${row_key} ${reason}`)).toEqual([
      '3 its account is not there',
      '4 condition is missing',
    ]);
  });

  it('works with no rows at all', async () => {
    const { database } = await create();
    const { adoption, findings } = await adopted(database);
    expect(adoption.tables.map(({ rows }) => rows)).toEqual(Array(7).fill(0));
    expect(findings).toEqual([]);
  });

  it('takes times without a zone as UTC, and says so', async () => {
    const { database, raw } = await create();
    if (!isSqlite) await raw.run('alter table robot_logs alter column timestamp type timestamp');
    await raw.insert('accounts', [account('ANN')]);
    await raw.insert('robots', [robot('r1', 'ANN')]);
    const log = { robot_id: 'r1', account_id: 'ANN', topic: 't', message: 'm' };
    await raw.insert('robot_logs', [{ id: 1, ...log, timestamp: '2026-01-25 04:00:00.123456' }]);
    const { db, adoption } = await adopted(database);
    expect(await db.selectFrom('robot_logs').select('timestamp').execute()).toEqual([
      { timestamp: NOON_MS + 123 },
    ]);
    expect(adoption.time_forms).toMatchObject({ 'text without a zone, taken as UTC': 1 });
  });

  it("refuses tables that are not KairoIO's, and changes nothing", async () => {
    const { database, raw } = await create();
    await raw.run('alter table robots rename column account_id to owner');
    const handle = await openDatabase(database.config);
    onTestFinished(handle.close);
    await expect(prepareDatabase(handle.db, { nowMs: NOW_MS })).rejects.toThrow(
      "they are not KairoIO's: its table robots has no account_id",
    );
    expect(await raw.tables()).not.toContain('schema_migrations');
  });
});
