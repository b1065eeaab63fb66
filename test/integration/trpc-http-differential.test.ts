import { EventEmitter, once } from 'node:events';
import { request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTRPCClient, httpBatchLink, httpBatchStreamLink, httpLink } from '@trpc/client';
import { initTRPC, lazy, TRPCError } from '@trpc/server';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { mountTrpcHttp } from '../../src/http/trpc-http.js';
import { fastDoorAgrees } from '../../src/http/trpc-http-check.js';
import { createFastDoor } from '../../src/http/trpc-http-fast.js';
import { DomainError } from '../../src/lib/errors.js';
import type { Logger } from '../../src/lib/logger.js';
import { compileRouter } from '../../src/routers/compiled-procedure.js';
import { appRouter } from '../../src/routers/index.js';
import { expectTwins, type Sent, send, type Way, wayOf } from '../support/trpc-twins.js';

const CODES = [
  ...(['PARSE_ERROR', 'BAD_REQUEST', 'UNAUTHORIZED', 'PAYMENT_REQUIRED', 'FORBIDDEN'] as const),
  ...(['NOT_FOUND', 'METHOD_NOT_SUPPORTED', 'TIMEOUT', 'CONFLICT', 'BAD_GATEWAY'] as const),
  ...(['PRECONDITION_FAILED', 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const),
  ...(['UNPROCESSABLE_CONTENT', 'PRECONDITION_REQUIRED', 'TOO_MANY_REQUESTS'] as const),
  ...(['CLIENT_CLOSED_REQUEST', 'INTERNAL_SERVER_ERROR', 'NOT_IMPLEMENTED'] as const),
  ...(['SERVICE_UNAVAILABLE', 'GATEWAY_TIMEOUT'] as const),
];
const THROWN: Record<string, unknown> = {
  ...{ text: 'text', undefined, null: null, number: 7, list: [1], error: new Error('secret') },
  ...{ object: { message: 'own', code: 'X' }, function: () => 1 },
  foreign: Object.assign(new Error('f'), { name: 'TRPCError', code: 'CONFLICT' }),
  limited: new DomainError('rate_limited', 'slow down', { retryAfterMs: 1_500 }),
};
const circular: Record<string, unknown> = {};
circular.self = circular;
const OUTPUTS: Record<string, unknown> = {
  ...{
    undefined,
    null: null,
    zero: 0,
    empty: '',
    date: new Date(0),
    list: [undefined, 1],
    circular,
  },
  ...{ bigint: 1n, nan: Number.NaN, text: 'ü\u2028"', map: new Map([[1, 2]]), function: () => 1 },
  ...{ promise: { later: Promise.resolve(1) }, iterable: { async *[Symbol.asyncIterator]() {} } },
  iterableInside: { items: { async *[Symbol.asyncIterator]() {} } },
  throwing: {
    toJSON() {
      throw new Error('no JSON of this');
    },
  },
};

interface Context {
  calls: EventEmitter;
  number: number;
}

const t = initTRPC.context<Context>().create({
  isDev: false,
  // Shows in the answer what else the formatter was told.
  errorFormatter: ({ shape, ctx, input, type, error }) => ({
    ...shape,
    data: {
      ...shape.data,
      told: { input, type, context: ctx?.number ?? 'none' },
      cause: error.cause instanceof DomainError ? error.cause.code : String(error.cause),
    },
  }),
});
const watched = t.procedure.use(({ ctx, next }) => next({ ctx: { more: ctx.number + 1 } }));

const router = t.router({
  echo: watched.input((raw) => raw).query(({ input }) => ({ input })),
  shaped: watched.input(z.object({ text: z.string() })).query(({ input }) => input.text),
  store: watched.input(z.unknown()).mutation(({ input, batchIndex, path, ctx }) => ({
    ...{ input, batchIndex, path, number: ctx.number, more: ctx.more },
  })),
  ignoring: t.procedure.query(() => 'whatever comes'),
  fail: watched.input(z.enum(CODES)).query(({ input }) => {
    throw new TRPCError({ code: input, message: `it is ${input}`, cause: new Error('why') });
  }),
  throw: watched.input(z.string()).mutation(({ input }) => {
    throw THROWN[input];
  }),
  give: watched.input(z.string()).query(({ input }) => OUTPUTS[input]),
  wrong: watched.output(z.string()).query(() => 1 as never),
  grüße: t.procedure.query(() => 'ü'),
  deep: { er: { one: t.procedure.query(() => 1) } },
  hang: t.procedure.mutation(async ({ ctx, signal }) => {
    const aborted = signal && once(signal, 'abort');
    ctx.calls.emit('begun');
    await aborted;
    ctx.calls.emit('aborted', signal?.reason.name);
  }),
  keepSignal: t.procedure.query(({ ctx, signal }) => void ctx.calls.emit('signal', signal)),
  ticks: t.procedure.subscription(async function* () {
    yield 1;
  }),
});

async function start(fast: boolean) {
  /** What `onError` was told, in order. */
  const told: unknown[] = [];
  const calls = new EventEmitter();
  const log = {
    error: ({ err, path }: { err: unknown; path?: string }) => void told.push([String(err), path]),
    debug: ({ trpc_code, path, reason }: Record<string, unknown>) =>
      void told.push([trpc_code, path, reason]),
    warn: (text: string) => void told.push(text),
  } as unknown as Logger;
  const app = Fastify({ routerOptions: { maxParamLength: 5_000 }, bodyLimit: 10_000 });
  let contexts = 0;
  mountTrpcHttp(app, {
    router: fast ? compileRouter(router) : router,
    fast,
    log,
    async createContext({ req }): Promise<Context> {
      contexts += 1;
      const refuse = req.headers['x-refuse'];
      if (refuse === 'limited') throw THROWN.limited;
      if (refuse !== undefined) throw refuse;
      return { calls, number: 1 };
    },
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as AddressInfo;
  return { app, port, told, calls, contexts: () => contexts };
}

let fast: Awaited<ReturnType<typeof start>>;
let library: Awaited<ReturnType<typeof start>>;
beforeAll(async () => {
  [fast, library] = [await start(true), await start(false)];
});
afterAll(async () => {
  await fast.app.close();
  await library.app.close();
});

const json = (value: unknown) => encodeURIComponent(JSON.stringify(value));
const get = (path: string, input?: unknown): Sent => ({
  path: `/trpc/${path}${input === undefined ? '' : `?input=${json(input)}`}`,
});
const post = (path: string, body?: unknown): Sent => ({
  ...{ method: 'POST', path: `/trpc/${path}` },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const batch = (paths: string, input?: unknown) => get(`${paths}?batch=1&input=${json(input)}`);
const withHeaders = (sent: Sent, headers: Record<string, string>): Sent => ({ ...sent, headers });
const times = (count: number, path: string) => Array(count).fill(path).join(',');

describe('the same answers by the fast path and by the library', () => {
  it.each<[string, Sent, Way?]>([
    ['an input', get('echo', { a: 1 })],
    ['no input', get('echo')],
    ['an empty input', { path: '/trpc/echo?input=' }],
    ['null', get('echo', null)],
    ['a plus sign', { path: '/trpc/echo?input=%22a+b%2Bc%22' }],
    ['two inputs', { path: '/trpc/echo?input=1&input=2' }],
    ['an input that is not encoded', { path: '/trpc/echo?input={"a":"\'b<"}' }],
    ['an input that is encoded twice', { path: '/trpc/echo?input=%2522%2522' }],
    ['an input that is encoded wrongly', { path: '/trpc/echo?input=%22%zz%22' }],
    ['an input that is no UTF-8', { path: '/trpc/echo?input=%22%ff%22' }],
    ['bad JSON', { path: '/trpc/echo?input={' }],
    ['bad JSON that nobody reads', { path: '/trpc/ignoring?input={' }],
    ['a prototype as input', { path: '/trpc/echo?input={"__proto__":{"x":1}}' }],
    ['a wrong input', get('shaped', { text: 1 })],
    ['other parameters', { path: '/trpc/echo?input=1&x=2&batch=0' }],
    ['a batch that is true', { path: '/trpc/echo?batch=true&input=1' }],
    ['a mutation', post('store', { a: [1] })],
    ['a mutation without input', post('store', '')],
    ['a mutation of null', post('store', 'null')],
    ['a mutation of bad JSON', post('store', '{"a":')],
    ['a mutation with blanks', post('store', ' {"a" : 1}\n')],
    ['a byte order mark', post('store', '\uFEFF1'), 'library'],
    [
      'parameters of the media type',
      withHeaders(post('store', 1), { 'content-type': 'Application/JSON ; charset=UTF-8' }),
    ],
    [
      'a GET with a media type',
      withHeaders(get('echo', 1), { 'content-type': 'application/json' }),
    ],
    [
      'a GET with another media type',
      withHeaders(get('echo', 1), { 'content-type': 'text/plain' }),
      'library',
    ],
    ['a query by POST', post('echo', 1)],
    ['a mutation by GET', get('store', 1)],
    ['an unknown procedure', get('nothing')],
    ['an unknown mutation', post('nothing.at.all', 1)],
    ['a router', get('deep.er')],
    ['a deep procedure', get('deep.er.one')],
    ...['constructor', '__proto__', 'toString', 'hasOwnProperty', 'echo.name', '_def'].map(
      (name): [string, Sent] => [`a procedure called ${name}`, get(name)],
    ),
    ['a name with an umlaut', get(encodeURIComponent('grüße'))],
    ['a name with an encoded letter', get('%65cho')],
    ['a name that is encoded twice', get('%2565cho'), 'library'],
    ['a name with a percent sign', get('echo%25'), 'library'],
    ['a name with a blank', get('ec%20ho')],
    ['a name with a comma', get('echo,echo')],
    ['a name with an encoded slash', get('echo%2fecho')],
    ['a list of accepted types', withHeaders(get('echo'), { accept: 'text/html, */*' })],
    ['a connection parameter', { path: '/trpc/echo?connectionParams={"a":"b"}' }, 'library'],
    ['wrong connection parameters', { path: '/trpc/echo?connectionParams=1' }, 'library'],
    ['a subscription by POST', post('ticks', 1), 'library'],
    ['a wrong output', get('wrong')],
    ['a host with a name', withHeaders(get('echo'), { host: 'Fleet.example.com:80' })],
    ['a host of IPv6', withHeaders(get('echo'), { host: '[::1]:8080' })],
    ['a batch', batch('echo,deep.er.one,echo', { 0: 1, 2: { a: 'b' } })],
    ['a batch of one', batch('echo', { 0: 1 })],
    ['a batch without input', { path: '/trpc/echo,echo?batch=1' }],
    ['a batch with bad JSON', { path: '/trpc/echo,ignoring,echo?batch=1&input={' }],
    ['a batch with a list', batch('echo,echo', [1, 2])],
    ['a batch with null', { path: '/trpc/echo?batch=1&input=null' }],
    ['a batch with null in it', batch('echo,echo', { 0: null })],
    ['a batch of the same', batch('echo,echo,echo', { 0: 1, 1: 2, 2: 3 })],
    [
      'a batch with other endings',
      batch('echo,fail,nothing,shaped', { 0: 1, 1: 'CONFLICT', 3: {} }),
    ],
    ['a batch that fails in one way', batch('fail,fail', { 0: 'CONFLICT', 1: 'CONFLICT' })],
    ['a batch of nothing known', batch('a,b,c', {})],
    ['a batch with a comma at its end', batch('echo,', { 0: 1 })],
    ['a batch of commas', batch(',,', {})],
    ['a batch with prototypes', batch('__proto__,constructor,echo', { 2: 1 })],
    ['a batch of mutations', post('store,store?batch=1', { 0: 1, 1: 2 })],
    ['a batch of mutations without body', post('store,store?batch=1', '')],
    ['a batch of mutations by GET', batch('store,store', {})],
    ['a batch of queries by POST', post('echo,echo?batch=1', {})],
    ['a batch of both', post('store,echo?batch=1', {}), 'library'],
    ['a batch with a subscription', batch('echo,ticks', {}), 'library'],
    [
      'a batch with outputs that are streams',
      batch('give,give,give', { 0: 'promise', 1: 'iterable', 2: 'zero' }),
    ],
    ['a batch with an output that is no JSON', batch('give,echo', { 0: 'bigint', 1: 1 })],
    [
      'a batch with a limit and an output that is no JSON',
      post('throw,throw?batch=1', { 0: 'limited', 1: 'error' }),
    ],
    ['a batch of fifty', batch(times(50, 'echo'), { 49: 1 })],
    ['a batch of fifty-one', batch(times(51, 'echo'), {}), 'library'],
    ['a huge batch', batch(times(900, 'echo'), {}), 'library'],
    ['a stream', withHeaders(get('echo', 1), { 'trpc-accept': 'application/jsonl' }), 'library'],
    [
      'an accepted stream',
      withHeaders(get('echo', 1), { accept: 'text/plain,application/jsonl' }),
      'library',
    ],
    [
      'a context that is refused',
      withHeaders(batch('echo,nothing,echo', {}), { 'x-refuse': 'text' }),
    ],
    ['a context that is refused for a while', withHeaders(get('echo'), { 'x-refuse': 'limited' })],
    ...CODES.map((code): [string, Sent] => [`the error ${code}`, get('fail', code)]),
    ...Object.keys(THROWN).map((name): [string, Sent] => [
      `${name}, thrown`,
      post('throw', JSON.stringify(name)),
    ]),
    ...Object.keys(OUTPUTS).map((name): [string, Sent] => [`${name} as output`, get('give', name)]),
  ])('%s', async (_name, sent, way = 'fast') => {
    const before = [fast.contexts(), library.contexts()] as const;
    for (const { told } of [fast, library]) told.length = 0;
    await expectTwins([fast.port, library.port], sent, way);
    expect(fast.told).toEqual(library.told);
    expect(fast.contexts() - before[0]).toBe(library.contexts() - before[1]);
  });

  // What never reaches a handler, or whose answer has a length by itself.
  it.each<[string, Sent, number]>([
    ['another method', { ...get('echo'), method: 'PUT' }, 404],
    ['HEAD', { ...get('echo'), method: 'HEAD' }, 404],
    [
      'a body of another type',
      withHeaders(post('store', 'a'), { 'content-type': 'text/plain' }),
      415,
    ],
    [
      'a form',
      withHeaders(post('store', ''), { 'content-type': 'multipart/form-data; boundary=x' }),
      415,
    ],
    ['a body that is too large', post('store', 'x'.repeat(10_001)), 413],
    ['a name that is encoded wrongly', get('%zz'), 400],
    ['no name', get(''), 404],
    ['a host with a wrong port', withHeaders(get('echo'), { host: 'fleet:99999' }), 400],
    ['a host with too many numbers', withHeaders(get('echo'), { host: '1.2.3.4.5' }), 400],
    ['a host with a user', withHeaders(get('echo'), { host: 'me:secret@fleet' }), 500],
  ])('%s', async (_name, sent, status) => {
    const [first, second] = [await send(fast.port, sent), await send(library.port, sent)];
    expect([first.status, first.text]).toEqual([status, second.text]);
    expect(second.status).toBe(status);
  });

  it('a POST without a media type', async () => {
    const sent = { ...post('store'), headers: { 'content-length': '0' } };
    const answer = await expectTwins([fast.port, library.port], sent, 'library');
    expect(answer.status).toBe(415);
  });

  it('says when to come back, and is not stored', async () => {
    const { headers } = await send(fast.port, post('throw', '"limited"'));
    expect(headers).toMatchObject({ 'retry-after': '2', 'cache-control': 'no-store' });
    expect(headers.vary).toBe('trpc-accept, accept');
    expect((await send(fast.port, get('store'))).headers.allow).toBe('POST');
  });

  it.each(['store', 'store,store?batch=1'])(
    'calls see that their client is gone: %s',
    async (path) => {
      for (const { port, calls } of [fast, library]) {
        const count = path.includes('batch') ? 2 : 1;
        const names: string[] = [];
        const all = new Promise<void>((resolve) => {
          calls.on('aborted', (name: string) => names.push(name) === count && resolve());
        });
        const sent = request({
          ...{ host: '127.0.0.1', port, method: 'POST', agent: false },
          path: `/trpc/${path.replaceAll('store', 'hang')}`,
          headers: { 'content-type': 'application/json' },
        });
        const gone = once(sent, 'error');
        const begun = once(calls, 'begun');
        sent.end('{}');
        await begun;
        sent.destroy(new Error('gone'));
        await gone;
        await all;
        expect(names).toEqual(Array(count).fill('AbortError'));
        calls.removeAllListeners();
      }
    },
  );

  it('does not tell calls that a client is gone who has its answer', async () => {
    for (const { port, calls } of [fast, library]) {
      const kept = once(calls, 'signal');
      const answer = await send(port, get('keepSignal'));
      expect(answer.status).toBe(200);
      expect((await kept)[0].aborted).toBe(false);
    }
  });
});

describe('clients as they are', () => {
  const clients = {
    httpLink: (url: string) => httpLink({ url }),
    httpBatchLink: (url: string) => httpBatchLink({ url }),
    'httpBatchLink with short addresses': (url: string) =>
      httpBatchLink({ url, maxURLLength: 700, maxItems: 4 }),
    'httpBatchLink by POST': (url: string) =>
      httpBatchLink({ url, headers: { accept: 'application/json' } }),
    httpBatchStreamLink: (url: string) => httpBatchStreamLink({ url }),
  };
  it.each(Object.keys(clients) as (keyof typeof clients)[])('%s', async (name) => {
    const outcomes = [fast, library].map(async ({ port }) => {
      const link = clients[name](`http://127.0.0.1:${port}/trpc`);
      const client = createTRPCClient<typeof router>({ links: [link] });
      return Promise.allSettled([
        ...Array.from({ length: 12 }, (_, n) => client.echo.query({ n, text: 'ü & +'.repeat(9) })),
        client.store.mutate({ a: 1 }),
        client.store.mutate(undefined),
        client.shaped.query({ text: 'x' }),
        client.shaped.query({ text: 1 as never }),
        client.fail.query('CONFLICT'),
        client.give.query('date'),
        client.throw.mutate('limited'),
        (client as never as { no: typeof client.echo }).no.query(1),
        client.deep.er.one.query(),
      ]);
    });
    const [first, second] = await Promise.all(outcomes);
    const plain = (settled: PromiseSettledResult<unknown>[] | undefined) =>
      settled?.map((one) =>
        one.status === 'fulfilled'
          ? { value: one.value }
          : { shape: one.reason.shape, message: one.reason.message },
      );
    expect(plain(first)).toEqual(plain(second));
    expect(first?.filter(({ status }) => status === 'fulfilled')).toHaveLength(17);
  });
});

describe('the check at the start', () => {
  it('is content with this version of the library', async () => {
    expect(await fastDoorAgrees(appRouter)).toBe(true);
  });

  type Door = ReturnType<typeof createFastDoor>;
  type Answer = Awaited<ReturnType<Door['answer']>>;
  const changed =
    (change: (answer: Answer) => Answer): typeof createFastDoor =>
    (options) => {
      const door = createFastDoor(options);
      return { ...door, answer: async (...call) => change(await door.answer(...call)) };
    };
  it.each<[string, typeof createFastDoor]>([
    ['a status is another', changed((answer) => ({ ...answer, status: 207 }))],
    ['a header is missing', changed((answer) => ({ ...answer, headers: {} }))],
    ['a body is another', changed(({ body, ...answer }) => ({ ...answer, body: `${body} ` }))],
    ['an error is not told', (options) => createFastDoor({ ...options, onError: () => {} })],
    ['nothing is read', (options) => ({ ...createFastDoor(options), read: () => undefined })],
  ])('sees when %s', async (_name, createDoor) => {
    expect(await fastDoorAgrees(appRouter, createDoor)).toBe(false);
  });

  it.each([
    ['that load later', t.router({ sub: lazy(async () => t.router({ echo: router.echo })) })],
    [
      'with another separator',
      initTRPC.create({ pathSeparator: '~' }).router({
        sub: { echo: initTRPC.create().procedure.query(() => 1) },
      }),
    ],
  ])('leaves routers %s to the library, with a warning', async (_name, other) => {
    const app = Fastify();
    onTestFinished(() => app.close());
    const warnings: string[] = [];
    const log = { debug() {}, warn: (text: string) => void warnings.push(text) };
    mountTrpcHttp(app, { router: other, log: log as never, createContext: () => ({}) as never });
    await app.listen({ port: 0, host: '127.0.0.1' });
    const { port } = app.server.address() as AddressInfo;
    const answer = await send(port, get(_name.includes('separator') ? 'sub~echo' : 'sub.echo'));
    expect([answer.status, wayOf(answer)]).toEqual([200, 'library']);
    expect(warnings).toEqual([expect.stringContaining('@trpc/server')]);
  });
});
