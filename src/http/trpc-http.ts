import type { ServerResponse } from 'node:http';
// Adds `hide` to the type of a route's schema.
import type {} from '@fastify/swagger';
import type { AnyRouter, TRPCError } from '@trpc/server';
import { fastifyRequestHandler } from '@trpc/server/adapters/fastify';
import { getHTTPStatusCodeFromError } from '@trpc/server/http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../lib/errors.js';
import { errorLogger, shapeOf, toDoorError } from './trpc-errors.js';
import type { TrpcSse } from './trpc-sse.js';
import type { TrpcDoorOptions } from './trpc-ws.js';

/** More than a page of a dashboard asks for at once; beyond it, a batch is a way around the rate limit. */
const BATCH_LIMIT_CALLS = 50;

/**
 * Serves `router` to HTTP at `/trpc/<procedure>[,<procedure>…]`: queries, mutations, batches, and subscriptions as
 * server-sent events, by `sse` where it takes them. Whatever goes wrong in here is answered in the router's own error shape.
 * The app's `maxParamLength` must allow for the names of a whole batch.
 */
export function mountTrpcHttp<TRouter extends AnyRouter>(
  app: FastifyInstance,
  { router, createContext, log, sse }: TrpcDoorOptions<TRouter> & { sse?: TrpcSse | undefined },
): void {
  const onError = errorLogger(log);

  async function handle(
    req: FastifyRequest<{ Params: { path: string } }>,
    reply: FastifyReply,
  ): Promise<void> {
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
      responseMeta: ({ errors }) => ({
        headers: { 'cache-control': 'no-store', ...retryAfter(errors) },
      }),
    });
  }

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
      handler: handle,
    });
  });
}

function retryAfter(errors: readonly TRPCError[]): Record<string, string> {
  const waitsMs = errors.map(({ cause }) =>
    cause instanceof DomainError ? (cause.details.retryAfterMs ?? 0) : 0,
  );
  const longestMs = Math.max(0, ...waitsMs);
  return longestMs > 0 ? { 'retry-after': String(Math.ceil(longestMs / 1_000)) } : {};
}
