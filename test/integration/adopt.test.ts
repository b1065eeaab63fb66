import { readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { sql } from 'kysely';
import { expect, it, onTestFinished } from 'vitest';
import type { Adoption, AdoptionStep } from '../../src/db/adopt/adopt.js';
import { adopt } from '../../src/db/adopt/adopt.js';
import { checkAdoption } from '../../src/db/adopt/check.js';
import { prepareDatabase } from '../../src/db/adopt/prepare.js';
import { type DatabaseHandle, openDatabase } from '../../src/db/client.js';
import { migrationStatus } from '../../src/db/migrate.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { createByGorm, type RawDatabase, rawDatabase } from '../support/kairoio-database.js';

/** 2026-01-25T12:00:00+08:00 */
const NOON_MS = Date.parse('2026-01-25T04:00:00Z');
const NOW_MS = Date.parse('2026-11-20T10:20:30Z');

async function open(database: TestDatabase): Promise<DatabaseHandle> {
  const handle = await openDatabase(database.config);
  onTestFinished(handle.close);
  return handle;
}

async function adopted(database: TestDatabase): Promise<{ handle: DatabaseHandle } & Adoption> {
  const handle = await open(database);
  const { adoption } = await prepareDatabase(handle.db, { nowMs: NOW_MS });
  if (!adoption) throw new Error('there was nothing to adopt');
  return { handle, ...adoption };
}

function backupsOf({ config }: TestDatabase): string[] {
  if (config.type !== 'sqlite') return [];
  const folder = dirname(config.path);
  return readdirSync(folder).filter((name) => name.includes('.bak'));
}

/** A database as raw access sees the backup of it. */
function backupOf(
  { config }: TestDatabase,
  { backup }: Adoption,
): (table: string) => Promise<unknown> {
  if (config.type !== 'sqlite') {
    const schema = /^the schema (\w+) /.exec(backup)?.[1];
    const raw = rawDatabase({ config, dispose: async () => {} });
    return (table) => raw.all(`select * from ${schema}.${table} order by 1`);
  }
  const raw = rawDatabase({ config: { type: 'sqlite', path: backup }, dispose: async () => {} });
  return (table) => raw.all(`select * from ${table} order by 1`);
}

/** Every row of every table of KairoIO. */
async function contents(raw: RawDatabase): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const table of await raw.tables()) {
    all[table] = await raw.all(`select * from "${table}" order by 1`);
  }
  return all;
}

describeEachDatabase('adopting what GORM made', (kind) => {
  async function create(): Promise<TestDatabase> {
    const database = await kind.create();
    onTestFinished(database.dispose);
    return database;
  }

  it('takes every row over at its instant, and leaves what was deleted in the backup', async () => {
    const database = await create();
    const raw = await createByGorm(database);
    const before = await contents(raw);
    const { handle, ...adoption } = await adopted(database);
    const { db } = handle;

    const statuses = await db.selectFrom('robot_statuses').selectAll().orderBy('id').execute();
    const cut = (text: string) => Date.parse(text);
    expect(statuses.map(({ id, timestamp }) => [id, timestamp])).toEqual([
      [1, cut('2026-01-25T04:00:00.123Z')],
      [2, cut('2026-01-25T04:00:00.123Z')],
      [3, cut('2026-01-25T04:00:00.123Z')],
      [4, cut('2026-01-25T04:00:00.000Z')],
      [5, cut('2026-01-25T04:00:00.123Z')],
      [6, cut('2026-03-08T06:59:59.999Z')],
      [7, cut('2026-03-08T07:00:00.000Z')],
      [8, cut('2025-11-02T05:30:00.000Z')],
      [9, cut('2025-11-02T06:30:00.000Z')],
      [10, cut('1969-12-31T23:59:59.500Z')],
      [11, cut('0001-01-01T00:00:00.000Z')],
    ]);
    expect(statuses[0]).toMatchObject({
      ...{ robot_id: 'robot_001', account_id: 'ACC-20260125-120000', event_id: null },
      ...{ x: 10.5, y: 5.2, lat: 25.033, lng: 121.5654, battery_level: 85 },
      received_at: statuses[0]?.timestamp,
      status_json:
        '{"battery_level":85,"local_position":{"x":10.5,"y":5.2},"global_position":{"latitude":25.033,"longitude":121.5654},"note":"ü 🤖"}',
    });
    expect(await db.selectFrom('robot_logs').selectAll().orderBy('id').execute()).toMatchObject([
      { id: 1, topic: 'navigation', message: '到達 目標 🏁\nline 2', level: 'info' },
      { id: 2, robot_id: 'robot_002', message: '', level: null, timestamp: NOON_MS + 123 },
    ]);
    expect(await db.selectFrom('alerts').selectAll().orderBy('id').execute()).toMatchObject([
      {
        ...{ id: '550e8400-e29b-41d4-a716-446655440000', status: 'active', metadata: null },
        ...{ acknowledged_at: null, acknowledged_by: null, resolved_at: null, count: 1 },
        ...{ created_at: NOON_MS + 123, last_seen_at: NOON_MS + 123, dedup_key: null },
      },
      {
        ...{ status: 'resolved', metadata: '{"motor":2}', severity: 'critical' },
        ...{ acknowledged_at: NOON_MS + 90_123, acknowledged_by: 'ACC-20260125-120000' },
        resolved_at: NOON_MS + 90_123,
      },
    ]);
    const [map] = await db.selectFrom('maps').selectAll().execute();
    expect(map).toMatchObject({
      ...{ id: '6fa459ea-ee8a-4ca4-894e-db77e160355e', robot_id: null, name: 'floor' },
      ...{ resolution: 0.05, origin_x: -10, origin_y: -5.5, origin_yaw: 0.1, negate: 0 },
      ...{ occupied_thresh: 0.65, free_thresh: 0.196, mode: 'trinary', size_bytes: 29 },
      ...{ width: 4, height: 3, max_value: 255, created_at: NOON_MS + 123 },
      pgm_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Buffer.from(map?.pgm_data ?? []).toString('latin1')).toBe(
      'P5\n# map\n4 3\n255\n\x00\x01\x02\x03\xcd\xcd\xfe\xfe\xff\x00\x0a\x0d',
    );
    expect(await db.selectFrom('email_verification_codes').selectAll().execute()).toMatchObject([
      { email: 'new@example.com', expires_at: NOON_MS + 1_200_123, verified: 0, attempts: 0 },
    ]);
    expect(
      await db.selectFrom('robots').select(['id', 'robot_name']).orderBy('id').execute(),
    ).toEqual([
      { id: 'robot_001', robot_name: '巡邏 🤖' },
      { id: 'robot_002', robot_name: null },
    ]);
    expect(adoption).toMatchObject({
      rejected_table: null,
      other_columns: [],
      other_tables: [],
      tables: expect.arrayContaining([
        { name: 'robots', rows: 3, kept: 2, deleted: 1, rejected: 0 },
        { name: 'robot_statuses', rows: 12, kept: 11, deleted: 1, rejected: 0 },
      ]),
    });
    const inBackup = backupOf(database, adoption);
    for (const [table, rows] of Object.entries(before)) {
      expect(await inBackup(table)).toEqual(rows);
    }
    expect((await migrationStatus(db)).every(({ executedAt }) => executedAt)).toBe(true);
  });

  it('gives the admin a key of its own', async () => {
    const database = await create();
    await createByGorm(database);
    const { handle } = await adopted(database);
    const admin = await handle.db
      .selectFrom('accounts')
      .selectAll()
      .where('id', '=', 'ADMIN-001')
      .executeTakeFirstOrThrow();
    expect(admin).toMatchObject({ email: 'ADMIN-001', password_hash: '' });
    expect(admin.certification_key).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    const robots = await handle.db
      .selectFrom('robots')
      .select('id')
      .where('account_id', '=', 'ADMIN-001')
      .execute();
    expect(robots).toEqual([{ id: 'robot_002' }]);
  });

  it('happens once, and the database goes on from there', async () => {
    const database = await create();
    const raw = await createByGorm(database);
    const { handle, backup } = await adopted(database);
    const { db } = handle;
    const again = await prepareDatabase(db, { nowMs: NOW_MS + 1_000 });
    expect(again).toEqual({ adoption: undefined, migrations: [] });
    expect(backupsOf(database)).toEqual(
      database.config.type === 'sqlite' ? [basename(backup)] : [],
    );
    // The last status was of a deleted robot, and its id is not given to another.
    const [verdict] = await handle.ingest.write([
      {
        kind: 'status',
        row: {
          ...{ robot_id: 'robot_001', account_id: 'ACC-20260125-120000', status_json: '{}' },
          ...{ timestamp: 1, received_at: 1, event_id: null },
          ...{ x: null, y: null, lat: null, lng: null, battery_level: null },
        },
      },
    ]);
    expect(verdict).toEqual({ outcome: 'stored', id: 13 });
    const left = (await raw.tables()).filter((name) => /kairoio_(original|rejected)/.test(name));
    expect(left).toEqual([]);
    await expect(
      db
        .insertInto('robot_statuses')
        .values({
          ...{
            robot_id: 'nobody',
            account_id: 'x',
            status_json: '{}',
            timestamp: 1,
            received_at: 1,
          },
          ...{ event_id: null, x: null, y: null, lat: null, lng: null, battery_level: null },
        })
        .execute(),
    ).rejects.toThrow(/foreign key/i);
  });

  it('is done by one of several instances that start at once, and the others wait', async () => {
    const database = await create();
    await createByGorm(database);
    const handles = [await open(database), await open(database), await open(database)];
    const all = await Promise.all(handles.map(({ db }) => prepareDatabase(db, { nowMs: NOW_MS })));
    expect(all.filter(({ adoption }) => adoption !== undefined)).toHaveLength(1);
    expect(backupsOf(database)).toHaveLength(database.config.type === 'sqlite' ? 1 : 0);
    const { rows } = await sql<{ n: number }>`select count(*) as n from robots`.execute(
      handles[2]!.db,
    );
    expect(rows).toEqual([{ n: 2 }]);
  });

  it('leaves the original as it was when it fails, at whatever step', async () => {
    const database = await create();
    const raw = await createByGorm(database);
    const before = await contents(raw);
    const steps: AdoptionStep[] = [];
    const probe = await create();
    await createByGorm(probe);
    const probed = await open(probe);
    await adopt(probed.db, { nowMs: NOW_MS, onStep: (step) => void steps.push(step) });
    expect(new Set(steps.map(({ step }) => step))).toEqual(
      new Set(['backup', 'made', 'rows', 'copied']),
    );
    expect(steps.length).toBeGreaterThan(15);

    const { db } = await open(database);
    for (const last of steps.keys()) {
      let count = 0;
      const failing = adopt(db, {
        nowMs: NOW_MS,
        onStep() {
          count += 1;
          if (count > last) throw new Error('it ends here');
        },
      });
      await expect(failing).rejects.toThrow('it ends here');
      expect(backupsOf(database)).toEqual([]);
      expect(await contents(raw)).toEqual(before);
    }
    expect((await adopt(db, { nowMs: NOW_MS }))?.tables).toContainEqual({
      ...{ name: 'accounts', deleted: 0, rejected: 0 },
      ...(database.config.type === 'sqlite' ? { rows: 2, kept: 2 } : { rows: 3, kept: 3 }),
    });
  });

  it('is told beforehand by a check that writes nothing', async () => {
    const database = await create();
    const raw = await createByGorm(database);
    const before = await contents(raw);
    const seen: string[] = [];
    const found = await checkAdoption(database.config, {
      nowMs: NOW_MS,
      onRows: (table) => void seen.push(table),
    });
    expect(await contents(raw)).toEqual(before);
    expect(backupsOf(database)).toEqual([]);
    expect(new Set(seen)).toContain('robot_statuses');
    const { handle: _, backup: __, rejected_table: ___, ...done } = await adopted(database);
    expect(found).toEqual({
      ...done,
      has_problems: false,
      obstacles: [],
      backup_bytes: found?.backup_bytes,
    });
    expect(
      await checkAdoption(database.config, { nowMs: NOW_MS, onRows: () => {} }),
    ).toBeUndefined();
  });
});
