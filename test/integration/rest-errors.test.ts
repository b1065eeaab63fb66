import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '../../src/rest-adapter/define.js';
import { kairoio } from '../../src/rest-adapter/surfaces/kairoio.js';
import { type Account, type Answer, useApp } from '../support/app.js';
import { describeEachDatabase } from '../support/databases.js';
import { expectFailure, pathOf } from '../support/rest.js';
import { until } from '../support/until.js';

/** A valid body or query for every row that needs one. A new row without an entry here is tried with `{}`. */
const VALID: Readonly<Record<string, { body?: unknown; search?: string }>> = {
  'POST /api/v1/auth/login': { body: { username: 'nobody@example.com', password: 'x' } },
  'POST /api/v1/keys': { body: { name: 'a key' } },
  'POST /api/v1/robots': { body: { robot_id: 'other', robot_type: 'x' } },
  'DELETE /api/v1/robots/{robotId}': { body: { confirm: 'r1' } },
  'POST /api/v1/robots/{robotId}/status': { body: { status: {} } },
  'POST /api/v1/robots/{robotId}/status/batch': { body: { samples: [{}] } },
  'GET /api/v1/robots/{robotId}/history': { search: '?start=1769342400000&end=1769342400001' },
  'POST /api/v1/robots/{robotId}/logs': { body: { topic: 't', message: 'm' } },
  'POST /api/v1/robots/{robotId}/logs/batch': { body: { logs: [{}] } },
  'POST /api/v1/robots/{robotId}/map': { body: { map_id: null } },
  'POST /api/v1/schemas': { body: { id: 'k', title: 'K', schema: {}, example: {} } },
  'POST /api/v1/notification-channels': {
    body: { name: 'n', kind: 'webhook', target: 'https://hooks.example.com/' },
  },
  'POST /api/v1/alert-rules': { body: { name: 'r', condition: 'a < 1', severity: 'info' } },
  'POST /api/v1/robots/{robotId}/control': { body: { action: 'pause' } },
  'POST /api/v1/robots/{robotId}/control/{commandId}/ack': { body: { status: 'received' } },
  'POST /api/v1/actions': { body: { name: 'k' } },
  'POST /api/v1/robots/{robotId}/alert': {
    body: { alert_type: 't', severity: 'info', message: 'm' },
  },
};
const PUBLIC = ['/health', '/version', '/api/v1/config', '/api/v1/auth', 'GET /api/v1/schemas'];

/** The path of a row; `other` stands for every parameter beside the robot's id. */
function placeOf(row: Row, robotId: string, other = 'k'): string {
  const names = [...row.path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
  const params = names.map((name) => [name, name === 'robotId' ? robotId : other]);
  return pathOf(row, Object.fromEntries(params));
}
const nameOf = ({ method, path }: Row) => `${method} ${path}`;
const named = (rows: readonly Row[]) => rows.map((row) => [nameOf(row), row] as const);
const isPublic = ({ method, path }: Row) =>
  path !== '/api/v1/auth/whoami' &&
  PUBLIC.some((start) => path.startsWith(start) || `${method} ${path}`.startsWith(start));
const guarded = named(kairoio.rows.filter((row) => !isPublic(row)));
const ofRobots = named(kairoio.rows.filter(({ path }) => path.includes('{robotId}')));
const withBody = named(kairoio.rows.filter(({ body }) => body));

describeEachDatabase('what every row refuses', (kind) => {
  const app = useApp(kind, { config: { limits: { logins_per_minute: 1_000_000 } } });
  let stranger: Account;

  beforeAll(async () => {
    stranger = await app().addAccount();
    for (const robot_id of ['r1', 'r2']) {
      await app().call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
    }
  });

  function send(row: Row, robotId: string, token?: string | null): Promise<Answer> {
    const { body, search = '' } = VALID[nameOf(row)] ?? {};
    const sent = row.method === 'GET' ? undefined : (body ?? {});
    return app().call(row.method, placeOf(row, robotId) + search, sent, token);
  }

  it.each(guarded)('%s: a caller without a valid key', async (_name, row) => {
    for (const token of [null, 'unknown', crypto.randomUUID(), 'fwk_wrong', 'x'.repeat(5_000)]) {
      expectFailure(await send(row, 'r1', token), 401, 'Invalid certification key');
    }
  });

  it.each(guarded)('%s: tells a stranger nothing of what is wrong beside', async (_name, row) => {
    const path = placeOf(row, 'a/b');
    const body = row.method === 'GET' ? undefined : '{';
    const answer = await app().call(row.method, `${path}?limit=x`, body, null);
    expectFailure(answer, 401, 'Invalid certification key');
  });

  it.each(ofRobots)('%s: a robot that is not there', async (_name, row) => {
    expectFailure(await send(row, 'nobody'), 404, 'Robot not found');
  });

  it.each(ofRobots)('%s: the robot of another account', async (_name, row) => {
    expectFailure(await send(row, 'r1', stranger.token), 403, 'Access denied');
  });

  it.each(ofRobots)('%s: a key of another robot', async (_name, row) => {
    const key = await app().call('POST', '/api/v1/keys', { name: 'r2', robot_id: 'r2' });
    expectFailure(
      await send(row, 'r1', key.json.data.key),
      403,
      /^(Access denied|This key lacks the scope [a-z]+:[a-z]+)$/,
    );
  });

  it.each(guarded)('%s: a key without its scope', async (_name, row) => {
    const scopes = row.procedure.startsWith('status.') ? ['keys:write'] : ['status:read'];
    const key = await app().call('POST', '/api/v1/keys', { name: 'narrow', scopes });
    const answer = await send(row, 'r1', key.json.data.key);
    const takesAny = ['auth.whoami', 'streams.ticket'].includes(row.procedure);
    if (takesAny) expect(answer.status).toBe(200);
    else expectFailure(answer, 403, /^This key lacks the scope [a-z]+:[a-z]+$/);
  });

  it.each(ofRobots)('%s: an id that no robot can have', async (_name, row) => {
    for (const robotId of ['a/b', '\u0000', 'x'.repeat(129)]) {
      expectFailure(await send(row, robotId), 400, /^robotId: /);
    }
  });

  it.each(withBody)('%s: bodies that are no object', async (_name, row) => {
    const path = placeOf(row, 'r1');
    for (const body of ['[]', '"x"', '1', 'true', '[[[]]]']) {
      expectFailure(await app().call(row.method, path, body), 400);
    }
    for (const body of ['{', '{"a":}', '{"a":1}}', 'NaN', '\ufeff', "{'a':1}"]) {
      expectFailure(await app().call(row.method, path, body), 400, 'The body is not valid JSON');
    }
  });

  it.each(withBody)('%s: a body that is too large', async (_name, row) => {
    const path = placeOf(row, 'r1');
    const body = (length: number) => JSON.stringify({ pad: 'x'.repeat(length - 10) });
    expect(Buffer.byteLength(body(1_048_576))).toBe(1_048_576);
    expectFailure(
      await app().call(row.method, path, body(1_048_577)),
      413,
      'Request body is too large',
    );
    expect((await app().call(row.method, path, body(1_048_576))).status).not.toBe(413);
  });

  it.each(['/api/v1/robots/r1/status', '/api/v1/robots/r1/logs/batch', '/trpc/status.push'])(
    '%s: a body that is too large, from one who reads only when all is sent',
    async (path) => {
      const socket = connect(Number(new URL(app().url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.setEncoding('utf8').pause();
      const closed = once(socket, 'close');
      const megabyte = Buffer.alloc(1_000_000, ' ');
      const head = ['host: x', 'content-type: application/json', 'content-length: 20000000'];
      const bearer = `authorization: Bearer ${app().admin.token}`;
      socket.write(`POST ${path} HTTP/1.1\r\n${[...head, bearer].join('\r\n')}\r\n\r\n`);
      for (let sent = 0; sent < 20 && !socket.destroyed; sent += 1) {
        if (!socket.write(megabyte)) await Promise.race([once(socket, 'drain'), closed]);
      }
      let answer = '';
      socket.on('data', (text) => {
        answer += text;
      });
      socket.resume();
      await closed;
      expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    },
  );

  it('never fails on its own part, whatever it is sent', async () => {
    const ending = kairoio.rows.filter(({ sse, patienceMs }) => !sse && patienceMs === undefined);
    const robots = fc.constantFrom('r1', 'r2', 'nobody', '__proto__', 'a/b');
    const members = [
      ...['status', 'timestamp', 'event_id', 'samples', 'robot_id', 'robot_type', 'robot_name'],
      ...['presence_timeout_ms', 'confirm', 'topic', 'message', 'level', 'alert_type', 'severity'],
      ...['metadata', 'username', 'password', 'email', 'code', 'name', 'scopes', 'overlap_seconds'],
      ...['dedup_key', 'condition', 'clear_condition', 'for_seconds', 'enabled'],
      ...['expires_in_seconds', '__proto__', 'constructor', 'toString', ''],
    ];
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('\u0000', '\ud800', '2026-01-25T12:00:00Z', 'r1', 'info', '%00', '$1'),
    );
    const value = fc.letrec<{ any: unknown }>((tie) => ({
      any: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        text,
        fc.double(),
        fc.maxSafeInteger(),
        fc.constantFrom(null, true, 1_769_342_400_000, -0, 1e308),
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(fc.oneof(fc.constantFrom(...members), text), tie('any'), { maxKeys: 5 }),
      ),
    })).any;
    const objectBody = fc
      .dictionary(fc.constantFrom(...members), fc.oneof(text, value), { maxKeys: 8 })
      .map((body) => JSON.stringify(body));
    const body = fc.oneof(
      { weight: 4, arbitrary: objectBody },
      value.map((any) => JSON.stringify(any)),
      fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    );
    const search = fc
      .dictionary(
        fc.constantFrom('start', 'end', 'limit', 'max_points', 'cursor', 'a[b]', '__proto__'),
        fc.oneof(text, fc.constantFrom('1', '1e3', '-1', '1769342400000', '9'.repeat(400))),
      )
      .map((values) => new URLSearchParams(values).toString());
    const contentType = fc.constantFrom(undefined, 'application/json', 'text/xml', '///', '');

    await fc.assert(
      fc.asyncProperty(
        ...[fc.constantFrom(...ending), robots, text, body, search, contentType],
        async (row, robotId, keyId, sent, query, type) => {
          const key = keyId.replace(/\p{Surrogate}/gu, '?');
          const path = `${placeOf(row, robotId, key)}?${query}`;
          const response = await fetch(app().url + path, {
            method: row.method,
            headers: {
              authorization: `Bearer ${app().admin.token}`,
              ...(type !== undefined && { 'content-type': type }),
            },
            ...(row.method !== 'GET' && { body: sent }),
          });
          const answer = await response.text();
          expect(`${response.status} ${answer}`).not.toMatch(/^5/);
          const isJson = response.headers.get('content-type')?.startsWith('application/json');
          if (response.ok && !isJson) return;
          const json = JSON.parse(answer);
          expect(json.success).toBe(response.ok);
          expect(response.ok ? json.data : json.error).toBeDefined();
        },
      ),
      { numRuns: 600, endOnFailure: true },
    );
    expect((await app().call('GET', '/health')).status).toBe(200);
  });
});

describeEachDatabase('requests beside the table', (kind) => {
  const app = useApp(kind);
  const path = '/api/v1/robots';
  const valid = '{"robot_id":"plain","robot_type":"x"}';

  function post(body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${app().url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app().admin.token}`, ...headers },
      body: typeof body === 'string' ? Buffer.from(body) : body,
    });
  }

  it.each([
    undefined,
    '',
    'text/plain',
    'application/x-www-form-urlencoded',
    'image/png',
    '///',
    'application/json; charset=latin1',
  ])('takes JSON under the content type %j', async (type) => {
    const answer = await post(valid, type === undefined ? {} : { 'content-type': type });
    expect(answer.status).toBe(200);
  });

  it('takes the last of members with one name, and no member from the prototype', async () => {
    const status = async (body: string) => app().call('POST', `${path}/plain/status`, body);
    await post(valid);
    await status('{"status":{"a":1},"status":{"b":2}}');
    const latest = await app().call('GET', `${path}/plain/status`);
    expect(latest.json.data.status).toEqual({ b: 2 });
    for (const body of [
      '{"__proto__":{"status":{"evil":1}}}',
      '{"constructor":{"prototype":{"status":{"evil":1}}}}',
    ]) {
      expectFailure(await status(body), 400, 'status must be a JSON object');
    }
    expect(({} as Record<string, unknown>).status).toBeUndefined();
  });

  it('takes bytes that are no UTF-8 as replacement characters', async () => {
    await post(valid);
    const body = Buffer.concat([
      Buffer.from('{"status":{"a":"'),
      Buffer.from([0xff]),
      Buffer.from('"}}'),
    ]);
    const answer = await fetch(`${app().url}${path}/plain/status`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app().admin.token}` },
      body,
    });
    expect(answer.status).toBe(200);
    const latest = await app().call('GET', `${path}/plain/status`);
    expect(latest.json.data.status).toEqual({ a: '\ufffd' });
  });

  it.each([
    ['GET', '/nowhere'],
    ['POST', '/nowhere'],
    ['GET', '/api/v1/nowhere'],
    ['GET', '/api/v2/robots'],
    ['PUT', '/health'],
    ['PATCH', '/api/v1/robots'],
    ['DELETE', '/api/v1/robots'],
    ['GET', '/api/v1/auth/login'],
    ['GET', '/compat/kairoio/nowhere'],
    ['GET', '/compat'],
  ])('says what there is not: %s %s', async (method, where) => {
    const sentence = `There is no ${method} ${where}; see /docs`;
    expectFailure(await app().call(method, `${where}?key=1`), 404, sentence);
    if (method !== 'GET') expectFailure(await app().call(method, where, '{'), 404, sentence);
  });

  it('minds no slash at the end', async () => {
    expect((await app().call('GET', '/api/v1/robots/')).json.data).toHaveProperty('robots');
  });

  it.each(['/api/v1/robots/%E0%A4%A', '/%zz', `/api/v1/robots/${'x'.repeat(6_000)}`])(
    'refuses the path %.40s in the envelope',
    async (where) => {
      const answer = await app().call('GET', where);
      expectFailure(answer, answer.status);
      expect([400, 414]).toContain(answer.status);
      expect(answer.text.length).toBeLessThan(500);
    },
  );

  it('answers HEAD as GET without its body', async () => {
    await post(valid);
    for (const where of [
      '/health',
      path,
      `${path}/plain/history?limit=1`,
      `${path}/plain/status`,
    ]) {
      const answer = await app().call('HEAD', where);
      expect([where, answer.status, answer.text]).toEqual([where, 200, '']);
    }
    expect((await app().call('HEAD', path, undefined, null)).status).toBe(401);
  });

  it('lets the pages of any origin call it', async () => {
    const headers = {
      origin: 'https://dashboard.example.com',
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization,content-type',
    };
    const preflight = await fetch(`${app().url}${path}`, { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-headers')).toBe(
      'authorization,content-type',
    );
    const methods = preflight.headers.get('access-control-allow-methods')?.split(', ');
    expect(methods).toEqual(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);
    // What goes wrong must be readable too.
    for (const where of [path, '/nowhere']) {
      const answer = await fetch(`${app().url}${where}`, { headers });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
      expect(answer.headers.get('access-control-expose-headers')).toContain('Retry-After');
    }
    expect((await fetch(`${app().url}${path}`, { method: 'OPTIONS' })).status).toBe(204);
  });

  it.each(['h2c', 'TLS/1.0, HTTP/2.0'])(
    'serves those who offer %s with their request',
    async (upgrade) => {
      const { port } = new URL(app().url);
      const socket = connect(Number(port), '127.0.0.1');
      const body = '{"status":{"über":1}}';
      await post(valid);
      const head = (method: string, where: string, length: number) =>
        `${method} ${where} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n` +
        `Upgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n` +
        `Authorization: Bearer ${app().admin.token}\r\nContent-Length: ${length}\r\n\r\n`;
      let text = '';
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.write(head('POST', `${path}/plain/status`, Buffer.byteLength(body)) + body);
      await until('the first answer', () => text.includes('Status updated successfully'));
      // The connection goes on as any other.
      socket.write(head('GET', `${path}/plain/status`, 0));
      await until('the second answer', () => text.includes('"über":1'));
      expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
      socket.destroy();
    },
  );

  it('answers what is no request at all in the envelope, and hangs up', async () => {
    const socket = connect(Number(new URL(app().url).port), '127.0.0.1');
    socket.end('MAKE /tea HTCPCP/1.0\r\n\r\n');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toEqual({
      success: false,
      error: 'This is not an HTTP request',
      code: 'invalid_input',
    });
  });
});

describe('the origins that may read', () => {
  describeEachDatabase('from a list', (kind) => {
    const app = useApp(kind, {
      config: { server: { cors_origins: ['https://fleet.example.com'] } },
    });
    it.each([
      ['https://fleet.example.com', 'https://fleet.example.com'],
      ['https://evil.example.com', null],
    ])('%s', async (origin, allowed) => {
      const answer = await fetch(`${app().url}/version`, { headers: { origin } });
      expect(answer.headers.get('access-control-allow-origin')).toBe(allowed);
    });
  });
});
