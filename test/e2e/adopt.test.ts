import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { call } from '../support/app.js';
import { runCommand, startCommand } from '../support/command.js';
import { describeEachDatabase, type TestDatabase, testDatabases } from '../support/databases.js';
import {
  createByGorm,
  GORM_PASSWORD,
  type RawDatabase,
  rawDatabase,
} from '../support/kairoio-database.js';
import { databaseEnv, startServer } from '../support/server-process.js';
import { until } from '../support/until.js';

const OLD_KEY = '0b8f2c9e-6a34-4f0e-9d0a-2f1c7e5b8a11';

function optionsFor(database: TestDatabase, env: Record<string, string> = {}) {
  return { cwd: tmpdir(), env: { ...databaseEnv(database), ...env } };
}

/** Everything that can be seen of a database from outside: on SQLite the files and what is in them. */
async function faceOf(database: TestDatabase, raw: RawDatabase): Promise<unknown> {
  if (database.config.type === 'sqlite') {
    const { path } = database.config;
    const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
    return { hash, files: readdirSync(dirname(path)) };
  }
  const face: Record<string, unknown> = {};
  for (const table of await raw.tables()) face[table] = await raw.all(`select * from ${table}`);
  return face;
}

describe('help', () => {
  it.each([
    ['adopt', ['--check', '--config <file>', 'exit code 1', 'Stop the KairoIO server first']],
    ['move', ['--to <dsn>', '--config <file>', 'FLEETWIRE_MOVE_TO', 'stop the server first']],
  ])('of %s says what there is', async (command, expected) => {
    const { code, out, err } = await runCommand([command, '--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const text of expected) expect(out.replaceAll(/\s+/g, ' ')).toContain(text);
  });
});

describeEachDatabase('fleetwire adopt', (kind) => {
  const isSqlite = kind.dialect === 'sqlite';

  async function create() {
    const database = await kind.create();
    onTestFinished(database.dispose);
    return { database, raw: await createByGorm(database) };
  }

  it('--check tells what there is and writes nothing', async () => {
    const { database, raw } = await create();
    const before = await faceOf(database, raw);
    const { code, out, err } = await runCommand(['adopt', '--check'], optionsFor(database));
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^ {2}robot_statuses +12 {2}11 taken over, 1 deleted$/m);
    expect(out).toContain('  bcrypt, cost 12: 2');
    expect(out).toMatch(/^ {2}text, \+0[08]:00: \d+$/m);
    expect(out).toMatch(isSqlite ? /about 143,360 bytes/ : /schema of their own/);
    expect(out).toContain('nothing was written');
    expect(out).not.toContain(OLD_KEY);
    expect(await faceOf(database, raw)).toEqual(before);
  });

  it('--check ends with exit code 1 when something is to be looked at first', async () => {
    const { database, raw } = await create();
    await raw.run(`update robot_statuses set status_json = 'x' where id = 3`);
    const before = await faceOf(database, raw);
    const { code, out, err } = await runCommand(['adopt', '--check'], optionsFor(database));
    expect(code).toBe(1);
    expect(err).toContain('nothing was written');
    expect(out).toMatch(
      /^Rejected \(goes to kairoio_rejected\) {2}robot_statuses, 1 row: status_json is not a JSON object\n {2}such as "3"$/m,
    );
    expect(await faceOf(database, raw)).toEqual(before);
  });

  it('does it once; afterwards, and elsewhere, there is nothing to do', async () => {
    const { database } = await create();
    const options = optionsFor(database);
    const done = await runCommand(['adopt'], options);
    expect({ code: done.code, err: done.err }).toEqual({ code: 0, err: '' });
    expect(done.out).toMatch(
      isSqlite ? /^ {2}\S+\.kairoio-\d{8}T\d{6}Z\.bak$/m : /^ {2}the schema kairoio_backup_/m,
    );
    for (const args of [['adopt'], ['adopt', '--check']]) {
      expect(await runCommand(args, options)).toEqual({
        code: 0,
        out: 'Nothing to do: this is not a database of the KairoIO server.\n',
        err: '',
      });
    }
  });

  it('ends with exit code 2 for what is asked wrongly, and 1 for what is not there', async () => {
    const { database } = await create();
    expect((await runCommand(['adopt', '--now'], optionsFor(database))).code).toBe(2);
    const env = { KAIROIO_DATABASE_TYPE: 'sqlite', KAIROIO_DATABASE_DSN: 'no/such/file.db' };
    const none = await runCommand(['adopt', '--check'], { cwd: tmpdir(), env });
    expect(none).toMatchObject({ code: 1, out: '' });
    expect(none.err).toContain('no/such/file.db cannot be opened');
  });

  it('is part of serve, whose banner tells where the backup is', async () => {
    const { database } = await create();
    const server = await startServer(database);
    const backup = isSqlite ? /\S+\.bak/ : /the schema kairoio_backup_\w+ of the same database/;
    expect(server.output()).toMatch(
      new RegExp(`Adopted +from KairoIO; the originals are in ${backup.source}`),
    );
    const robots = await call(`${server.url}/api/v1/robots`, 'GET', undefined, OLD_KEY);
    expect(robots.json.data.robots).toMatchObject([{ id: 'robot_001' }]);
    const login = { username: 'owner@example.com', password: GORM_PASSWORD };
    const { status: code } = await call(`${server.url}/api/v1/auth/login`, 'POST', login);
    expect(code).toBe(200);
    await server.stop();
    const again = await startServer(database);
    expect(again.output()).not.toContain('Adopted');
  });

  it('killed in the middle leaves the original, and succeeds the next time', async () => {
    const { database, raw } = await create();
    // Some times what SQLite holds in memory before it writes anything of a transaction.
    const count = 80_000;
    const status = `{"note":"${'x'.repeat(600)}"}`;
    await raw.run(`insert into robot_statuses (id, robot_id, account_id, status_json, timestamp)
      with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < ${count})
      select 99 + n, 'robot_001', 'ANN', '${status}', ${isSqlite ? "'2026-01-25 04:00:00Z'" : 'now()'} from numbers`);
    const before = await raw.all('select count(*) as n, max(id) as last from robot_statuses');
    const tables = await raw.tables();

    const running = startCommand(['adopt'], optionsFor(database));
    await until('rows that are being written', () => isWriting(database, raw));
    running.child.kill('SIGKILL');
    expect(await running.ended).toEqual({ code: null, signal: 'SIGKILL' });

    expect(await raw.tables()).toEqual(tables);
    expect(await raw.all('select count(*) as n, max(id) as last from robot_statuses')).toEqual(
      before,
    );
    expect((await runCommand(['adopt'], optionsFor(database))).code).toBe(0);
    expect(await raw.all('select count(*) as n from robot_statuses')).toEqual([{ n: count + 11 }]);
  });
});

/** Whether an adoption has written some of its rows, and not committed them. */
async function isWriting({ config }: TestDatabase, raw: RawDatabase): Promise<boolean> {
  if (config.type === 'sqlite') {
    return (statSync(`${config.path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000;
  }
  const [row] = await raw.all(`
    select count(*) as n from pg_stat_activity
    where application_name = 'fleetwire' and datname = current_database()
      and query like 'insert into "robot_statuses"%'`);
  return row?.n !== 0;
}

const [sqlite, postgres] = testDatabases;
const skipped = postgres?.unavailable;
const title = 'fleetwire move';
describe.skipIf(skipped !== undefined)(skipped ? `${title} (skipped: ${skipped})` : title, () => {
  async function create() {
    const source = await sqlite!.create();
    const target = await postgres!.create();
    onTestFinished(source.dispose);
    onTestFinished(target.dispose);
    const { config } = target;
    if (config.type !== 'postgres') throw new Error('not PostgreSQL');
    const { user, password, host, port, database } = config.connection;
    return { source, target, to: `postgres://${user}:${password}@${host}:${port}/${database}` };
  }

  it('copies a fleet, tells what it compared, and does so once', async () => {
    const { source, target, to } = await create();
    await createByGorm(source);
    const options = optionsFor(source);
    expect((await runCommand(['move', '--to', to], options)).err).toContain('fleetwire adopt');
    expect((await runCommand(['adopt'], options)).code).toBe(0);
    const moved = await runCommand(['move'], optionsFor(source, { FLEETWIRE_MOVE_TO: to }));
    expect({ code: moved.code, err: moved.err }).toEqual({ code: 0, err: '' });
    expect(moved.out).toMatch(
      /^robot_statuses +11 rows {2}[0-9a-f]{32} {2}the same on both sides$/m,
    );
    const again = await runCommand(['move', '--to', to], options);
    expect(again).toMatchObject({ code: 1, out: '' });
    expect(again.err).toMatch(/^The target is not empty: accounts has rows/);
    const { url } = await startServer(target);
    const robots = await call(`${url}/api/v1/robots`, 'GET', undefined, OLD_KEY);
    expect(robots.json.data.robots).toMatchObject([{ id: 'robot_001' }]);
  });

  it('refuses while a server has the file', async () => {
    const { source, target, to } = await create();
    await startServer(source);
    expect(await runCommand(['move', '--to', to], optionsFor(source))).toEqual({
      ...{ code: 1, out: '' },
      err: 'Another process has the SQLite database open: stop the server first\n',
    });
    expect(await rawDatabase(target).tables()).toEqual([]);
  });

  it('ends with exit code 2 for what is asked wrongly, and says nothing of the password', async () => {
    const { source, target, to } = await create();
    const without = await runCommand(['move'], optionsFor(source));
    expect(without).toMatchObject({ code: 2, out: '' });
    expect(without.err).toContain('FLEETWIRE_MOVE_TO');
    const wrong = await runCommand(
      ['move', '--to', 'mysql://me:geheim@host/db'],
      optionsFor(source),
    );
    expect(wrong).toMatchObject({ code: 2, out: '' });
    expect(wrong.err).not.toContain('geheim');
    const already = await runCommand(['move', '--to', to], optionsFor(target));
    expect(already).toMatchObject({
      code: 2,
      err: 'The configured database is PostgreSQL already\n',
    });
    const away = to.replace(/:\d+\//, ':1/');
    const unreachable = await runCommand(['move', '--to', away], optionsFor(source));
    expect(unreachable.code).toBe(1);
  });
});
