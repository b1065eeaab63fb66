import { expect, it, onTestFinished } from 'vitest';
import { type Db, openDatabase } from '../../src/db/client.js';
import { createLogger } from '../../src/lib/logger.js';
import { createRetention, type RetentionDeps } from '../../src/services/retention.js';
import { startApp, type TestApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { logRow, NOON_MS, useFleetDatabase } from '../support/fleet-database.js';
import { createStoppedClock, watchQueries } from '../support/identity.js';
import { until } from '../support/until.js';

const DAY_MS = 86_400_000;
const log = createLogger('silent', { write: () => {} });

describeEachDatabase('retention', (kind) => {
  const fleet = useFleetDatabase(kind);
  const db = () => fleet().handle.db;

  async function start(overrides: Partial<RetentionDeps> = {}) {
    await db().deleteFrom('robots').execute();
    await db().deleteFrom('accounts').execute();
    await fleet().addAccount('owner');
    const clock = createStoppedClock();
    const slices: number[] = [];
    const retention = createRetention({
      ...{ db: db(), clock, log, statusDays: null, logDays: null },
      onDeleted: (rows) => slices.push(rows),
      ...overrides,
    });
    return { retention, clock, slices };
  }
  const agesOf = async (table: 'robot_statuses' | 'robot_logs', robotId: string) =>
    (
      await db()
        .selectFrom(table)
        .select('timestamp')
        .where('robot_id', '=', robotId)
        .orderBy('timestamp')
        .execute()
    ).map(({ timestamp }) => (timestamp - NOON_MS) / DAY_MS);
  /** `count` rows between `fromDays` and `toDays`, the newest at `toDays`. */
  const spread = (robot_id: string, count: number, fromDays: number, toDays: number) =>
    Array.from({ length: count }, (_, n) => ({
      robot_id,
      timestamp:
        NOON_MS + Math.round((fromDays + ((toDays - fromDays) * (n + 1)) / count) * DAY_MS),
    }));

  it('keeps everything unless it is told otherwise', async () => {
    const { retention, slices } = await start();
    await fleet().addRobot('owner', 'robot');
    await fleet().addStatuses(spread('robot', 50, -10_000, -9_000));
    await fleet().handle.ingest.write([logRow({ timestamp: 0 })]);
    expect(await retention.sweep()).toBe(0);
    expect(slices).toEqual([]);
    expect(await agesOf('robot_statuses', 'robot')).toHaveLength(50);
    expect(await agesOf('robot_logs', 'robot')).toHaveLength(1);
  });

  it('deletes what is too old in small slices, and keeps the newest status of each robot', async () => {
    const { retention, slices } = await start({ statusDays: 7 });
    for (const id of ['robot', 'silent', 'single']) await fleet().addRobot('owner', id);
    await fleet().addStatuses([
      ...spread('robot', 1_010, -30, -7.5),
      { robot_id: 'robot', timestamp: NOON_MS - 7 * DAY_MS - 1 },
      { robot_id: 'robot', timestamp: NOON_MS - 7 * DAY_MS },
      ...spread('robot', 10, -1, 0),
      ...spread('silent', 300, -400, -300),
      // Two of the same instant: the one stored last is the newest.
      { robot_id: 'silent', timestamp: NOON_MS - 300 * DAY_MS, status_json: '"newest"' },
      ...spread('single', 1, -9_000, -9_000),
    ]);
    expect(await retention.sweep()).toBe(1_011 + 300);
    expect(slices.every((rows) => rows <= 200)).toBe(true);
    expect(slices.reduce((sum, rows) => sum + rows)).toBe(1_311);
    expect(await agesOf('robot_statuses', 'robot')).toHaveLength(11);
    expect((await agesOf('robot_statuses', 'robot'))[0]).toBe(-7);
    const kept = await db()
      .selectFrom('robot_statuses')
      .select('status_json')
      .where('robot_id', '=', 'silent')
      .execute();
    expect(kept).toEqual([{ status_json: '"newest"' }]);
    expect(await agesOf('robot_statuses', 'single')).toEqual([-9_000]);
    expect(await retention.sweep()).toBe(0);
  });

  it('deletes old logs by their own limit, to the last one', async () => {
    const { retention } = await start({ logDays: 2 });
    await fleet().addRobot('owner', 'robot');
    await fleet().addStatuses(spread('robot', 3, -100, -90));
    const logs = [...spread('robot', 450, -30, -2.1), ...spread('robot', 5, -1, 0)];
    await fleet().handle.ingest.write(logs.map((row) => logRow(row)));
    expect(await retention.sweep()).toBe(450);
    expect(await agesOf('robot_logs', 'robot')).toHaveLength(5);
    expect(await agesOf('robot_statuses', 'robot')).toHaveLength(3);
  });

  it('sweeps at start and every minute', async () => {
    const { retention, clock, slices } = await start({ statusDays: 1 });
    await fleet().addRobot('owner', 'robot');
    await fleet().addStatuses(spread('robot', 10, -1.5, 0));
    const stop = retention.start();
    await until('the first sweep', () => slices.length === 1);
    expect(await agesOf('robot_statuses', 'robot')).toHaveLength(10 - slices[0]!);
    clock.advance(DAY_MS);
    await until('the second sweep', () => slices.length === 2);
    expect(await agesOf('robot_statuses', 'robot')).toEqual([0]);
    await stop();
  });

  it('joins calls that come while it runs, and then looks again', async () => {
    const { retention } = await start({ statusDays: 1 });
    await fleet().addRobot('owner', 'robot');
    await fleet().addStatuses(spread('robot', 500, -30, -2));
    const totals = await Promise.all([retention.sweep(), retention.sweep(), retention.sweep()]);
    expect(totals).toEqual([499, 499, 499]);
  });

  it('stops between two slices when it is told to', async () => {
    let stop = async () => {};
    let deletes = 0;
    const { db: watched } = watchQueries(db(), async (query) => {
      if (query === 'DeleteQueryNode' && ++deletes === 2) void stop();
    });
    const { retention } = await start({ db: watched, statusDays: 1 });
    await fleet().addRobot('owner', 'robot');
    await fleet().addStatuses(spread('robot', 2_000, -30, -2));
    stop = retention.start();
    await until('two slices', () => deletes === 2);
    await stop();
    expect(await agesOf('robot_statuses', 'robot')).toHaveLength(1_600);
  });
});

describeEachDatabase('a deleted robot', (kind) => {
  async function start() {
    const database = await kind.create();
    onTestFinished(database.dispose);
    return { database, app: await startApp(database) };
  }
  const register = (app: TestApp, robot_id: string) =>
    app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'mobile_robot' });
  const remove = (app: TestApp, robotId: string) =>
    app.call('DELETE', `/api/v1/robots/${robotId}`, { confirm: robotId });

  async function fill(app: TestApp, robotId: string, thousands: number): Promise<void> {
    const now = Date.now();
    for (let batch = 0; batch < thousands; batch += 1) {
      const samples = Array.from({ length: 1_000 }, (_, n) => ({
        status: { local_position: { x: n, y: batch } },
        timestamp: now - batch * 1_000 - n,
      }));
      const { json } = await app.call('POST', `/api/v1/robots/${robotId}/status/batch`, {
        samples,
      });
      expect(json.data.stored).toBe(1_000);
    }
    const path = `/api/v1/robots/${robotId}`;
    await app.call('POST', `${path}/logs`, { topic: 't', message: 'm' });
    await app.call('POST', `${path}/alert`, { alert_type: 't', severity: 'info', message: 'm' });
    await app.call('POST', '/api/v1/keys', { name: 'its own', robot_id: robotId });
  }
  async function rowsLeft(db: Db): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const table of ['robots', 'robot_statuses', 'robot_logs', 'alerts', 'api_keys'] as const) {
      const { n } = await db
        .selectFrom(table)
        .select((eb) => eb.fn.countAll<number>().as('n'))
        .executeTakeFirstOrThrow();
      counts[table] = Number(n);
    }
    return counts;
  }
  const NOTHING = { robots: 0, robot_statuses: 0, robot_logs: 0, alerts: 0, api_keys: 0 };
  const ONE_EACH = { robots: 1, robot_statuses: 1_000, robot_logs: 1, alerts: 1, api_keys: 1 };

  async function open(database: TestDatabase): Promise<Db> {
    const handle = await openDatabase(database.config);
    onTestFinished(handle.close);
    return handle.db;
  }

  it('is gone at once, its data soon after, and then its id is free', async () => {
    const { app, database } = await start();
    const db = await open(database);
    for (const id of ['robot', 'twin']) {
      await register(app, id);
      await fill(app, id, 1);
    }
    const unsure = await app.call('DELETE', '/api/v1/robots/robot', { confirm: 'twin' });
    expect(unsure.status).toBe(400);
    expect((await remove(app, 'robot')).status).toBe(200);
    expect((await app.call('GET', '/api/v1/robots/robot')).status).toBe(404);
    expect((await remove(app, 'robot')).status).toBe(404);
    await until('the data to go', async () => (await rowsLeft(db)).robots === 1);
    expect(await rowsLeft(db)).toEqual(ONE_EACH);
    const metrics = (await app.call('GET', '/metrics')).text;
    expect(metrics).toMatch(/^fleetwire_retention_deleted_rows_total 1002$/m);
    const again = await register(app, 'robot');
    expect(again.json.data.message).toBe('Robot registered successfully');
    const latest = await app.call('GET', '/api/v1/robots/robot/status');
    expect(latest.json.data.status).toBeNull();
    expect((await app.call('GET', '/api/v1/robots/robot')).json.data).toMatchObject({
      ...{ presence: 'offline', last_seen_at: null },
    });
  });

  it('is deleted to the end by the next start when the server stopped halfway', async () => {
    const { app, database } = await start();
    const db = await open(database);
    await register(app, 'robot');
    await fill(app, 'robot', 1);
    await app.close();
    // As the process leaves it that dies after the answer and some slices.
    await db.updateTable('robots').set({ deleted_at: Date.now() }).execute();
    let stop = async () => {};
    let deletes = 0;
    const { db: watched } = watchQueries(db, async (query) => {
      if (query === 'DeleteQueryNode' && ++deletes === 2) void stop();
    });
    const halfway = createRetention({
      ...{ db: watched, clock: createStoppedClock(), log, statusDays: null, logDays: null },
    });
    stop = halfway.start();
    await until('two slices', () => deletes === 2);
    await stop();
    expect(await rowsLeft(db)).toEqual({ ...ONE_EACH, robot_statuses: 600 });

    const restarted = await startApp(database);
    expect((await restarted.call('GET', '/api/v1/robots/robot')).status).toBe(404);
    await until('the rest to go', async () => (await rowsLeft(db)).robots === 0);
    expect(await rowsLeft(db)).toEqual(NOTHING);
    expect((await register(restarted, 'robot')).status).toBe(200);
  });

  it('keeps its id until its data is gone, and holds up nobody', async () => {
    const { app, database } = await start();
    const db = await open(database);
    await register(app, 'big');
    await register(app, 'busy');
    await fill(app, 'big', 20);
    await remove(app, 'big');
    const refused = await register(app, 'big');
    expect([refused.status, refused.json.error]).toEqual([
      409,
      'Robot ID is still being deleted; try again shortly',
    ]);
    expect(refused.headers.get('retry-after')).toBe('5');
    const waitsMs: number[] = [];
    while ((await db.selectFrom('robots').select('id').where('id', '=', 'big').execute()).length) {
      const startMs = performance.now();
      const { status } = await app.call('POST', '/api/v1/robots/busy/status', { status: {} });
      expect(status).toBe(200);
      waitsMs.push(performance.now() - startMs);
    }
    // 20,000 rows in one statement would have let one or two through.
    expect(waitsMs.length).toBeGreaterThan(5);
    expect(await rowsLeft(db)).toMatchObject({ robots: 1, robot_statuses: waitsMs.length });
  });
});
