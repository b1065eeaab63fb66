import { describe, expect, it, onTestFinished } from 'vitest';
import type { Principal } from '../../src/contract/access.js';
import { startApp, type TestApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { NOON_MS } from '../support/fleet-database.js';
import { createStoppedClock } from '../support/identity.js';

const SECOND_MS = 1_000;
const at = (ms: number) => new Date(ms).toISOString();

async function register(app: TestApp, robot_id: string, more: object = {}, token?: string) {
  const body = { robot_id, robot_type: 'mobile_robot', ...more };
  const { status, text } = await app.call('POST', '/api/v1/robots', body, token);
  if (status !== 200) throw new Error(`registering ${robot_id}: ${text}`);
}
const pushTo = (app: TestApp, id: string, status: object, more: object = {}, token?: string) =>
  app.call('POST', `/api/v1/robots/${id}/status`, { status, ...more }, token);
const robotsOf = async (app: TestApp, token?: string) =>
  (await app.call('GET', '/api/v1/robots', undefined, token)).json.data.robots;

describeEachDatabase('the fleet', (kind) => {
  async function start() {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const clock = createStoppedClock();
    const app = await startApp(database, { clock });
    const restart = async () => {
      await app.close();
      return startApp(database, { clock });
    };
    return { app, clock, restart };
  }

  it('is after a restart what it was before, with presence judged anew', async () => {
    const { app, clock, restart } = await start();
    const other = await app.addAccount();
    for (const id of ['ahead', 'late', 'tie', 'silent', 'gone']) await register(app, id);
    await register(app, 'foreign', { robot_name: 'Ü', presence_timeout_ms: 5_000 }, other.token);
    await pushTo(app, 'foreign', { n: 'foreign' }, {}, other.token);
    await pushTo(app, 'ahead', { n: 1 }, { timestamp: at(NOON_MS + 60 * SECOND_MS) });
    await pushTo(app, 'ahead', { n: 2 });
    await pushTo(app, 'tie', { n: 1 }, { event_id: 'a', timestamp: at(NOON_MS) });
    await pushTo(app, 'tie', { n: 2 }, { event_id: 'b', timestamp: at(NOON_MS) });
    await pushTo(app, 'gone', { n: 1 });
    clock.advance(10 * SECOND_MS);
    await pushTo(app, 'late', { n: 1 });
    await app.call('DELETE', '/api/v1/robots/gone', { confirm: 'gone' });
    const read = async (server: TestApp) => ({
      robots: await robotsOf(server),
      foreign: await robotsOf(server, other.token),
      latest: await Promise.all(
        ['ahead', 'late', 'tie', 'silent', 'gone'].map(
          async (id) => (await server.call('GET', `/api/v1/robots/${id}/status`)).text,
        ),
      ),
    });
    const before = await read(app);
    expect(before.latest.map((text) => JSON.parse(text).data?.status)).toEqual([
      ...[{ n: 1 }, { n: 1 }, { n: 2 }, null, undefined],
    ]);
    expect(before.robots.map((robot: { id: string }) => robot.id)).toEqual([
      ...['ahead', 'late', 'silent', 'tie'],
    ]);

    const again = await restart();
    const after = await read(again);
    expect(after.latest).toEqual(before.latest);
    // A sample from the robot's future stands for the moment it came.
    expect(after.robots).toEqual(before.robots);
    expect(after.foreign).toEqual(before.foreign);
    await again.close();

    clock.advance(25 * SECOND_MS);
    const later = await robotsOf(await restart());
    expect(
      later.map((robot: { id: string; presence: string }) => [robot.id, robot.presence]),
    ).toEqual([
      ['ahead', 'stale'],
      ['late', 'online'],
      ['silent', 'offline'],
      ['tie', 'stale'],
    ]);
  });

  describe('shows a robot', () => {
    /** Every call about one robot, and its body. */
    const CALLS: [string, string, unknown?][] = [
      ['GET', ''],
      ['PUT', '', { robot_name: 'mine' }],
      ['DELETE', '', { confirm: 'robot' }],
      ['POST', '/status', { status: {} }],
      ['POST', '/status/batch', { samples: [{ status: {}, timestamp: NOON_MS }] }],
      ['GET', '/status'],
      ['GET', '/history?limit=1'],
      ['GET', `/history?start=${at(0)}&end=${at(NOON_MS)}`],
      ['GET', '/trajectory'],
      ['POST', '/logs', { topic: 't', message: 'm' }],
      ['POST', '/alert', { alert_type: 't', severity: 'info', message: 'm' }],
    ];
    const everyCall = (app: TestApp, robotId: string, token?: string | null) =>
      Promise.all(
        CALLS.map(async ([method, path, body]) => {
          const url = `/api/v1/robots/${robotId}${path}`;
          const { status, json } = await app.call(method, url, body, token);
          return [method, path, status, json.error];
        }),
      );
    const all = (status: number, error: string) =>
      CALLS.map(([method, path]) => [method, path, status, error]);

    it('to its account alone: 403 for others, 404 when there is none, 401 for nobody', async () => {
      const { app } = await start();
      const other = await app.addAccount();
      await register(app, 'robot');
      expect(await everyCall(app, 'robot', other.token)).toEqual(all(403, 'Access denied'));
      expect(await everyCall(app, 'unknown', other.token)).toEqual(all(404, 'Robot not found'));
      expect((await everyCall(app, 'robot', null)).map(([, , status]) => status)).toEqual(
        CALLS.map(() => 401),
      );
      expect(await robotsOf(app, other.token)).toEqual([]);
      const [mine] = await robotsOf(app);
      expect(mine).toMatchObject({ id: 'robot', robot_name: null, last_seen_at: null });
      const taken = await app.call(
        'POST',
        '/api/v1/robots',
        { robot_id: 'robot', robot_type: 'x' },
        other.token,
      );
      expect([taken.status, taken.json.error]).toEqual([409, 'Robot ID already taken']);
    });

    it('to its own key, and no other robot', async () => {
      const { app } = await start();
      await register(app, 'robot');
      await register(app, 'twin');
      const created = await app.call('POST', '/api/v1/keys', { name: 'k', robot_id: 'robot' });
      const key = created.json.data.key as string;
      expect(key).toMatch(/^fwr_/);
      expect((await pushTo(app, 'robot', { n: 1 }, {}, key)).status).toBe(200);
      expect((await pushTo(app, 'twin', { n: 1 }, {}, key)).json.error).toBe('Access denied');
      for (const [method, path, status] of await everyCall(app, 'twin', key)) {
        expect([method, path, status]).toEqual([method, path, 403]);
      }
      expect((await robotsOf(app, key)).map((robot: { id: string }) => robot.id)).toEqual([
        'robot',
      ]);
      const twin = await app.call('GET', '/api/v1/robots/twin/status');
      expect(twin.json.data.status).toBeNull();
    });
  });
});

describeEachDatabase('presence', (kind) => {
  async function start() {
    const clock = createStoppedClock();
    const app = await startApp(kind, { clock });
    const presence = async (id = 'robot') =>
      (await app.call('GET', `/api/v1/robots/${id}`)).json.data.presence;
    return { app, clock, presence };
  }
  const readerOf = (principal: Principal) => ({ authenticate: async () => principal });

  it('goes from online to stale to offline with silence, and back with a word', async () => {
    const { app, clock, presence } = await start();
    await register(app, 'robot');
    expect(await presence()).toBe('offline');
    await pushTo(app, 'robot', {});
    expect(await presence()).toBe('online');
    clock.advance(30 * SECOND_MS - 1);
    expect(await presence()).toBe('online');
    clock.advance(SECOND_MS);
    expect(await presence()).toBe('stale');
    clock.advance(60 * SECOND_MS - SECOND_MS);
    expect(await presence()).toBe('stale');
    clock.advance(SECOND_MS);
    expect(await presence()).toBe('offline');
    const { json } = await app.call('GET', '/api/v1/robots/robot');
    expect(json.data.last_seen_at).toBe(at(NOON_MS));
    await pushTo(app, 'robot', {});
    expect(await presence()).toBe('online');
  });

  it('counts every sign of life by the time it came, not by the robot’s clock', async () => {
    const { app, clock, presence } = await start();
    await register(app, 'robot');
    const signs: (() => Promise<{ status: number }>)[] = [
      () => pushTo(app, 'robot', {}, { timestamp: at(NOON_MS - 86_400_000) }),
      () => pushTo(app, 'robot', {}, { timestamp: at(NOON_MS - 86_400_000) }),
      () =>
        app.call('POST', '/api/v1/robots/robot/status/batch', {
          samples: [{ status: {}, timestamp: at(NOON_MS - 1) }, { bad: true }],
        }),
      () => app.call('POST', '/api/v1/robots/robot/logs', { topic: 't', message: 'm' }),
      () =>
        app.call('POST', '/api/v1/robots/robot/alert', {
          ...{ alert_type: 't', severity: 'info', message: 'm' },
        }),
    ];
    for (const sign of signs) {
      clock.advance(100 * SECOND_MS);
      expect(await presence()).toBe('offline');
      expect((await sign()).status).toBe(200);
      expect(await presence()).toBe('online');
    }
    clock.advance(100 * SECOND_MS);
    await app.call('GET', '/api/v1/robots/robot/status');
    await app.call('POST', '/api/v1/robots/robot/status/batch', { samples: [{ bad: true }] });
    expect(await presence()).toBe('offline');
  });

  it('follows the robot’s own timeout, also when it changes', async () => {
    const { app, clock, presence } = await start();
    await register(app, 'quick', { presence_timeout_ms: 1_000 });
    await register(app, 'slow');
    await pushTo(app, 'quick', {});
    await pushTo(app, 'slow', {});
    clock.advance(SECOND_MS);
    expect(await presence('quick')).toBe('stale');
    expect(await presence('slow')).toBe('online');
    clock.advance(2 * SECOND_MS);
    expect(await presence('quick')).toBe('offline');
    await app.call('PUT', '/api/v1/robots/quick', { presence_timeout_ms: 60_000 });
    clock.advance(SECOND_MS);
    expect(await presence('quick')).toBe('online');
    await app.call('PUT', '/api/v1/robots/quick', { presence_timeout_ms: null });
    clock.advance(30 * SECOND_MS);
    expect(await presence('quick')).toBe('stale');
  });

  it('is pushed to who watches: first as it is, then every change, of their robots alone', async () => {
    const { app, clock } = await start();
    const other = await app.addAccount();
    await register(app, 'a');
    await register(app, 'b', { presence_timeout_ms: 5_000 });
    await register(app, 'foreign', {}, other.token);
    await pushTo(app, 'a', {});
    const { presences } = app.app.services;
    const stream = presences.live(app.admin.principal, readerOf(app.admin.principal));
    const next = async () => {
      const { value } = await stream.next();
      if (!value) throw new Error('the stream has ended');
      return [value.robot_id, value.presence, value.last_seen_at];
    };
    const noon = at(NOON_MS);
    expect(await next()).toEqual(['a', 'online', noon]);
    expect(await next()).toEqual(['b', 'offline', null]);
    await pushTo(app, 'foreign', {}, {}, other.token);
    await pushTo(app, 'b', {});
    expect(await next()).toEqual(['b', 'online', noon]);
    clock.advance(5 * SECOND_MS);
    expect(await next()).toEqual(['b', 'stale', noon]);
    clock.advance(25 * SECOND_MS);
    expect([await next(), await next()].sort()).toEqual([
      ['a', 'stale', noon],
      ['b', 'offline', noon],
    ]);
    // What nobody took in between counts as skipped, and only the newest comes.
    await pushTo(app, 'b', {});
    clock.advance(5 * SECOND_MS);
    await new Promise(setImmediate);
    const last = await stream.next();
    expect(last.value).toMatchObject({ robot_id: 'b', presence: 'stale', skipped: 1 });
    await stream.return(undefined);
  });
});
