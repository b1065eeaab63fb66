import type { ServerResponse } from 'node:http';
// Adds `hide` to the type of a route's schema.
import type {} from '@fastify/swagger';
import type { AnyRouter, TRPCError } from '@trpc/server';
import { fastifyRequestHandler } from '@trpc/server/adapters/fastify';
import { getHTTPStatusCodeFromError } from '@trpc/server/http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../lib/errors.js';
import { goneSignal } from '../lib/gone-signal.js';
import { errorLogger, shapeOf, toDoorError } from './trpc-errors.js';
import type { Calls } from './trpc-http-calls.js';
import { fastDoorAgrees } from './trpc-http-check.js';
import { createFastDoor, type FastDoor } from './trpc-http-fast.js';
import type { TrpcSse } from './trpc-sse.js';
import type { TrpcDoorOptions } from './trpc-ws.js';

type CallRequest = FastifyRequest<{ Params: { path: string } }>;
type Handler = (req: CallRequest, reply: FastifyReply) => Promise<unknown> | undefined;

/** More than a page of a dashboard asks for at once; beyond it, a batch is a way around the rate limit. */
const BATCH_LIMIT_CALLS = 50;

/**
 * Serves `router` to HTTP at `/trpc/<procedure>[,<procedure>…]`: queries, mutations, batches, and subscriptions as
 * server-sent events, by `sse` where it takes them. Whatever goes wrong in here is answered in the router's own error shape.
 * The app's `maxParamLength` must allow for the names of a whole batch.
 * @param options.fast answers ordinary calls without the library's adapter, as long as the two agree at the first call
 */
export function mountTrpcHttp<TRouter extends AnyRouter>(
  app: FastifyInstance,
  options: TrpcDoorOptions<TRouter> & { fast?: boolean; sse?: TrpcSse | undefined },
): void {
  const { router, createContext, log, sse, fast = true } = options;
  const onError = errorLogger(log);

  async function openFastDoor(): Promise<FastDoor | undefined> {
    if (await fastDoorAgrees(router)) {
      return createFastDoor({ router, batchLimitCalls: BATCH_LIMIT_CALLS, onError, headersFor });
    }
    log.warn('tRPC calls take the long way: this version of @trpc/server answers otherwise');
    return undefined;
  }

  async function handle(req: CallRequest, reply: FastifyReply): Promise<void> {
    if (await sse?.serve(req, reply)) return;
    await fastifyRequestHandler<AnyRouter, FastifyRequest, FastifyReply>({
      router,
      req,
      res: reply,
      path: req.params.path,
      maxBatchSize: BATCH_LIMIT_CALLS,
      createContext: ({ info }) =>
        createContext({ req, connectionParams: info.connectionParams, socket: req.raw.socket }),
      onError,
      responseMeta: ({ errors }) => ({ headers: headersFor(errors) }),
    });
  }

  async function answer(
    door: FastDoor,
    calls: Calls,
    req: CallRequest,
    reply: FastifyReply,
  ): Promise<void> {
    try {
      const { status, headers, body } = await door.answer(calls, {
        createContext: () => createContext({ req, connectionParams: null, socket: req.raw.socket }),
        signal: goneSignal(reply.raw),
      });
      void reply.code(status).headers(headers).serializer(asItIs).send(body);
    } catch (error) {
      void reply.send(error);
    }
  }

  function handlerOf(door: FastDoor | undefined): Handler {
    if (!door) return handle;
    return (req, reply) => {
      const { method, headers, body, raw, params } = req;
      const calls = door.read({ method, path: params.path, url: raw.url ?? '', headers, body });
      if (!calls) return handle(req, reply);
      // A promise would make Fastify watch the answer on its way out, with listeners for it.
      void answer(door, calls, req, reply);
      return undefined;
    };
  }

  let opening: Promise<void> | undefined;
  /** Which way it is shows at the first call, which waits for it: the check takes time and memory, and not all use tRPC. */
  let serve: Handler = fast
    ? async (req, reply) => {
        opening ??= openFastDoor().then((door) => {
          serve = handlerOf(door);
        });
        await opening;
        await serve(req, reply);
        return reply;
      }
    : handle;

  app.register(async (scope) => {
    const streams = new Set<ServerResponse>();
    scope.removeAllContentTypeParsers();
    // The library reads the body by itself.
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_req, body, done) =>
      done(null, body),
    );
    scope.setErrorHandler((cause, req, reply) => {
      const error = toDoorError(cause);
      const path = (req.params as { path?: string }).path;
      onError({ error, path });
      return reply
        .code(getHTTPStatusCodeFromError(error))
        .headers(retryAfter([error]))
        .send({ error: shapeOf(router, error, path) });
    });
    scope.addHook('onRequest', (req, reply, done) => {
      if (req.headers.accept?.includes('text/event-stream')) {
        streams.add(reply.raw);
        reply.raw.once('close', () => streams.delete(reply.raw));
      }
      done();
    });
    // A stream that is cut, unlike one that is ended, makes its client come back.
    scope.addHook('preClose', (done) => {
      for (const stream of streams) stream.destroy();
      done();
    });
    scope.route({
      method: ['GET', 'POST'],
      url: '/trpc/:path',
      schema: { hide: true },
      exposeHeadRoute: false,
      handler: (req: CallRequest, reply) => serve(req, reply),
    });
  });
}

/** Keeps Fastify from adding a charset to the content type, which the library does not. */
function asItIs(body: unknown): string {
  return body as string;
}

function headersFor(errors: readonly TRPCError[]): Record<string, string> {
  return { 'cache-control': 'no-store', ...retryAfter(errors) };
}

function retryAfter(errors: readonly TRPCError[]): Record<string, string> {
  const waitsMs = errors.map(({ cause }) =>
    cause instanceof DomainError ? (cause.details.retryAfterMs ?? 0) : 0,
  );
  const longestMs = Math.max(0, ...waitsMs);
  return longestMs > 0 ? { 'retry-after': String(Math.ceil(longestMs / 1_000)) } : {};
}
