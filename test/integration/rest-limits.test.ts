import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  TRPCClientError,
  wsLink,
} from '@trpc/client';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { AppRouter } from '../../src/routers/index.js';
import { type Answer, startApp, type TestApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { expectFailure } from '../support/rest.js';

const sqlite = testDatabases.filter(({ dialect }) => dialect === 'sqlite');
const features = { rate_limiting_enabled: true };
const ROBOTS = '/api/v1/robots';

/** Repeats until the answer is 429; a window of a second may end in between, but not a hundred. */
async function untilLimited(ask: () => Promise<Answer>): Promise<Answer> {
  for (let round = 0; round < 200; round += 1) {
    const answer = await ask();
    if (answer.status === 429) return answer;
  }
  throw new Error('200 requests, and none was one too many');
}

function expectLimited(answer: Answer, limit: string, longestSeconds: number): void {
  expectFailure(answer, 429, new RegExp(`^Too many requests: limits\\.${limit} is \\d+$`));
  expect(answer.json).toMatchObject({ limit, code: 'rate_limited' });
  const retryAfter = answer.headers.get('retry-after') ?? '';
  expect(retryAfter).toMatch(/^\d+$/);
  expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
  expect(Number(retryAfter)).toBeLessThanOrEqual(longestSeconds);
}

describe.each(sqlite)('rate limits on $dialect', (kind) => {
  it('hold for each credential by itself', async () => {
    const limits = { requests_per_second: 3 };
    const app = await startApp(kind, { config: { features, limits } });
    const other = await app.addAccount();
    const limited = await untilLimited(() => app.call('GET', ROBOTS));
    expectLimited(limited, 'requests_per_second', 1);
    expect((await app.call('GET', ROBOTS, undefined, other.token)).status).toBe(200);
  });

  it('hold for each address, whoever calls from it and whatever for', async () => {
    const limits = { requests_per_second_per_ip: 3 };
    const app = await startApp(kind, { config: { features, limits } });
    for (const path of ['/version', '/health', '/nowhere', '/docs', '/openapi.json', ROBOTS]) {
      const limited = await untilLimited(() => app.call('GET', path, undefined, null));
      expectLimited(limited, 'requests_per_second_per_ip', 1);
      expect(limited.headers.get('access-control-allow-origin')).toBe('*');
    }
    const flood = await untilLimited(() => app.call('POST', '/nowhere', '{', null));
    expectLimited(flood, 'requests_per_second_per_ip', 1);
  });

  it('hold for logins, tighter than for anything else, over every door', async () => {
    const limits = { logins_per_minute: 4 };
    const app = await startApp(kind, { config: { features, limits } });
    const wrong = { username: 'kairoio', password: 'guess' };
    const login = () => app.call('POST', '/api/v1/auth/login', wrong, null);
    const trpc = (name: string) => app.call('POST', `/trpc/${name}`, wrong, null);
    expect((await login()).status).toBe(401);
    expect((await trpc('auth.login')).status).toBe(401);
    const ws = openSocket(app);
    await expect(ws.trpc.auth.login.mutate(wrong)).rejects.toMatchObject({
      data: { httpStatus: 401 },
    });
    expect((await app.call('POST', '/compat/kairoio/api/v1/auth/login', wrong, null)).status).toBe(
      401,
    );

    expectLimited(await login(), 'logins_per_minute', 60);
    const refused = await trpc('auth.login');
    expect(refused.status).toBe(429);
    expect(refused.json.error.data).toMatchObject({ limit: 'logins_per_minute' });
    await expect(ws.trpc.auth.login.mutate(wrong)).rejects.toMatchObject({
      data: { httpStatus: 429, limit: 'logins_per_minute' },
    });
    const register = { email: 'a@b.co', password: 'long enough', code: '000000' };
    expect((await app.call('POST', '/api/v1/auth/register', register, null)).status).toBe(429);
    // A right password does not get through either; everything else does.
    const right = { username: 'kairoio', password: 'kairoio' };
    expect((await app.call('POST', '/api/v1/auth/login', right, null)).status).toBe(429);
    expect((await app.call('GET', ROBOTS)).status).toBe(200);
    await ws.close();
  });

  it('count every tRPC call, over HTTP, in a batch, and over a socket', async () => {
    const limits = { requests_per_second: 3 };
    const app = await startApp(kind, { config: { features, limits } });
    const single = await untilLimited(() => app.call('GET', '/trpc/robots.list'));
    expect(single.json.error.data).toMatchObject({
      httpStatus: 429,
      reason: 'rate_limited',
      limit: 'requests_per_second',
    });
    expect(single.headers.get('retry-after')).toBe('1');

    const { token } = await app.addAccount();
    const http = createTRPCClient<AppRouter>({
      links: [
        httpBatchLink({ url: `${app.url}/trpc`, headers: { authorization: `Bearer ${token}` } }),
      ],
    });
    const batch = await Promise.allSettled(
      Array.from({ length: 8 }, () => http.robots.list.query()),
    );
    const refused = batch.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(8);

    const ws = openSocket(app, (await app.addAccount()).token);
    // Those within the limit get through, though all come at the same moment.
    const calls = await Promise.allSettled(
      Array.from({ length: 20 }, () => ws.trpc.robots.list.query()),
    );
    const codes = calls.map((call) =>
      call.status === 'rejected' && call.reason instanceof TRPCClientError
        ? call.reason.data.code
        : 'OK',
    );
    expect(new Set(codes)).toEqual(new Set(['OK', 'TOO_MANY_REQUESTS']));
    expect(codes.filter((code) => code === 'OK').length).toBeGreaterThanOrEqual(3);
    await ws.close();
  });

  it('are all off when they are switched off', async () => {
    const limits = { requests_per_second: 1, requests_per_second_per_ip: 1, logins_per_minute: 1 };
    const app = await startApp(kind, { config: { limits } });
    for (let round = 0; round < 5; round += 1) {
      expect((await app.call('GET', ROBOTS)).status).toBe(200);
      expect((await app.call('GET', '/trpc/robots.list')).status).toBe(200);
      expect((await app.call('GET', '/nowhere')).status).toBe(404);
      const wrong = { username: 'kairoio', password: 'guess' };
      expect((await app.call('POST', '/api/v1/auth/login', wrong, null)).status).toBe(401);
    }
  });
});

describe.each(sqlite)('clients that take their time on $dialect', (kind) => {
  const server = { read_timeout: 300, idle_timeout: 300, write_timeout: 15_000 };

  it.each([
    ['its headers', (token: string) => `GET ${ROBOTS} HTTP/1.1\r\nauthorization: Bearer ${token}`],
    [
      'its body',
      (token: string) =>
        `POST ${ROBOTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-length: 1000\r\n\r\n{`,
    ],
  ])('are cut when one does not finish %s', async (_name, start) => {
    const app = await startApp(kind, { config: { server } });
    const { socket, received } = await open(app);
    socket.write(start(app.admin.token));
    const drip = setInterval(() => socket.write(' '), 50);
    await once(socket, 'close');
    clearInterval(drip);
    expect(received()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(JSON.parse(received().split('\r\n\r\n')[1] ?? '')).toEqual({
      success: false,
      error: 'The request did not arrive in time; see server.read_timeout',
      code: 'timeout',
    });
    expect((await app.call('GET', ROBOTS)).status).toBe(200);
  });

  it('are let go when one keeps its connection for nothing', async () => {
    const app = await startApp(kind, { config: { server } });
    const { socket, received } = await open(app);
    const startedMs = performance.now();
    socket.write('GET /version HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'close');
    expect(received()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*keep-alive/i);
    // Node's own default is five seconds, Fastify's over a minute.
    expect(performance.now() - startedMs).toBeLessThan(4_500);
  });

  it('are cut when one asks for much and reads nothing', async () => {
    const app = await startApp(kind, { config: { server: { write_timeout: 500 } } });
    await app.call('POST', ROBOTS, { robot_id: 'r1', robot_type: 'x' });
    const blob = 'x'.repeat(100_000);
    for (let batch = 0; batch < 20; batch += 1) {
      const samples = Array.from({ length: 10 }, (_, n) => ({
        timestamp: 1_769_342_400_000 + batch * 10 + n,
        status: { blob },
      }));
      await app.call('POST', `${ROBOTS}/r1/status/batch`, { samples });
    }
    const served = once(app.app.server.server, 'connection');
    const { socket } = await open(app);
    socket.pause();
    socket.write(
      `GET ${ROBOTS}/r1/history?start=1769342400000&end=1769342500000 HTTP/1.1\r\n` +
        `host: x\r\nauthorization: Bearer ${app.admin.token}\r\n\r\n`,
    );
    const [theirs] = (await served) as [Socket];
    await once(theirs, 'close');
    expect(theirs.bytesWritten).toBeGreaterThan(0);
    expect(theirs.bytesWritten).toBeLessThan(20_000_000);
    socket.destroy();
  });
});

function openSocket(app: TestApp, token?: string) {
  const client = createWSClient({
    url: `${app.url.replace('http', 'ws')}/trpc`,
    WebSocket: WebSocket as never,
    connectionParams: token === undefined ? {} : { token },
  });
  const trpc = createTRPCClient<AppRouter>({ links: [wsLink({ client })] });
  return { trpc, close: () => client.close() };
}

async function open(app: TestApp) {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
  });
  return { socket, received: () => text };
}
