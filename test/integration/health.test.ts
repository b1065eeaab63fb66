import { rm } from 'node:fs/promises';
import Database from 'better-sqlite3';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';
import { startApp, useApp } from '../support/app.js';
import { describeEachDatabase, type TestDatabase, testDatabases } from '../support/databases.js';
import { openRaw, rawRequest } from '../support/raw-http.js';
import { expectData, expectFailure, INSTANT } from '../support/rest.js';
import { until } from '../support/until.js';

const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');
const ON_OR_OFF = expect.stringMatching(/^(on|off)$/);
const SECOND = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);

describeEachDatabase('a server whose database is there', (kind) => {
  const app = useApp(kind);
  const get = (path: string) => app().call('GET', path, undefined, null);

  it('is healthy in the words of every API at once', async () => {
    const { status, json } = await get('/health');
    expect({ status, json }).toEqual({
      status: 200,
      json: {
        success: true,
        data: { status: 'healthy', timestamp: INSTANT },
        status: 'ok',
        time: SECOND,
        status_code: 200,
        message: 'Server is healthy',
        version: '0.0.0-test',
        video: ON_OR_OFF,
      },
    });
  });

  it('is healthy in the words of each API by itself', async () => {
    expectData(await get('/compat/kairoio/health'), { status: 'healthy', timestamp: INSTANT });
    expectData(await get('/compat/kairoio/version'), { version: '0.0.0-test', name: 'Fleetwire' });
    const compat = await app().call('GET', '/compat/kairoio/api/v1/robots');
    expectData(compat, { robots: [], count: 0 });
    expectFailure(await get('/compat/kairoio/api/v1/robots'), 401, 'Invalid certification key');
  });

  it('is ready', async () => {
    const { status, json } = await get('/health/ready');
    expect({ status, json }).toEqual({ status: 200, json: { ready: true } });
  });
});

describeEachDatabase('a server whose database has gone', (kind) => {
  // Gone for real: the PostgreSQL database is dropped under the server, the SQLite file deleted.
  let database: TestDatabase;
  const app = useApp({
    ...kind,
    async create() {
      database = await kind.create();
      return database;
    },
  });
  const get = (path: string) => app().call('GET', path, undefined, null);
  beforeAll(async () => {
    expect((await get('/health')).status).toBe(200);
    if (database.config.type === 'sqlite') await rm(database.config.path);
    else await database.dispose();
  });

  it('is not healthy, and names the part that is missing', async () => {
    const { status, json, headers } = await get('/health');
    expect({ status, json }).toEqual({
      status: 503,
      json: {
        success: false,
        error: 'Not working: database',
        failing: ['database'],
        data: { status: 'unhealthy', timestamp: INSTANT },
        status: 'error',
        time: SECOND,
        status_code: 503,
        message: 'Not working: database',
        version: '0.0.0-test',
        video: ON_OR_OFF,
      },
    });
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expectFailure(await get('/compat/kairoio/health'), 503, 'Not working: database');
  });

  it('is not ready', async () => {
    const { status, json } = await get('/health/ready');
    expect({ status, json }).toEqual({
      status: 503,
      json: { ready: false, failing: ['database'] },
    });
  });

  it.runIf(kind.dialect === 'postgres')('says nothing of it to those who call', async () => {
    const { call } = app();
    const robot = { robot_id: 'r1', robot_type: 'x' };
    for (const answer of [
      await call('POST', '/api/v1/robots', robot),
      await call('GET', '/api/v1/robots/r1'),
      await call('POST', '/api/v1/auth/login', { username: 'a@b.co', password: 'x' }),
    ]) {
      expectFailure(answer, 503, 'The database cannot be reached; try again later');
      expect(answer.headers.get('retry-after')).toBe('5');
      expect(answer.text).not.toMatch(/fleetwire_test|terminat|ECONN|does not exist/);
    }
  });
});

describe.each(sqlite)('a server that is stopping on $dialect', (kind) => {
  /** What comes behind a call that is under way is answered when the server has begun to stop. */
  async function answersWhileStopping(...starts: string[]) {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const app = await startApp(database);
    await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    const headers = [
      'host: x',
      'origin: http://a.test',
      `authorization: Bearer ${app.admin.token}`,
    ];
    const samples = '{"samples":[{"status":{},"timestamp":1769342400000}]}';
    const resting = await openRaw(app.url);
    const busy = await openRaw(app.url);
    const other = new Database((database.config as { path: string }).path);
    onTestFinished(() => void other.close());
    other.exec('BEGIN IMMEDIATE');
    busy.socket.write(rawRequest('POST /api/v1/robots/r1/status/batch', headers, samples));
    await until('the call to be under way', async () =>
      /ingest_queue_rows 1/.test((await app.call('GET', '/metrics')).text),
    );
    const closed = app.close();
    await resting.ended;
    busy.socket.write(starts.map((start) => rawRequest(start, headers, '')).join(''));
    other.exec('COMMIT');
    const answers = [await busy.answer()];
    for (const _ of starts) answers.push(await busy.answer());
    await Promise.all([busy.ended, closed]);
    return answers;
  }

  it('finishes what is under way, and says of itself that it is not ready', async () => {
    const [first, second] = await answersWhileStopping('GET /health/ready');
    expect(first).toMatchObject({ status: 200, body: expect.stringContaining('"stored":1') });
    expect(second).toMatchObject({ status: 503, body: '{"ready":false,"failing":["stopping"]}' });
  });

  it.each([
    ['GET /api/v1/robots', { success: false, code: 'unavailable' }],
    ['GET /compat/kaamos/rooms/ABC', { error: expect.any(String) }],
    ['GET /trpc/robots.list', { error: { data: { httpStatus: 503 } } }],
  ])('refuses %s in the words of its API', async (start, shape) => {
    const [, answer] = await answersWhileStopping(start);
    expect(answer?.status).toBe(503);
    expect(answer?.headers.get('connection')).toBe('close');
    expect(answer?.headers.get('retry-after')).toBe('1');
    expect(answer?.headers.get('access-control-allow-origin')).toBe('*');
    expect(answer?.body).toMatch(/the server is stopping; send it again/i);
    expect(JSON.parse(answer?.body ?? '')).toMatchObject(shape);
  });
});

describe.each(sqlite)('metrics on $dialect', (kind) => {
  const app = useApp(kind);
  const metrics = (headers: Record<string, string> = {}) =>
    fetch(`${app().url}/metrics`, { headers });
  const elsewhere = { 'x-forwarded-for': '203.0.113.9' };
  const as = (token: string) => ({ ...elsewhere, authorization: `Bearer ${token}` });

  it('are for this machine and for the admin', async () => {
    expect((await metrics()).status).toBe(200);
    expect((await metrics(elsewhere)).status).toBe(401);
    expect((await metrics({ origin: 'https://evil.example.com' })).status).toBe(401);
    expect((await metrics(as(app().admin.token))).status).toBe(200);
    expect((await metrics(as((await app().addAccount()).token))).status).toBe(401);
    expect((await metrics(as('wrong'))).status).toBe(401);
  });

  it("are not for the admin's robots", async () => {
    const { call } = app();
    await call('POST', '/api/v1/robots', { robot_id: 'secret-robot', robot_type: 'x' });
    const key = { name: 'k', robot_id: 'secret-robot' };
    const { json } = await call('POST', '/api/v1/keys', key);
    expect((await metrics(as(json.data.key))).status).toBe(401);
  });

  it('are in base units, by route, and name no robot', async () => {
    const { call } = app();
    await call('POST', '/api/v1/robots', { robot_id: 'secret-robot', robot_type: 'x' });
    await call('POST', '/api/v1/robots/secret-robot/status', { status: {} });
    await call('GET', '/api/v1/robots/secret-robot/status?secret-query=1');
    await call('GET', '/nowhere/secret-path');
    const text = await (await metrics()).text();
    expect(text).not.toContain('secret-');
    expect(text).toMatch(
      /^fleetwire_http_request_duration_seconds_count\{method="POST",route="\/api\/v1\/robots\/:robotId\/status",status="200"\} 1$/m,
    );
    expect(text).toMatch(/^fleetwire_media_rooms 0$/m);
    expect(text).toMatch(/^fleetwire_ingest_items_total 1$/m);
    expect(text).toMatch(/^fleetwire_robots\{presence="online"\} 1$/m);
    expect(text).toMatch(/^fleetwire_database_size_bytes [1-9]\d+$/m);
  });
});

describe.each(sqlite)('documentation on $dialect', (kind) => {
  const app = useApp(kind);

  it('lists every row, and only what there is', async () => {
    const { json } = await app().call('GET', '/openapi.json', undefined, null);
    expect(json.openapi).toBe('3.1.0');
    const listed = Object.entries<object>(json.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const rows = kairoio.rows.map(({ method, path }) => `${method} ${path}`);
    expect(listed).toEqual(expect.arrayContaining(rows));
    for (const entry of listed) {
      const [method = '', path = ''] = entry.split(' ');
      const answer = await app().call(method, path.replace(/\{\w+\}/g, 'x'), undefined, null);
      // A row may find nothing of that name; a path that is no row says so.
      expect([entry, answer.text]).not.toEqual([entry, expect.stringContaining('; see /docs')]);
    }
  });

  it('is a page that loads from this server alone', async () => {
    const pages = ['/docs', '/docs/'];
    const seen = new Set(pages);
    for (const page of pages) {
      const answer = await fetch(app().url + page);
      expect(answer.status).toBe(200);
      const policy = answer.headers.get('content-security-policy') ?? '';
      expect(policy).toContain("default-src 'self'");
      // The last would break the page wherever there is no certificate.
      expect(policy).not.toMatch(/https?:|[a-z]+\.[a-z]+|\*|upgrade-insecure-requests/);
      const html = await answer.text();
      const loads = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url);
      expect(loads.length).toBeGreaterThan(3);
      for (const url of loads) {
        expect(url).toMatch(/^\.?\//);
        seen.add(new URL(url, `${app().url}${page}`).pathname);
      }
    }
    for (const path of seen) {
      const answer = await fetch(app().url + path);
      expect([path, answer.status]).toEqual([path, 200]);
      const text = await answer.text();
      if (path.endsWith('.css')) {
        expect(text).not.toMatch(/url\(\s*["']?(https?:)?\/\/|@import/);
      }
      if (path.endsWith('swagger-initializer.js')) {
        expect(text).toContain('validatorUrl: null');
        expect(text.replace('https://stackoverflow.com/a/77855838/492336', '')).not.toMatch(
          /https?:\/\//,
        );
      }
    }
    const document = await app().call('GET', '/docs/json', undefined, null);
    expect(document.json.openapi).toBe('3.1.0');
  });
});
