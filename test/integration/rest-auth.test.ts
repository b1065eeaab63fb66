import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createLogger } from '../../src/lib/logger.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';
import type { AppRouter } from '../../src/routers/index.js';
import { type Answer, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { expectData, expectFailure, INSTANT, pathOf } from '../support/rest.js';
import { openSse } from '../support/sse.js';

const LOGIN = '/api/v1/auth/login';
const ADMIN = { username: 'kairoio', password: 'kairoio' };
const UUID = expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');

async function login(
  { url }: TestApp,
  headers: Record<string, string> = {},
  body: object = ADMIN,
): Promise<Answer> {
  const response = await fetch(url + LOGIN, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
}

describeEachDatabase('login over REST', (kind) => {
  const app = useApp(kind);
  const post = (path: string, body?: unknown) => app().call('POST', path, body, null);

  it('gives the admin the key that is stored, the same each time', async () => {
    const data = {
      message: 'Login successful (Admin)',
      account_id: 'ADMIN-001',
      certification_key: UUID,
    };
    const first = await post(LOGIN, ADMIN);
    expectData(first, data);
    expect((await post(LOGIN, ADMIN)).json).toEqual(first.json);
  });

  it('logs an account in by its e-mail, however that is written', async () => {
    const { account_id, token } = await app().addAccount('somebody@example.com');
    for (const username of ['somebody@example.com', 'Somebody@Example.COM']) {
      expectData(await post(LOGIN, { username, password: 'a good password', extra: 1 }), {
        message: 'Login successful',
        account_id,
        certification_key: token,
      });
    }
  });

  it.each([
    [{ username: 'kairoio', password: 'wrong' }],
    [{ username: 'nobody@example.com', password: 'kairoio' }],
    [{ username: 'ADMIN-001', password: '' + 'kairoio' }],
    [{ username: "' or 1=1 --", password: 'x' }],
    [{ username: 'nul \u0000', password: '\u0000' }],
    [{ username: '__proto__', password: 'constructor' }],
  ])('refuses %j', async (body) => {
    expectFailure(await post(LOGIN, body), 401, 'Invalid username or password');
  });

  it.each([
    ['', 'Username and password are required'],
    ['{}', 'Username and password are required'],
    ['null', 'Username and password are required'],
    ['[]', 'Username and password are required'],
    [{ username: 'kairoio' }, 'Username and password are required'],
    [{ username: '', password: '' }, 'Username and password are required'],
    [{ username: 1, password: 'x' }, /^username: /],
    [{ username: 'x', password: 'x'.repeat(1_025) }, /^password: Too big/],
    ['{', 'The body is not valid JSON'],
  ])('refuses the body %j', async (body, sentence) => {
    expectFailure(await post(LOGIN, body), 400, sentence);
  });

  it('says that registration is off', async () => {
    const email = 'new@example.com';
    for (const path of ['/api/v1/auth/register/send-code', '/api/v1/auth/register']) {
      const answer = await post(path, { email, password: 'long enough', code: '123456' });
      expectFailure(answer, 403, 'Registration is disabled');
    }
  });

  it('tells who a key is and what it may do', async () => {
    const scopes = expect.arrayContaining(['status:write', 'keys:write']);
    const mine = { kind: 'account', account_id: 'ADMIN-001', key_id: null, robot_id: null };
    const whoami = (token?: string) => app().call('GET', '/api/v1/auth/whoami', undefined, token);
    expectData(await whoami(), { ...mine, scopes, expires_at: null });
    const created = await app().call('POST', '/api/v1/keys', {
      name: 'narrow',
      scopes: ['status:read'],
      expires_in_seconds: 60,
    });
    const { id, key } = created.json.data;
    expectData(await whoami(key), {
      ...mine,
      kind: 'api_key',
      key_id: id,
      scopes: ['status:read'],
      expires_at: INSTANT,
    });
  });

  it('shows a key once, lists it without its secret, rotates and revokes it', async () => {
    const { call, token } = { ...(await app().addAccount()), call: app().call };
    const as = (method: string, path: string, body?: unknown) => call(method, path, body, token);
    const created = await as('POST', '/api/v1/keys', { name: 'viewer' });
    const { key, ...shown } = created.json.data;
    expect(key).toMatch(/^fwk_/);
    expectData(await as('GET', '/api/v1/keys'), { keys: [shown], count: 1 });
    const rotated = await as('POST', `/api/v1/keys/${shown.id}/rotate`);
    expect(rotated.json.data).toMatchObject({ id: shown.id, key: expect.not.stringMatching(key) });
    expect((await call('GET', '/api/v1/robots', undefined, key)).status).toBe(200);
    const revoked = await as('DELETE', `/api/v1/keys/${shown.id}`);
    expect(revoked.json.data).toMatchObject({ id: shown.id, revoked_at: INSTANT });
    expect(revoked.text).not.toContain(rotated.json.data.key);
    for (const gone of [key, rotated.json.data.key]) {
      const answer = await call('GET', '/api/v1/robots', undefined, gone);
      expectFailure(answer, 401, 'Invalid certification key');
    }
  });

  it.each([
    ['POST', '/api/v1/keys', {}, 400, 'name is required'],
    ['POST', '/api/v1/keys', { name: 'x', scopes: ['all'] }, 400, /^scopes\.0: /],
    ['POST', '/api/v1/keys', { name: 'x', expires_in_seconds: 1 }, 400, /^expires_in_seconds: /],
    ['POST', '/api/v1/keys', { name: 'x', robot_id: 'nobody' }, 404, 'Robot not found'],
    ['POST', '/api/v1/keys/none/rotate', { overlap_seconds: -1 }, 400, /^overlap_seconds: /],
    ['POST', '/api/v1/keys/none/rotate', undefined, 404, 'API key not found'],
    ['DELETE', '/api/v1/keys/none', undefined, 404, 'API key not found'],
    ['DELETE', '/api/v1/keys/%00', undefined, 404, 'API key not found'],
  ] as const)('%s %s of %j is refused', async (method, path, body, status, sentence) => {
    expectFailure(await app().call(method, path, body), status, sentence);
  });

  it('takes a bearer however it is spelled, and nothing else', async () => {
    const { url, admin } = app();
    const status = async (authorization: string) =>
      (await fetch(`${url}/api/v1/robots`, { headers: { authorization } })).status;
    expect(await status(`bearer  ${admin.token}`)).toBe(200);
    for (const header of [admin.token, `Basic ${admin.token}`, 'Bearer', 'Bearer a b', '']) {
      expect([header, await status(header)]).toEqual([header, 401]);
    }
  });

  it('shows anybody its version and its public configuration, and no secret', async () => {
    const get = (path: string) => app().call('GET', path, undefined, null);
    expectData(await get('/version'), { version: '0.0.0-test', name: 'Fleetwire' });
    const config = await get('/api/v1/config');
    expect(config.json.data).toMatchObject({
      features: { registration_enabled: false, rate_limiting_enabled: false },
      limits: { body_bytes: 1_048_576, batch_samples: 1_000 },
    });
    expect(config.text).not.toMatch(/"devkey"|"secret"|api_key|api_secret|password|dsn|postgres/);
  });
});

describe.each(sqlite)("the admin's default password on $dialect", (kind) => {
  const denied = /^The default admin password works on the server itself alone/;

  it.each([
    ['x-forwarded-for', '203.0.113.9'],
    ['x-forwarded-for', '127.0.0.1'],
    ['forwarded', 'for=127.0.0.1'],
    ['x-real-ip', '127.0.0.1'],
    ['origin', 'https://evil.example.com'],
    ['origin', 'http://localhost.evil.example.com'],
    ['origin', 'null'],
  ])('is refused with %s: %s', async (name, value) => {
    const app = await startApp(kind);
    expectFailure(await login(app, { [name]: value }), 403, denied);
    // Only to those who know it: a wrong one is wrong everywhere.
    const wrong = { username: 'kairoio', password: 'wrong' };
    expectFailure(await login(app, { [name]: value }, wrong), 401, 'Invalid username or password');
  });

  it.each(['http://localhost:3000', 'http://127.0.0.1:8080', 'http://[::1]:5173'])(
    'is taken from the local page %s',
    async (origin) => {
      expect((await login(await startApp(kind), { origin })).status).toBe(200);
    },
  );

  it('is refused to those for whom a trusted proxy speaks', async () => {
    const server = { trusted_proxies: ['127.0.0.1'] };
    const app = await startApp(kind, { config: { server } });
    expectFailure(await login(app, { 'x-forwarded-for': '203.0.113.9' }), 403, denied);
    expectFailure(await login(app, { 'x-forwarded-for': '127.0.0.1, 203.0.113.9' }), 403, denied);
    expect((await login(app)).status).toBe(200);
  });

  it('is no matter once it has been changed', async () => {
    const admin = { username: 'kairoio', password: 'another' };
    const app = await startApp(kind, { config: { admin } });
    expect((await login(app, { 'x-forwarded-for': '203.0.113.9' }, admin)).status).toBe(200);
    expectFailure(await login(app), 401, 'Invalid username or password');
  });
});

describe.each(sqlite)('the log on $dialect', (kind) => {
  it('holds no key, token, password or code, at whatever level', async () => {
    const lines: string[] = [];
    const log = createLogger('trace', { write: (line) => void lines.push(line) });
    const app = await startApp(kind, { log, config: { log: { level: 'trace' } } });
    const account = await app.addAccount('owner@example.com');
    const { json } = await app.call('POST', '/api/v1/keys', { name: 'k' });
    const password = 'correct horse battery staple';
    const wrongToken = 'fwk_this-one-is-wrong';
    const secrets = [app.admin.token, account.token, json.data.key, password, wrongToken];

    await login(app, {}, { username: 'owner@example.com', password: 'a good password' });
    await login(app, {}, { username: 'owner@example.com', password });
    await app.call('POST', LOGIN, `{"username":"x","password":"${password}"`);
    await app.call('POST', '/api/v1/auth/register', { email: 'a@b.co', password, code: '424242' });
    for (const token of [...secrets, null]) {
      for (const row of kairoio.rows) {
        const path = pathOf(row, { robotId: 'r1', keyId: 'k' });
        if (row.sse || row.mjpeg) {
          const answer = await openSse(`${app.url}${path}?token=${token ?? ''}`);
          answer.close();
          continue;
        }
        const body =
          row.method === 'GET' ? undefined : { robot_id: 'r1', robot_type: 'x', status: {} };
        const search = row.procedure === 'commands.next' ? '?wait=0' : '';
        await app.call(row.method, path + search, body, token);
      }
      await app.call('GET', '/trpc/robots.list,robots.get,status.live?batch=1', undefined, token);
      await app.call('GET', '/nowhere', undefined, token);
      await app.call('GET', '/metrics', undefined, token);
      const client = createWSClient({
        url: `${app.url.replace('http', 'ws')}/trpc`,
        WebSocket: WebSocket as never,
        connectionParams: async () => (token === null ? {} : { token }),
      });
      const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client })] });
      await trpc.auth.whoami.query().catch(() => {});
      await trpc.auth.login.mutate({ username: 'kairoio', password }).catch(() => {});
      await client.close();
    }
    await app.close();

    expect(lines.length).toBeGreaterThan(kairoio.rows.length);
    for (const secret of [...secrets, '424242', 'a good password']) {
      expect(lines.filter((line) => line.includes(secret))).toEqual([]);
    }
  });
});
