import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Answer, startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';

const ROBOT = '/api/v1/robots/robot_001';

/** Fastify's own answers say which origins may read them; the short way is not for browsers and does not. */
function tookTheLane(answer: Answer): boolean {
  return !answer.headers.has('access-control-allow-origin');
}

/** What must be the same both ways. */
function comparable({ status, headers, json }: Answer): unknown {
  const { timestamp, ...data } = json.data ?? {};
  return {
    status,
    type: headers.get('content-type'),
    retryAfter: headers.get('retry-after'),
    hasTimestamp: timestamp !== undefined,
    json: { ...json, ...(json.data && { data }) },
  };
}

describeEachDatabase('a single status by the short way', (kind) => {
  // The short way knows credentials of the last second; here it never passes.
  const app = useApp(kind, { clock: createStoppedClock() });

  it.each<[string, unknown]>([
    ['a status', { status: { battery_level: 85, local_position: { x: 1, y: 2 } } }],
    ['one with warnings', { status: { battery_level: '85', global_position: { latitude: 91 } } }],
    ['an empty one', { status: {} }],
    ['one with its own time', { status: {}, timestamp: '2026-01-25T12:00:00+08:00' }],
    ['one with more members than are known', { status: {}, more: [1] }],
    ['a bad time', { status: {}, timestamp: 'yesterday' }],
    ['a time in the future', { status: {}, timestamp: '2400-01-01T00:00:00Z' }],
    ['a bad event id', { status: {}, event_id: '' }],
    ['no status', {}],
    ['a list as status', { status: [] }],
    ['a list as body', [1]],
    ['null', null],
    ['no JSON', '{"status":'],
    ['what is nested too deep', `{"status":{"a":${'['.repeat(600)}${']'.repeat(600)}}}`],
  ])('is answered as by the route: %s', async (_name, body) => {
    await app().call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
    const short = await app().call('POST', `${ROBOT}/status`, body);
    const long = await app().call('POST', `${ROBOT}/status?route`, body);
    expect([tookTheLane(short), tookTheLane(long)]).toEqual([true, false]);
    expect(comparable(short)).toEqual(comparable(long));
  });

  it('is answered as by the route: of an unknown robot, and of another account', async () => {
    await app().call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
    const { token } = await app().addAccount();
    const body = { status: {} };
    for (const [path, as] of [
      ['/api/v1/robots/nobody', app().admin.token],
      [ROBOT, token],
    ] as const) {
      const short = await app().call('POST', `${path}/status`, body, as);
      const long = await app().call('POST', `${path}/status?route`, body, as);
      expect([tookTheLane(short), tookTheLane(long)]).toEqual([true, false]);
      expect(comparable(short)).toEqual(comparable(long));
    }
  });

  it('keeps the status to the letter', async () => {
    await app().call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
    const status = '{"z":1.0,"n":12345678901234567890,"a":"\\u00e9"}';
    const answer = await app().call('POST', `${ROBOT}/status`, `{"status":${status}}`);
    expect([answer.status, tookTheLane(answer)]).toEqual([200, true]);
    expect((await app().call('GET', `${ROBOT}/status`)).text).toContain(`"status":${status}`);
  });
});

describe.each(testDatabases.slice(0, 1))('what is not ordinary goes to the route', (kind) => {
  async function push(app: TestApp, init: RequestInit, token = app.admin.token): Promise<Answer> {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${token}`);
    const response = await fetch(`${app.url}${ROBOT}/status`, { method: 'POST', ...init, headers });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: JSON.parse(text) };
  }

  it.each<[string, RequestInit, number]>([
    ['a page', { headers: { origin: 'https://a.example' }, body: '{"status":{}}' }, 200],
    ['a proxy', { headers: { 'x-forwarded-for': '10.0.0.1' }, body: '{"status":{}}' }, 200],
    ['no body', {}, 400],
    ['a body that is too large', { body: `{"status":{"a":"${'x'.repeat(1_048_576)}"}}` }, 413],
    [
      'a body of unknown length',
      { body: new Blob(['{"status":{}}']).stream(), duplex: 'half' } as RequestInit,
      200,
    ],
  ])('%s', async (_name, init, status) => {
    const app = await startApp(kind);
    await app.call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
    const answer = await push(app, init);
    expect([answer.status, tookTheLane(answer)]).toEqual([status, false]);
  });

  it('a credential that is unknown, or may not', async () => {
    const app = await startApp(kind);
    await app.call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
    const { json } = await app.call('POST', '/api/v1/keys', { name: 'r', scopes: ['status:read'] });
    const body = '{"status":{}}';
    const unknown = await push(app, { body }, 'nobody');
    expect([unknown.status, tookTheLane(unknown)]).toEqual([401, false]);
    await app.call('GET', `${ROBOT}/status`, undefined, json.data.key);
    const reader = await push(app, { body }, json.data.key);
    expect([reader.status, tookTheLane(reader)]).toEqual([403, false]);
  });

  it('is counted against the same limits both ways', async () => {
    const app = await startApp(kind, {
      config: {
        features: { rate_limiting_enabled: true },
        limits: { requests_per_second: 20 },
      },
    });
    await app.call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'rover' });
    const answers: Answer[] = [];
    for (let round = 0; round < 100; round += 1) {
      const ways = [`${ROBOT}/status`, `${ROBOT}/status?route`];
      answers.push(
        ...(await Promise.all(ways.map((path) => app.call('POST', path, { status: {} })))),
      );
    }
    const refused = answers.filter(({ status }) => status === 429);
    expect(new Set(refused.map(tookTheLane))).toEqual(new Set([true, false]));
    for (const answer of refused) {
      expect(answer.json).toMatchObject({ success: false, limit: 'requests_per_second' });
      expect(answer.headers.get('retry-after')).toBe('1');
    }
  });
});

describe('a single status that is refused while it is still being sent', () => {
  it('is answered, also to one who reads only when all is sent', async () => {
    const app = await startApp(testDatabases[0]!, {
      clock: createStoppedClock(),
      config: {
        features: { rate_limiting_enabled: true },
        limits: { requests_per_second: 2 },
        server: { body_limit: 32 * 2 ** 20 },
      },
    });
    await app.call('POST', '/api/v1/robots', { robot_id: 'robot_001', robot_type: 'x' });
    for (let calls = 0; calls < 5; calls += 1) await app.call('POST', `${ROBOT}/status`, {});
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    socket.setEncoding('utf8').pause();
    const closed = once(socket, 'close');
    const head = ['host: x', 'content-type: application/json', 'content-length: 20000000'];
    const bearer = `authorization: Bearer ${app.admin.token}`;
    socket.write(`POST ${ROBOT}/status HTTP/1.1\r\n${[...head, bearer].join('\r\n')}\r\n\r\n`);
    const megabyte = Buffer.alloc(1_000_000, ' ');
    for (let sent = 0; sent < 20 && !socket.destroyed; sent += 1) {
      if (!socket.write(megabyte)) await Promise.race([once(socket, 'drain'), closed]);
    }
    let answer = '';
    socket.on('data', (text) => {
      answer += text;
    });
    socket.resume();
    await closed;
    expect(answer).toMatch(/^HTTP\/1\.1 429 /);
  });
});
