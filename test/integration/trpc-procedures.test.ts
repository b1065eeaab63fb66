import { once } from 'node:events';
import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  httpLink,
  splitLink,
  TRPCClientError,
  wsLink,
} from '@trpc/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { AppRouter } from '../../src/routers/index.js';
import { startApp, type TestApp, useApp } from '../support/app.js';
import { describeEachDatabase, testDatabases } from '../support/databases.js';
import { INSTANT } from '../support/rest.js';
import { until } from '../support/until.js';

const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');

/** The library's own client, over HTTP and a WebSocket. */
function connect({ url }: TestApp, token?: string) {
  const sockets = createWSClient({
    url: `${url.replace('http', 'ws')}/trpc`,
    WebSocket: WebSocket as never,
    connectionParams: token === undefined ? {} : { token },
    lazy: { enabled: true, closeMs: 0 },
  });
  onTestFinished(() => sockets.close());
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        true: wsLink({ client: sockets }),
        false: httpBatchLink({ url: `${url}/trpc`, headers }),
      }),
    ],
  });
}
type Client = ReturnType<typeof connect>;

/** What a subscription delivers, and how it ends. */
function watch<T>(
  subscribe: (on: {
    onStarted: () => void;
    onData: (value: T) => void;
    onError: (error: unknown) => void;
    onComplete: () => void;
  }) => { unsubscribe(): void },
) {
  const seen: T[] = [];
  const state: { started: boolean; completed: boolean; error?: unknown } = {
    started: false,
    completed: false,
  };
  const subscription = subscribe({
    onStarted: () => {
      state.started = true;
    },
    onData: (value) => void seen.push(value),
    onError: (error) => {
      state.error = error;
    },
    onComplete: () => {
      state.completed = true;
    },
  });
  onTestFinished(() => subscription.unsubscribe());
  return { seen, state };
}
const watchStatus = (client: Client, robot_ids?: string[]) =>
  watch<{ robot_id: string; status: unknown }>((on) =>
    client.status.live.subscribe(robot_ids ? { robot_ids } : {}, on as never),
  );
const watchPresence = (client: Client, robot_ids?: string[]) =>
  watch<{ robot_id: string; presence: string }>((on) =>
    client.robots.presence.subscribe(robot_ids ? { robot_ids } : {}, on as never),
  );

async function failureOf(call: Promise<unknown>): Promise<TRPCClientError<AppRouter>> {
  const error = await call.then(
    () => expect.unreachable('the call succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof TRPCClientError)) throw error;
  expect(JSON.stringify(error.shape)).not.toMatch(/stack|\.[jt]s:\d|node_modules|insert into/i);
  return error;
}

describeEachDatabase('every operation over tRPC', (kind) => {
  const app = useApp(kind);

  it('gives what REST gives', async () => {
    const owner = await app().addAccount('owner@example.com');
    const client = connect(app(), owner.token);
    expect(await connect(app()).system.version.query()).toEqual({
      version: '0.0.0-test',
      name: 'Fleetwire',
    });
    expect(await connect(app()).system.health.query()).toEqual({
      status: 'healthy',
      timestamp: INSTANT,
      version: '0.0.0-test',
      video: expect.stringMatching(/^(on|off)$/),
      failing: [],
    });
    const credentials = { username: 'owner@example.com', password: 'a good password' };
    expect(await connect(app()).auth.login.mutate(credentials)).toEqual({
      message: 'Login successful',
      account_id: owner.account_id,
      certification_key: owner.token,
    });
    expect((await client.auth.whoami.query()).account_id).toBe(owner.account_id);

    const robot_id = 'ü 1%';
    expect(await client.robots.register.mutate({ robot_id, robot_type: 'x' })).toEqual({
      message: 'Robot registered successfully',
      robot_id,
    });
    const renamed = await client.robots.update.mutate({ robot_id, robot_name: 'Ü' });
    expect(renamed).toEqual(await client.robots.get.query({ robot_id }));
    expect(await client.robots.list.query()).toEqual({ robots: [renamed], count: 1 });

    expect(await client.status.latest.query({ robot_id })).toEqual({
      message: 'No status available',
      status: null,
    });
    const status = { battery_level: '85', local_position: { x: 1, y: 2 } };
    expect(
      await client.status.push.mutate({ robot_id, status, timestamp: '2026-01-25T20:00:00+08:00' }),
    ).toEqual({
      message: 'Status updated successfully',
      timestamp: '2026-01-25T12:00:00.000Z',
      warnings: [{ field: 'battery_level', message: expect.any(String) }],
    });
    const samples = [{ status: { n: 2 }, timestamp: 1_769_342_401_000 }, 'nonsense'];
    expect(await client.status.pushBatch.mutate({ robot_id, samples })).toMatchObject({
      stored: 1,
      rejected: 1,
    });
    expect(await client.status.latest.query({ robot_id })).toEqual({
      robot_id,
      status: { n: 2 },
      timestamp: '2026-01-25T12:00:01.000Z',
      received_at: INSTANT,
    });
    const first = await client.status.history.query({ robot_id, limit: 1 });
    expect(first).toMatchObject({ count: 1, history: [{ status_json: '{"n":2}' }] });
    const second = await client.status.history.query({
      robot_id,
      limit: 1,
      cursor: first.next_cursor ?? '',
    });
    expect(second.history[0]?.status_json).toBe(JSON.stringify(status));
    expect(await client.status.trajectory.query({ robot_id, start: 1_769_342_400_000 })).toEqual({
      robot_id,
      count: 1,
      path: [{ x: 1, y: 2, lat: null, lng: null, timestamp: '2026-01-25T12:00:00.000Z' }],
    });
    expect(await client.logs.push.mutate({ robot_id, topic: 't', message: 'm' })).toEqual({
      status: 'logged',
    });
    const alert = { robot_id, alert_type: 't', severity: 'info', message: 'm' } as const;
    expect(await client.alerts.submit.mutate(alert)).toEqual({
      message: 'Alert received and stored',
      alert_id: expect.any(String),
      robot_id,
    });
    await client.robots.delete.mutate({ robot_id, confirm: robot_id });
    expect(await client.robots.list.query()).toEqual({ robots: [], count: 0 });
  });

  it.each<[string, (client: Client) => Promise<unknown>, object]>([
    [
      'an input that is wrong',
      (client) => client.robots.register.mutate({ robot_id: 'a/b', robot_type: 'x' }),
      {
        code: 'BAD_REQUEST',
        httpStatus: 400,
        reason: 'invalid_input',
        issues: [{ path: 'robot_id', message: expect.any(String) }],
      },
    ],
    [
      'an input that is not there',
      (client) => client.robots.get.query(undefined as never),
      { httpStatus: 400, reason: 'invalid_input' },
    ],
    [
      'a robot that is not there',
      (client) => client.robots.get.query({ robot_id: 'nobody' }),
      { code: 'NOT_FOUND', httpStatus: 404, reason: 'not_found', path: 'robots.get' },
    ],
    [
      'a range that ends before it starts',
      (client) =>
        client.status.trajectory.query({
          robot_id: 'errors',
          start: 1_769_342_400_001,
          end: 1_769_342_400_000,
        }),
      { httpStatus: 400, reason: 'invalid_input' },
    ],
    [
      'a status that is too deep',
      (client) => {
        let status = {};
        for (let level = 0; level < 600; level += 1) status = { a: status };
        return client.status.push.mutate({ robot_id: 'errors', status });
      },
      { httpStatus: 400, reason: 'invalid_input' },
    ],
    [
      'a procedure that is not there',
      (client) =>
        (client as never as { no: { such: Client['system']['version'] } }).no.such.query(),
      { code: 'NOT_FOUND', httpStatus: 404 },
    ],
    [
      'a password that is wrong',
      (client) => client.auth.login.mutate({ username: 'kairoio', password: 'wrong' }),
      { code: 'UNAUTHORIZED', httpStatus: 401, reason: 'unauthenticated' },
    ],
  ])('says what is wrong: %s', async (_name, call, data) => {
    await app().call('POST', '/api/v1/robots', { robot_id: 'errors', robot_type: 'x' });
    const error = await failureOf(call(connect(app(), app().admin.token)));
    expect(error.data).toMatchObject(data);
  });

  it('refuses strangers, and robots of others', async () => {
    await app().call('POST', '/api/v1/robots', { robot_id: 'mine', robot_type: 'x' });
    for (const token of [undefined, 'wrong']) {
      const error = await failureOf(connect(app(), token).robots.list.query());
      expect(error.message).toBe('Invalid certification key');
      expect(error.data).toMatchObject({ httpStatus: 401, reason: 'unauthenticated' });
    }
    const stranger = connect(app(), (await app().addAccount()).token);
    const error = await failureOf(stranger.robots.get.query({ robot_id: 'mine' }));
    expect(error.data).toMatchObject({ httpStatus: 403, reason: 'forbidden' });
    expect(error.message).toBe('Access denied');
  });

  it.each(['[', '{"0":', 'null', '"x"', ''])(
    'refuses the body %j without a stack',
    async (body) => {
      const response = await fetch(`${app().url}/trpc/robots.register`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${app().admin.token}`,
        },
        body,
      });
      const text = await response.text();
      expect(response.status).toBe(400);
      expect(JSON.parse(text)).toHaveProperty('error.data.httpStatus', 400);
      expect(text).not.toMatch(/stack|node_modules/);
    },
  );

  it('has no trouble with a client that does not batch', async () => {
    const client = createTRPCClient<AppRouter>({ links: [httpLink({ url: `${app().url}/trpc` })] });
    expect((await client.system.config.query()).name).toBe('Fleetwire');
  });
});

describeEachDatabase('live streams over tRPC', (kind) => {
  const app = useApp(kind);
  let robots = 0;

  async function addRobots(token: string) {
    const ids = [`live-${++robots}`, `live-${++robots}`] as const;
    for (const robot_id of ids) {
      await app().call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' }, token);
    }
    return ids;
  }
  const push = (token: string, robotId: string, n: number) =>
    app().call('POST', `/api/v1/robots/${robotId}/status`, { status: { n } }, token);

  it('show the status of each robot as it is, then as it changes, and of own robots alone', async () => {
    const [mine, other] = [await app().addAccount(), await app().addAccount()];
    const [[a, b], [foreign]] = [await addRobots(mine.token), await addRobots(other.token)];
    await push(mine.token, a, 1);
    await push(other.token, foreign, 1);
    const { seen } = watchStatus(connect(app(), mine.token));
    await until('the snapshot', () => seen.length === 1);
    expect(seen[0]).toEqual({
      robot_id: a,
      status: { n: 1 },
      timestamp: INSTANT,
      received_at: INSTANT,
      skipped: 0,
    });
    await push(other.token, foreign, 2);
    await push(mine.token, b, 2);
    await push(mine.token, a, 3);
    await until('the changes', () => seen.length === 3);
    expect(seen.slice(1)).toMatchObject([
      { robot_id: b, status: { n: 2 } },
      { robot_id: a, status: { n: 3 } },
    ]);
  });

  it('show only the robots that were asked for', async () => {
    const { token } = await app().addAccount();
    const [a, b] = await addRobots(token);
    for (const id of [a, b]) await push(token, id, 1);
    const client = connect(app(), token);
    const [status, presence] = [watchStatus(client, [b]), watchPresence(client, [b])];
    await until('both snapshots', () => status.seen.length === 1 && presence.seen.length === 1);
    await push(token, a, 2);
    await push(token, b, 2);
    await until('the change', () => status.seen.length === 2);
    expect(status.seen.map(({ robot_id }) => robot_id)).toEqual([b, b]);
    expect(presence.seen).toMatchObject([{ robot_id: b, presence: 'online' }]);
  });

  it('refuse to show a robot of another account, or one that is not there', async () => {
    const [a] = await addRobots((await app().addAccount()).token);
    const client = connect(app(), (await app().addAccount()).token);
    for (const [id, httpStatus] of [
      [a, 403],
      ['nobody', 404],
    ] as const) {
      for (const { seen, state } of [watchStatus(client, [id]), watchPresence(client, [id])]) {
        await until('the refusal', () => state.error !== undefined);
        expect(state.error).toMatchObject({ data: { httpStatus } });
        expect(seen).toEqual([]);
      }
    }
  });

  it('show a robot with its own key itself alone', async () => {
    const { token } = await app().addAccount();
    const [a, b] = await addRobots(token);
    for (const id of [a, b]) await push(token, id, 1);
    const { json } = await app().call('POST', '/api/v1/keys', { name: a, robot_id: a }, token);
    const client = connect(app(), json.data.key);
    const [status, presence] = [watchStatus(client), watchPresence(client)];
    await until('both snapshots', () => status.seen.length === 1 && presence.seen.length === 1);
    await push(token, b, 2);
    await push(token, a, 2);
    await until('the change', () => status.seen.length === 2);
    expect(status.seen.map(({ robot_id }) => robot_id)).toEqual([a, a]);
    expect(presence.seen).toMatchObject([{ robot_id: a }]);
  });

  it('show who is there, and who comes', async () => {
    const { token } = await app().addAccount();
    const [a, b] = await addRobots(token);
    await push(token, a, 1);
    const { seen } = watchPresence(connect(app(), token));
    await until('the snapshot', () => seen.length === 2);
    expect(seen).toEqual([
      { robot_id: a, presence: 'online', last_seen_at: INSTANT, skipped: 0 },
      { robot_id: b, presence: 'offline', last_seen_at: null, skipped: 0 },
    ]);
    await push(token, b, 1);
    await until('the change', () => seen.length === 3);
    expect(seen[2]).toMatchObject({ robot_id: b, presence: 'online' });
  });

  it('end soon after their key is revoked', async () => {
    const { token } = await app().addAccount();
    const [a] = await addRobots(token);
    await push(token, a, 1);
    const created = await app().call('POST', '/api/v1/keys', { name: 'viewer' }, token);
    const { id, key } = created.json.data;
    const client = connect(app(), key);
    const streams = [watchStatus(client), watchPresence(client)];
    await until('the snapshots', () => streams.every(({ seen }) => seen.length > 0));
    await app().call('DELETE', `/api/v1/keys/${id}`, undefined, token);
    for (const { state } of streams) {
      await until('the end', () => state.error !== undefined);
      expect(state.error).toMatchObject({
        data: { code: 'UNAUTHORIZED', reason: 'unauthenticated' },
      });
    }
    await until('the server to be rid of them', async () => {
      const metrics = await (await fetch(`${app().url}/metrics`)).text();
      return /^fleetwire_stream_subscribers 0$/m.test(metrics);
    });
  });

  it('refuse those without a key', async () => {
    for (const token of [undefined, 'wrong']) {
      const { state, seen } = watchStatus(connect(app(), token));
      await until('the refusal', () => state.error !== undefined);
      expect(state.error).toMatchObject({ data: { code: 'UNAUTHORIZED' } });
      expect(seen).toEqual([]);
    }
  });
});

describe.each(sqlite)('stopping on $dialect', (kind) => {
  it('ends streams with a notice, and does not wait for clients that come back at once', async () => {
    const app = await startApp(kind);
    await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    const streams = [1, 2, 3].map(() => watchPresence(connect(app, app.admin.token)));
    await until('the snapshots', () => streams.every(({ seen }) => seen.length === 1));
    const raw = new WebSocket(`${app.url.replace('http', 'ws')}/trpc`);
    await once(raw, 'open');
    const notices: string[] = [];
    raw.on('message', (data) => notices.push(String(data)));
    const startedMs = performance.now();
    await app.close();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(notices).toContainEqual(expect.stringContaining('"reconnect"'));
  });
});
