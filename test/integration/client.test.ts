import type { Socket } from 'node:net';
import { initTRPC } from '@trpc/server';
import Fastify from 'fastify';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import {
  createFleetClient,
  type FleetClientOptions,
  TRPCClientError,
} from '../../src/client/index.js';
import { backOffMs, endpoints } from '../../src/client/urls.js';
import { mountTrpcHttp } from '../../src/http/trpc-http.js';
import { type ContextSource, mountTrpcWs } from '../../src/http/trpc-ws.js';
import { createUpgrades } from '../../src/http/upgrades.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { createMemoryHub, type EventHub } from '../../src/realtime/hub.js';
import { latest } from '../../src/realtime/live.js';

interface Status {
  robot_id: string;
  n: number;
}

const t = initTRPC.context<ContextSource & { hub: EventHub }>().create({ isDev: false });

/** Some procedures of the product under their names, answering how they were called. */
const router = t.router({
  auth: t.router({
    whoami: t.procedure.query(({ ctx }) => ctx.req.headers.authorization ?? 'nobody'),
  }),
  robots: t.router({
    list: t.procedure.query(({ ctx }) => ctx.req.url),
  }),
  status: t.router({
    live: t.procedure.subscription(({ ctx, signal }) =>
      latest<Status & { token: string | undefined }>({
        hub: ctx.hub,
        topics: ['status'],
        snapshot: () => [status(0, ctx.connectionParams?.token)],
        socket: ctx.socket,
        capBytes: 1_048_576,
        signal,
      }),
    ),
  }),
});

function status(n: number, token?: string) {
  return new StreamEvent({ payload: { robot_id: 'r1', n, token }, key: 'r1', version: n });
}

const cleanUps: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start() {
  const hub = createMemoryHub();
  const app = Fastify({ routerOptions: { maxParamLength: 5_000 } });
  const requests: string[] = [];
  const sockets: Socket[] = [];
  app.addHook('onRequest', async (req) => void requests.push(req.url));
  app.server.on('connection', (socket) => sockets.push(socket));
  const door = {
    router,
    log: pino({ level: 'silent' }),
    createContext: (source: ContextSource) => ({ ...source, hub }),
  };
  mountTrpcHttp(app, door);
  const ws = mountTrpcWs(app, { ...door, upgrades: createUpgrades(app) });
  await app.listen({ port: 0, host: '127.0.0.1' });
  cleanUps.push(() => app.close());
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = `http://127.0.0.1:${address.port}`;
  return { hub, ws, url, requests, sockets };
}

function clientOf(options: FleetClientOptions) {
  const client = createFleetClient(options);
  cleanUps.push(() => client.close());
  return client;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('createFleetClient', () => {
  it('sends the calls of one tick as one request with the token', async () => {
    const { url, requests } = await start();
    const client = clientOf({ url, token: 'key-1' });
    const [who, list] = await Promise.all([client.auth.whoami.query(), client.robots.list.query()]);
    expect(who).toBe('Bearer key-1');
    expect(list).toContain('/trpc/auth.whoami,robots.list');
    expect(requests).toHaveLength(1);
  });

  it('asks a token function at every request, and sends no header without a token', async () => {
    const { url } = await start();
    let asked = 0;
    const client = clientOf({
      url,
      token: async () => {
        asked += 1;
        return `key-${asked}`;
      },
    });
    expect(await client.auth.whoami.query()).toBe('Bearer key-1');
    expect(await client.auth.whoami.query()).toBe('Bearer key-2');
    expect(await clientOf({ url }).auth.whoami.query()).toBe('nobody');
  });

  it('splits a batch before its URL is too long for the server', async () => {
    const { url, requests } = await start();
    const client = clientOf({ url });
    const padding = 'x'.repeat(1_500);
    await Promise.all(
      Array.from({ length: 9 }, () => client.robots.list.query({ padding } as never)),
    );
    expect(requests.length).toBeGreaterThan(1);
    for (const request of requests) expect(request.length).toBeLessThan(4_100);
  });

  it('opens no socket before the first subscription and gives it the token', async () => {
    const { url, ws, hub } = await start();
    const client = clientOf({ url, token: 'key-1' });
    await client.auth.whoami.query();
    expect(ws.socketCount()).toBe(0);
    const received: unknown[] = [];
    const subscription = client.status.live.subscribe(
      {},
      { onData: (event) => received.push(event) },
    );
    await until(() => received.length === 1);
    expect(received).toEqual([{ robot_id: 'r1', n: 0, token: 'key-1', skipped: 0 }]);
    hub.publish('status', status(1));
    await until(() => received.length === 2);
    expect(received[1]).toEqual({ robot_id: 'r1', n: 1, skipped: 0 });
    subscription.unsubscribe();
    await until(() => hub.subscriberCount() === 0);
  });

  it('comes back by itself when the connection is lost, and asks for the token anew', async () => {
    const { url, sockets } = await start();
    let asked = 0;
    const client = clientOf({
      url,
      token: () => {
        asked += 1;
        return `key-${asked}`;
      },
    });
    const tokens: unknown[] = [];
    const errors: unknown[] = [];
    client.status.live.subscribe(
      {},
      {
        onData: (event) => tokens.push('token' in event && event.token),
        onError: (error) => errors.push(error),
      },
    );
    await until(() => tokens.length === 1);
    sockets.at(-1)?.destroy();
    await until(() => tokens.length === 2);
    expect(tokens).toEqual(['key-1', 'key-2']);
    expect(errors).toEqual([]);
  });

  it('uses the WebSocket class that it is given', async () => {
    const { url } = await start();
    const opened: string[] = [];
    class Recorded extends WebSocket {
      constructor(address: string) {
        super(address);
        opened.push(address);
      }
    }
    const client = clientOf({ url: `${url}/`, WebSocket: Recorded });
    const received: unknown[] = [];
    client.status.live.subscribe({}, { onData: (event) => received.push(event) });
    await until(() => received.length === 1);
    expect(opened).toEqual([`${url.replace('http', 'ws')}/trpc?connectionParams=1`]);
  });

  it('closes: subscriptions complete, the socket goes, new subscriptions are refused', async () => {
    const { url, ws } = await start();
    const client = clientOf({ url });
    const completed = new Promise<void>((resolve) => {
      client.status.live.subscribe({}, { onData: () => void client.close(), onComplete: resolve });
    });
    await completed;
    await until(() => ws.socketCount() === 0);
    const error = await new Promise((resolve) => {
      client.status.live.subscribe({}, { onError: resolve });
    });
    expect(error).toBeInstanceOf(TRPCClientError);
    expect(String(error)).toContain('closed');
  });

  it('never opens a socket when it is closed at once', async () => {
    const { url, ws } = await start();
    const client = clientOf({ url });
    const refused = new Promise((resolve) => {
      client.status.live.subscribe({}, { onError: resolve });
    });
    await client.close();
    expect(String(await refused)).toContain('closed');
    expect(ws.socketCount()).toBe(0);
  });
});

describe('addresses', () => {
  it.each([
    ['http://localhost:8080', 'http://localhost:8080/trpc', 'ws://localhost:8080/trpc'],
    ['http://localhost:8080/', 'http://localhost:8080/trpc', 'ws://localhost:8080/trpc'],
    ['https://fleet.example.com', 'https://fleet.example.com/trpc', 'wss://fleet.example.com/trpc'],
    [
      'https://example.com/fleet//?a=1#b',
      'https://example.com/fleet/trpc',
      'wss://example.com/fleet/trpc',
    ],
    ['http://[::1]:8080', 'http://[::1]:8080/trpc', 'ws://[::1]:8080/trpc'],
  ])('%s', (url, http, ws) => {
    expect(endpoints(url)).toEqual({ http, ws });
  });

  it.each(['localhost:8080', '', '/fleet', 'ftp://example.com'])(
    'refuses "%s" and says what would be right',
    (url) => {
      expect(() => createFleetClient({ url })).toThrow(
        'url must be the http or https address of a server',
      );
    },
  );
});

describe('back-off', () => {
  it('doubles up to half a minute and is spread', () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 7, 50].map((attempt) => backOffMs(attempt, () => 1));
    expect(longest).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    expect(backOffMs(3, () => 0)).toBe(2_000);
  });
});
