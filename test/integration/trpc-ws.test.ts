import { once } from 'node:events';
import type { Socket } from 'node:net';
import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  TRPCClientError,
  wsLink,
} from '@trpc/client';
import { initTRPC } from '@trpc/server';
import Fastify, { type FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { mountTrpcHttp } from '../../src/http/trpc-http.js';
import { type ContextSource, mountTrpcWs, type TrpcWsLimits } from '../../src/http/trpc-ws.js';
import { createUpgrades } from '../../src/http/upgrades.js';
import { type Clock, systemClock } from '../../src/lib/clock.js';
import { DomainError } from '../../src/lib/errors.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { createMemoryHub, type EventHub } from '../../src/realtime/hub.js';
import { latest } from '../../src/realtime/live.js';
import { createStoppedClock } from '../support/identity.js';

const CAP_BYTES = 256 * 1_024;
const log = pino({ level: 'silent' });

interface Pose {
  robot_id: string;
  n: number;
  padding: string;
}

interface Context extends ContextSource {
  hub: EventHub;
  /** Tokens that are valid now. */
  valid: Set<string>;
  /** Answers of `slow` wait for these. */
  slow: (() => void)[];
  stallMs: number;
}

const t = initTRPC.context<Context>().create({
  isDev: false,
  errorFormatter: ({ shape, error }) => ({
    ...shape,
    data: {
      ...shape.data,
      limit: error.cause instanceof DomainError ? error.cause.details.limit : undefined,
    },
  }),
});

const router = t.router({
  whoami: t.procedure.query(({ ctx }) => {
    const token =
      ctx.connectionParams?.token ?? ctx.req.headers.authorization?.replace('Bearer ', '');
    if (!token || !ctx.valid.has(token))
      throw new DomainError('unauthenticated', 'No valid credential');
    return token;
  }),
  echo: t.procedure.input(z.object({ text: z.string() })).query(({ input }) => input.text),
  slow: t.procedure.mutation(
    ({ ctx }) => new Promise<string>((resolve) => ctx.slow.push(() => resolve('done'))),
  ),
  crash: t.procedure.query(() => {
    throw new Error('secret detail');
  }),
  poses: t.procedure.subscription(({ ctx, signal }) =>
    latest<Pose>({
      hub: ctx.hub,
      topics: ['poses'],
      snapshot: () => [],
      socket: ctx.socket,
      capBytes: CAP_BYTES,
      stallMs: ctx.stallMs,
      signal,
    }),
  ),
});

function pose(n: number, robotId = 'r1', paddingBytes = 0): StreamEvent<Pose> {
  return new StreamEvent({
    payload: { robot_id: robotId, n, padding: 'x'.repeat(paddingBytes) },
    key: robotId,
    version: n,
  });
}

const cleanUps: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function start({
  limits = {},
  stallMs = 30_000,
  clock = systemClock,
  nativeFrames = true,
}: {
  nativeFrames?: boolean;
  limits?: Partial<TrpcWsLimits>;
  stallMs?: number;
  clock?: Clock;
} = {}) {
  const hub = createMemoryHub();
  const valid = new Set(['good']);
  const slow: (() => void)[] = [];
  const sockets: Socket[] = [];
  const app = Fastify({ routerOptions: { maxParamLength: 5_000 }, bodyLimit: 10_000 });
  app.server.on('connection', (socket) => sockets.push(socket));
  const door = {
    router,
    log,
    createContext: (source: ContextSource): Context => ({ ...source, hub, valid, slow, stallMs }),
  };
  mountTrpcHttp(app, door);
  const ws = mountTrpcWs(app, {
    ...{ ...door, limits, clock, nativeFrames },
    upgrades: createUpgrades(app),
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  cleanUps.push(() => app.close());
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { app, ws, hub, valid, slow, sockets, port: address.port };
}

function connectClient(port: number, token?: string) {
  const states: string[] = [];
  const opened: WebSocket[] = [];
  class Recorded extends WebSocket {
    constructor(url: string) {
      super(url);
      opened.push(this);
    }
  }
  const wsClient = createWSClient({
    url: `ws://127.0.0.1:${port}/trpc`,
    WebSocket: Recorded as unknown as typeof globalThis.WebSocket,
    retryDelayMs: () => 10,
    ...(token && { connectionParams: { token } }),
  });
  wsClient.connectionState.subscribe({ next: ({ state }) => states.push(state) });
  cleanUps.push(() => wsClient.close());
  return {
    client: createTRPCClient<typeof router>({ links: [wsLink({ client: wsClient })] }),
    wsClient,
    states,
    opened,
  };
}

/** What a subscription delivers, to be awaited one by one. */
function collect<T>() {
  const values: T[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const settle = () => {
    for (const each of waiting) if (values.length >= each.count) each.resolve();
  };
  return {
    values,
    add(value: T) {
      values.push(value);
      settle();
    },
    reach: (count: number) =>
      new Promise<void>((resolve) => {
        waiting.push({ count, resolve });
        settle();
      }),
  };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** A plain socket that speaks the wire format by hand. */
async function rawSocket(port: number, query = '') {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/trpc${query}`);
  const messages: unknown[] = [];
  socket.on('message', (data) => void messages.push(JSON.parse(String(data))));
  await once(socket, 'open');
  cleanUps.push(() => socket.terminate());
  return { socket, messages, send: (message: unknown) => socket.send(JSON.stringify(message)) };
}

async function refusal(
  port: number,
): Promise<{ status: number; body: string; retryAfter: string | undefined }> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/trpc`);
  const [, response] = await once(socket, 'unexpected-response');
  let body = '';
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, body, retryAfter: response.headers['retry-after'] };
}

describe('calls over a WebSocket', () => {
  it('takes the credential from connectionParams', async () => {
    const { port } = await start();
    const { client } = connectClient(port, 'good');
    expect(await client.whoami.query()).toBe('good');
  });

  it('takes the credential from the Authorization header', async () => {
    const { port } = await start();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/trpc`, {
      headers: { authorization: 'Bearer good' },
    });
    cleanUps.push(() => socket.terminate());
    await once(socket, 'open');
    socket.send('{"id":1,"method":"query","params":{"path":"whoami"}}');
    const [data] = await once(socket, 'message');
    expect(JSON.parse(String(data))).toEqual({ id: 1, result: { type: 'data', data: 'good' } });
  });

  it('refuses the next call on a live socket once the credential has expired', async () => {
    const { port, valid } = await start();
    const { client, opened } = connectClient(port, 'good');
    expect(await client.whoami.query()).toBe('good');
    valid.delete('good');
    await expect(client.whoami.query()).rejects.toThrow('No valid credential');
    expect(opened).toHaveLength(1);
  });

  it('reads messages that arrive together with the upgrade', async () => {
    const { port } = await start();
    const socket = new WebSocket(`ws://127.0.0.1:${port}/trpc?connectionParams=1`);
    cleanUps.push(() => socket.terminate());
    socket.on('open', () => {
      socket.send('{"method":"connectionParams","data":{"token":"good"}}');
      socket.send('{"id":1,"method":"query","params":{"path":"whoami"}}');
    });
    const [data] = await once(socket, 'message');
    expect(JSON.parse(String(data))).toMatchObject({ id: 1, result: { data: 'good' } });
  });

  it('sends no stack trace', async () => {
    const { port } = await start();
    const { client } = connectClient(port, 'good');
    const error = await client.crash.query().catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(TRPCClientError);
    expect(JSON.stringify((error as TRPCClientError<typeof router>).shape)).not.toContain('stack');
  });

  it('refuses upgrades of any other path and hangs up', async () => {
    const { port, sockets, app } = await start();
    for (const path of ['/', '/trpc/whoami', '/trpcx']) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
      const [, response] = await once(socket, 'unexpected-response');
      expect(response.statusCode).toBe(404);
      await until(() => sockets.at(-1)?.destroyed === true);
    }
    const injected = await app.injectWS('/trpc');
    injected.send('{"id":1,"method":"query","params":{"path":"echo","input":{"text":"a"}}}');
    const [data] = await once(injected, 'message');
    expect(JSON.parse(String(data))).toMatchObject({ id: 1, result: { data: 'a' } });
    injected.terminate();
  });

  it('answers a plain GET with 426', async () => {
    const { port } = await start();
    const response = await fetch(`http://127.0.0.1:${port}/trpc`);
    expect(response.status).toBe(426);
    expect(response.headers.get('upgrade')).toBe('websocket');
  });
});

describe('limits of a WebSocket', () => {
  it('refuses one socket too many from an address, and takes it when another has gone', async () => {
    const { port, ws } = await start({ limits: { socketsPerIp: 1 } });
    const first = await rawSocket(port);
    const refused = await refusal(port);
    expect(refused).toMatchObject({ status: 429, retryAfter: '1' });
    expect(JSON.parse(refused.body)).toMatchObject({
      error: { data: { limit: 'sockets_per_ip' } },
    });
    first.socket.close();
    await until(() => ws.socketCount() === 0);
    await rawSocket(port);
    expect(ws.socketCount()).toBe(1);
  });

  it('refuses one subscription too many by name, and takes it when another has stopped', async () => {
    const { port, hub } = await start({ limits: { subscriptionsPerSocket: 2 } });
    const { send, messages } = await rawSocket(port);
    for (const id of [1, 2, 3]) send({ id, method: 'subscription', params: { path: 'poses' } });
    await until(() => messages.length === 3 && hub.subscriberCount() === 2);
    expect(messages).toContainEqual(
      expect.objectContaining({
        id: 3,
        error: expect.objectContaining({
          data: expect.objectContaining({
            code: 'TOO_MANY_REQUESTS',
            limit: 'subscriptions_per_socket',
          }),
        }),
      }),
    );
    send({ id: 1, method: 'subscription.stop' });
    await until(() => messages.length === 4);
    expect(messages.at(-1)).toEqual({ id: 1, result: { type: 'stopped' } });
    send({ id: 4, method: 'subscription', params: { path: 'poses' } });
    await until(() => messages.length === 5);
    expect(messages.at(-1)).toEqual({ id: 4, result: { type: 'started' } });
  });

  it('cannot be talked out of the count: an id in flight is taken', async () => {
    const { port, hub } = await start({ limits: { subscriptionsPerSocket: 1 } });
    const { send, messages } = await rawSocket(port);
    send({ id: 1, method: 'subscription', params: { path: 'poses' } });
    await until(() => hub.subscriberCount() === 1);
    send({ id: 1, method: 'query', params: { path: 'crash' } });
    send({ id: 1, method: 'subscription', params: { path: 'poses' } });
    send({ id: 2, method: 'subscription', params: { path: 'poses' } });
    await until(() => messages.length === 4);
    expect(messages.slice(1)).toEqual([
      expect.objectContaining({
        id: 1,
        error: expect.objectContaining({ message: expect.stringContaining('in flight') }),
      }),
      expect.objectContaining({
        id: 1,
        error: expect.objectContaining({ message: expect.stringContaining('in flight') }),
      }),
      expect.objectContaining({ id: 2, error: expect.anything() }),
    ]);
    expect(hub.subscriberCount()).toBe(1);
  });

  it('refuses calls above the rate by name and goes on afterwards', async () => {
    const { port } = await start({ limits: { callsPerSecond: 20 } });
    const { send, messages } = await rawSocket(port);
    const call = (id: number) => ({
      id,
      method: 'query',
      params: { path: 'echo', input: { text: 'a' } },
    });
    send(Array.from({ length: 60 }, (_, id) => call(id)));
    await until(() => messages.length === 60);
    const refused = messages.filter((message) => 'error' in (message as object));
    expect(refused.length).toBeGreaterThanOrEqual(35);
    expect(refused.length).toBeLessThanOrEqual(40);
    expect(refused[0]).toMatchObject({ error: { data: { limit: 'calls_per_second_per_socket' } } });
    for (let id = 100; ; id += 1) {
      const before = messages.length;
      send(call(id));
      await until(() => messages.length > before);
      if ('result' in (messages.at(-1) as object)) break;
    }
  });

  it('refuses a batch above its limit call by call', async () => {
    const { port } = await start({ limits: { batchLimitCalls: 2 } });
    const { send, messages } = await rawSocket(port);
    send(
      [1, 2, 3].map((id) => ({
        id,
        method: 'query',
        params: { path: 'echo', input: { text: 'a' } },
      })),
    );
    await until(() => messages.length === 3);
    for (const [index, message] of messages.entries()) {
      expect(message).toMatchObject({
        id: index + 1,
        error: { data: { limit: 'calls_per_batch' } },
      });
    }
  });

  it('closes a socket that sends more than the payload limit', async () => {
    const { port, ws } = await start({ limits: { payloadLimitBytes: 1_000 } });
    const { socket } = await rawSocket(port);
    socket.on('error', () => {});
    socket.send('x'.repeat(2_000));
    await once(socket, 'close');
    await until(() => ws.socketCount() === 0);
  });

  it('survives what is not a call', async () => {
    const { port } = await start();
    const { socket, send, messages } = await rawSocket(port);
    for (const junk of [
      'not json',
      '[]',
      'null',
      '7',
      '{"id":{}}',
      '{"id":null,"method":"query"}',
      '{"id":9,"method":"x"}',
    ]) {
      socket.send(junk);
    }
    socket.send(Buffer.from([0, 1, 2]));
    send({ id: 10, method: 'query', params: { path: 'echo', input: { text: 'still here' } } });
    await until(() => messages.some((message) => (message as { id?: unknown }).id === 10));
    expect(messages.at(-1)).toEqual({ id: 10, result: { type: 'data', data: 'still here' } });
  });

  it('reads no further calls of a client that does not read its answers', async () => {
    const { port, sockets } = await start({
      limits: { bufferBytes: CAP_BYTES, callsPerSecond: 1_000_000 },
    });
    const { socket, messages } = await rawSocket(port);
    const server = sockets.at(-1);
    if (!server) throw new Error('no connection');
    socket.pause();
    const text = 'x'.repeat(100_000);
    let peakBytes = 0;
    for (let id = 0; id < 300; id += 1) {
      socket.send(
        JSON.stringify({ id, method: 'query', params: { path: 'echo', input: { text } } }),
      );
      await new Promise((resolve) => setImmediate(resolve));
      peakBytes = Math.max(peakBytes, server.writableLength);
    }
    // Without the pause all 30 MB but the kernel's share would be queued.
    expect(peakBytes).toBeGreaterThan(CAP_BYTES);
    expect(peakBytes).toBeLessThan(CAP_BYTES + 4 * 100_000);
    socket.resume();
    await until(() => messages.length === 300);
  });
});

describe.each([true, false])(
  'subscriptions over a WebSocket, native frames: %s',
  (nativeFrames) => {
    it('delivers, and leaves no subscriber behind after unsubscribing or losing the socket', async () => {
      const { port, hub } = await start({ nativeFrames });
      const { client, wsClient } = connectClient(port, 'good');
      const first = collect<Pose & { skipped: number }>();
      const subscription = client.poses.subscribe(undefined, { onData: first.add });
      await until(() => hub.subscriberCount() === 1);
      hub.publish('poses', pose(1));
      await first.reach(1);
      expect(first.values).toEqual([{ robot_id: 'r1', n: 1, padding: '', skipped: 0 }]);
      subscription.unsubscribe();
      await until(() => hub.subscriberCount() === 0);
      client.poses.subscribe(undefined, { onData: () => {} });
      await until(() => hub.subscriberCount() === 1);
      await wsClient.close();
      await until(() => hub.subscriberCount() === 0);
    });

    it('holds at most the cap and one event for a stalled reader, who then gets the newest and how many it missed', async () => {
      const { port, hub, sockets } = await start({ nativeFrames });
      const { client, opened } = connectClient(port, 'good');
      const received = collect<Pose & { skipped: number }>();
      client.poses.subscribe(undefined, { onData: received.add });
      await until(() => hub.subscriberCount() === 1);
      const server = sockets.at(-1);
      if (!server) throw new Error('no connection');
      const eventBytes = 20_000;
      let n = 0;
      const publish = async () => {
        n += 1;
        hub.publish('poses', pose(n, 'r1', eventBytes));
        await new Promise((resolve) => setImmediate(resolve));
        return server.writableLength;
      };
      await publish();
      await received.reach(1);
      opened[0]?.pause();
      let peakBytes = 0;
      while (peakBytes <= CAP_BYTES) peakBytes = Math.max(peakBytes, await publish());
      for (let more = 0; more < 1_000; more += 1) peakBytes = Math.max(peakBytes, await publish());
      expect(peakBytes).toBeLessThan(CAP_BYTES + 2 * eventBytes);
      opened[0]?.resume();
      await until(() => received.values.at(-1)?.n === n);
      const delivered = received.values.length;
      const skipped = received.values.reduce((sum, value) => sum + value.skipped, 0);
      expect(skipped).toBeGreaterThanOrEqual(990);
      expect(delivered + skipped).toBe(n);
      const numbers = received.values.map((value) => value.n);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
    });

    it('cuts off a reader that stays stalled; the client comes back by itself', async () => {
      const { port, hub } = await start({ stallMs: 300, nativeFrames });
      const { client, opened } = connectClient(port, 'good');
      const received = collect<Pose & { skipped: number }>();
      client.poses.subscribe(undefined, { onData: received.add });
      await until(() => hub.subscriberCount() === 1);
      opened[0]?.pause();
      let n = 0;
      const publishing = setInterval(() => {
        n += 1;
        hub.publish('poses', pose(n, 'r1', 500_000));
      }, 1);
      cleanUps.push(() => clearInterval(publishing));
      await until(() => hub.subscriberCount() === 0);
      opened[0]?.resume();
      await until(() => opened.length === 2);
      await until(() => hub.subscriberCount() === 1);
      const before = n;
      await until(() => (received.values.at(-1)?.n ?? 0) > before);
    });

    it('tells a stalled reader why before it is cut off, and gives it 5 s to take that', async () => {
      const clock = createStoppedClock();
      const { port, hub, sockets } = await start({ stallMs: 100, clock, nativeFrames });
      for (const takesIt of [true, false]) {
        const { socket, send } = await rawSocket(port);
        const closed = once(socket, 'close');
        send({ id: 1, method: 'subscription', params: { path: 'poses' } });
        await until(() => hub.subscriberCount() === 1);
        socket.pause();
        let n = 0;
        while (hub.subscriberCount() === 1) {
          n += 1;
          hub.publish('poses', pose(n, 'r1', 500_000));
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(sockets.at(-1)?.destroyed).toBe(false);
        if (!takesIt) clock.advance(5_000);
        socket.resume();
        const [code, reason] = await closed;
        const told = [code, String(reason)];
        const why = 'The reader took nothing for 100 ms; connect again to go on';
        expect(told).toEqual(takesIt ? [1_013, why] : [1_006, '']);
      }
    });

    it('comes back with its subscriptions when the server drops the socket', async () => {
      const { port, hub, sockets } = await start({ nativeFrames });
      const { client } = connectClient(port, 'good');
      const received = collect<Pose & { skipped: number }>();
      client.poses.subscribe(undefined, { onData: received.add });
      await until(() => hub.subscriberCount() === 1);
      sockets.at(-1)?.destroy();
      await until(() => hub.subscriberCount() === 0);
      await until(() => hub.subscriberCount() === 1);
      hub.publish('poses', pose(1));
      await received.reach(1);
    });
  },
);

describe('shutting down', () => {
  it('sends the reconnect notice, answers what is in flight, and closes', async () => {
    const { port, ws, slow, hub } = await start();
    const { socket, send, messages } = await rawSocket(port);
    const closed = once(socket, 'close');
    send({ id: 1, method: 'subscription', params: { path: 'poses' } });
    send({ id: 2, method: 'mutation', params: { path: 'slow' } });
    await until(() => slow.length === 1 && hub.subscriberCount() === 1);
    const closing = ws.closeAll();
    await until(() => messages.length === 2);
    expect(messages[1]).toEqual({ id: null, method: 'reconnect' });
    send({ id: 3, method: 'query', params: { path: 'echo', input: { text: 'late' } } });
    await until(() => messages.length === 3);
    expect(messages[2]).toMatchObject({ id: 3, error: { data: { code: 'SERVICE_UNAVAILABLE' } } });
    expect((await refusal(port)).status).toBe(503);
    slow[0]?.();
    await closing;
    const [code] = await closed;
    expect(code).toBe(1_012);
    expect(messages).toContainEqual({ id: 2, result: { type: 'data', data: 'done' } });
    expect(hub.subscriberCount()).toBe(0);
    expect(ws.socketCount()).toBe(0);
  });

  it('does not wait for a call that never ends or a client that does not read', async () => {
    const { app, port, slow } = await start();
    const { socket, send } = await rawSocket(port);
    send({ id: 1, method: 'mutation', params: { path: 'slow' } });
    await until(() => slow.length === 1);
    socket.pause();
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  it('lets clients move to the next server without an error', async () => {
    const first = await start();
    const { client, opened } = connectClient(first.port, 'good');
    const received = collect<Pose & { skipped: number }>();
    const errors: unknown[] = [];
    client.poses.subscribe(undefined, {
      onData: received.add,
      onError: (error) => errors.push(error),
    });
    await until(() => first.hub.subscriberCount() === 1);
    await first.app.close();
    const next = Fastify();
    const hub = createMemoryHub();
    mountTrpcWs(next, {
      upgrades: createUpgrades(next),
      router,
      log,
      createContext: (source) => ({
        ...source,
        hub,
        valid: new Set(['good']),
        slow: [],
        stallMs: 30_000,
      }),
    });
    await next.listen({ port: first.port, host: '127.0.0.1' });
    cleanUps.push(() => next.close());
    await until(() => hub.subscriberCount() === 1);
    hub.publish('poses', pose(1));
    await received.reach(1);
    expect(errors).toEqual([]);
    expect(opened.length).toBeGreaterThan(1);
  });
});

describe('calls over HTTP', () => {
  const url = (port: number, path: string) => `http://127.0.0.1:${port}/trpc/${path}`;

  async function post(
    port: number,
    path: string,
    body: string,
    headers: Record<string, string> = {},
  ) {
    const response = await fetch(url(port, path), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
    });
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as unknown,
    };
  }

  it('serves an unmodified client, batches included', async () => {
    const { port } = await start();
    const client = createTRPCClient<typeof router>({
      links: [
        httpBatchLink({
          url: `http://127.0.0.1:${port}/trpc`,
          headers: { authorization: 'Bearer good' },
        }),
      ],
    });
    const texts = Array.from({ length: 12 }, (_, index) => `text ${index} äöü`);
    const [who, ...echoed] = await Promise.all([
      client.whoami.query(),
      ...texts.map((text) => client.echo.query({ text })),
    ]);
    expect(who).toBe('good');
    expect(echoed).toEqual(texts);
  });

  it('is not stored by caches and shows no stack', async () => {
    const { port } = await start();
    const response = await fetch(url(port, 'crash'));
    expect(response.status).toBe(500);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.text()).not.toContain('stack');
  });

  it('refuses more than 50 calls in a batch', async () => {
    const { port } = await start();
    const response = await fetch(
      `${url(port, Array(51).fill('whoami').join(','))}?batch=1&input=%7B%7D`,
    );
    expect(response.status).toBe(400);
  });

  it('answers in the shape of tRPC what Fastify refuses', async () => {
    const { port } = await start();
    const tooLarge = await post(port, 'slow', JSON.stringify('x'.repeat(20_000)));
    expect(tooLarge).toMatchObject({
      status: 413,
      body: { error: { data: { code: 'PAYLOAD_TOO_LARGE' } } },
    });
    const wrongType = await post(port, 'slow', 'a', { 'content-type': 'text/plain' });
    expect(wrongType).toMatchObject({
      status: 415,
      body: { error: { data: { code: 'UNSUPPORTED_MEDIA_TYPE' } } },
    });
    const unknown = await post(port, 'constructor', '{}');
    expect(unknown).toMatchObject({
      status: 404,
      body: { error: { data: { code: 'NOT_FOUND' } } },
    });
  });

  it('leaves JSON bodies of other routes to Fastify', async () => {
    const { app } = await startWithNeighbour();
    const response = await app.inject({ method: 'POST', url: '/neighbour', payload: { a: 1 } });
    expect(response.json()).toEqual({ got: { a: 1 } });
  });

  it('streams subscriptions as server-sent events and cuts them when the server closes', async () => {
    const { app, port, hub } = await start();
    const response = await fetch(url(port, 'poses'), { headers: { accept: 'text/event-stream' } });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    await until(() => hub.subscriberCount() === 1);
    hub.publish('poses', pose(1));
    let text = '';
    while (!text.includes('"n":1')) {
      const part = await reader?.read();
      if (!part || part.done) throw new Error(`ended with ${text}`);
      text += part.value;
    }
    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    await expect(reader?.read()).rejects.toThrow();
    expect(hub.subscriberCount()).toBe(0);
  });
});

async function startWithNeighbour(): Promise<{ app: FastifyInstance }> {
  const app = Fastify();
  const hub = createMemoryHub();
  mountTrpcHttp(app, {
    router,
    log,
    createContext: (source) => ({
      ...source,
      hub,
      valid: new Set<string>(),
      slow: [],
      stallMs: 30_000,
    }),
  });
  app.post('/neighbour', async (req) => ({ got: req.body }));
  cleanUps.push(() => app.close());
  return { app };
}
