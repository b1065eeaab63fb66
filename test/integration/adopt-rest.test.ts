import { expect, it, onTestFinished } from 'vitest';
import { type Answer, startApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase } from '../support/databases.js';
import { createLogBook } from '../support/identity.js';
import { createByGorm, GORM_PASSWORD, rawDatabase } from '../support/kairoio-database.js';
import { expectFailure } from '../support/rest.js';

const OLD_KEY = '0b8f2c9e-6a34-4f0e-9d0a-2f1c7e5b8a11';
const ROBOT = '/api/v1/robots/robot_001';

// biome-ignore lint/suspicious/noExplicitAny: tests compare answers, whatever they are
function dataOf({ status, json, text }: Answer): any {
  expect({ status, text }).toMatchObject({ status: 200 });
  return json.data;
}

describeEachDatabase('a server on a database of KairoIO', (kind) => {
  async function start() {
    const database = await kind.create();
    onTestFinished(database.dispose);
    await createByGorm(database);
    const { lines, log } = createLogBook();
    return { database, lines, app: await startApp(database, { log }) };
  }

  async function hashesOf(database: TestDatabase): Promise<string[]> {
    const rows = await rawDatabase(database).all('select password_hash from accounts order by id');
    return rows.map(({ password_hash }) => String(password_hash).slice(0, 10));
  }

  it('tells its log and its caller that it adopted, and where the backup is', async () => {
    const { app, lines } = await start();
    const backup = app.app.adoption?.backup;
    expect(backup).toMatch(kind.dialect === 'sqlite' ? /\.bak$/ : /^the schema kairoio_backup_/);
    const told = lines.map((line) => JSON.parse(line));
    expect(told).toContainEqual(expect.objectContaining({ msg: 'adopted', backup }));
    expect(lines.join()).not.toContain(OLD_KEY);
  });

  it('lets an owner log in with the old password, and keeps it as argon2id from then on', async () => {
    const { app, database } = await start();
    const path = '/api/v1/auth/login';
    const login = { username: 'owner@example.com', password: GORM_PASSWORD };
    const before = await hashesOf(database);
    expect(before.slice(0, 2).every((hash) => hash.startsWith('$2a$12$'))).toBe(true);
    expectFailure(await app.call('POST', path, { ...login, password: 'wrong' }, null), 401);
    expect(await hashesOf(database)).toEqual(before);
    for (const username of ['owner@example.com', 'Owner@Example.com']) {
      expect(dataOf(await app.call('POST', path, { ...login, username }, null))).toEqual({
        message: 'Login successful',
        account_id: 'ACC-20260125-120000',
        certification_key: OLD_KEY,
      });
    }
    expect(await hashesOf(database)).toEqual(['$argon2id$', before[1], before[2]]);
    expectFailure(await app.call('POST', path, { ...login, password: 'wrong' }, null), 401);
  });

  it("takes the old key, and not the admin's constant one", async () => {
    const { app } = await start();
    const { robots } = dataOf(await app.call('GET', '/api/v1/robots', undefined, OLD_KEY));
    expect(robots.map(({ id }: { id: string }) => id)).toEqual(['robot_001']);
    expectFailure(await app.call('GET', '/api/v1/robots', undefined, 'admin-cert-key'), 401);
    const own = dataOf(await app.call('GET', '/api/v1/robots'));
    expect(own.robots.map(({ id }: { id: string }) => id)).toEqual(['robot_002']);
  });

  it('delivers history, trajectory, logs, alerts and maps', async () => {
    const { app } = await start();
    const get = async (path: string) => app.call('GET', path, undefined, OLD_KEY);

    const range = 'start=2026-01-25T00:00:00Z&end=2026-01-26T00:00:00Z';
    const history = dataOf(await get(`${ROBOT}/history?${range}`));
    expect(
      history.history.map((entry: { id: number; timestamp: string }) => [
        entry.id,
        entry.timestamp,
      ]),
    ).toEqual([
      [4, '2026-01-25T04:00:00.000Z'],
      [1, '2026-01-25T04:00:00.123Z'],
      [2, '2026-01-25T04:00:00.123Z'],
      [3, '2026-01-25T04:00:00.123Z'],
      [5, '2026-01-25T04:00:00.123Z'],
    ]);
    const { path } = dataOf(await get(`${ROBOT}/trajectory?${range}`));
    expect(path[0]).toMatchObject({ x: 10.5, y: 5.2, lat: 25.033, lng: 121.5654 });
    const latest = dataOf(await get(`${ROBOT}/status`));
    expect(latest).toMatchObject({ status: { battery_level: 85, note: 'ü 🤖' } });
    expect(latest.timestamp).toBe('2026-03-08T07:00:00.000Z');
    const { logs } = dataOf(await get(`${ROBOT}/logs`));
    expect(logs).toMatchObject([{ id: 1, message: '到達 目標 🏁\nline 2', level: 'info' }]);
    const alerts = dataOf(await get('/api/v1/alerts?status=resolved'));
    expect(alerts).toMatchObject([
      {
        ...{ id: '550e8400-e29b-41d4-a716-446655440001', severity: 'critical' },
        ...{ metadata: { motor: 2 }, acknowledged_at: '2026-01-25T04:01:30.123Z' },
      },
    ]);
    const { maps } = dataOf(await get('/api/v1/maps'));
    expect(maps).toMatchObject([{ name: 'floor', resolution: 0.05, width: 4, height: 3 }]);
    const image = await fetch(`${app.url}/api/v1/map/${maps[0].id}/image`, {
      headers: { authorization: `Bearer ${OLD_KEY}` },
    });
    expect(image.headers.get('content-type')).toBe('image/x-portable-graymap');
    const bytes = Buffer.from(await image.arrayBuffer());
    expect(bytes.subarray(0, 5).toString()).toBe('P5\n# ');
    expect(bytes.length).toBe(29);
  });

  it('goes on with its robots', async () => {
    const { app } = await start();
    const status = { status: { battery_level: 12 } };
    dataOf(await app.call('POST', `${ROBOT}/status`, status, OLD_KEY));
    const latest = dataOf(await app.call('GET', `${ROBOT}/status`, undefined, OLD_KEY));
    expect(latest.status).toEqual(status.status);
    const alert = '/api/v1/alerts/550e8400-e29b-41d4-a716-446655440000/resolve';
    dataOf(await app.call('POST', alert, undefined, OLD_KEY));
    const again = { robot_id: 'robot_gone', robot_type: 'drone' };
    dataOf(await app.call('POST', '/api/v1/robots', again, OLD_KEY));
  });
});
