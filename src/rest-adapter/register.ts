import type { FastifyInstance, FastifyRequest } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import type { Principal } from '../contract/access.js';
import { requestLog } from '../lib/logger.js';
import { recordRefusal } from '../routers/audit-trail.js';
import type { Context } from '../routers/context.js';
import { type ProcedureMeta, requireScope, visitorOf } from '../routers/trpc.js';
import { type CreateContext, named, type Row } from './define.js';
import { failureOf } from './envelope.js';
import { parseJson } from './json-body.js';
import { acceptRaw } from './raw.js';
import { type HandlerOptions, handlerOf, JSON_TYPE } from './row-handler.js';
import { bodyValidator, procedureFacts, schemaOf } from './row-schema.js';
import { acceptUploads } from './upload.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling, once that is known. */
    identity: Identity | undefined;
  }
  interface FastifyContextConfig {
    row?: Row;
    /** For what browsers can send no header with: `?token=` and `?ticket=` are credentials too. */
    takesUrlCredential?: boolean;
  }
}

interface Identity {
  ctx: Context;
  principal: Principal;
}

export interface RegisterOptions extends HandlerOptions {
  /** Left out of the OpenAPI document. */
  hidden?: boolean;
}

/** For Fastify, which loads ajv and a serializer of its own when it is not given these. Every schema is zod's. */
export const schemaController = {
  compilersFactory: {
    buildValidator: () => validatorCompiler as never,
    buildSerializer: () => () => JSON.stringify,
  },
};

/** Makes a real Fastify route of each row. Call it inside a scope of its own: errors there take the surface's shape. */
export function registerSurface(scope: FastifyInstance, options: RegisterOptions): void {
  const { surface } = options;
  acceptJson(scope);
  scope.setErrorHandler((error, request, reply) => {
    const { missing } = request.routeOptions.config.row ?? {};
    const { retryAfterMs, ...failure } = failureOf(
      error,
      requestLog(request.log, request.id),
      missing,
    );
    if (retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(retryAfterMs / 1_000));
    return reply
      .code(failure.status)
      .type(JSON_TYPE)
      .send(JSON.stringify(surface.failure(failure)));
  });
  for (const row of surface.rows) if (!row.upload && !row.raw) addRoute(scope, row, options);
  scope.register(async (raws) => {
    acceptRaw(raws);
    for (const row of surface.rows) if (row.raw) addRoute(raws, row, options);
  });
  scope.register(async (uploads) => {
    await acceptUploads(uploads);
    for (const row of surface.rows) if (row.upload) addRoute(uploads, row, options);
  });
}

/** Clients of the original leave the content type out or get it wrong; every body is JSON all the same. */
function acceptJson(scope: FastifyInstance): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    const { row } = request.routeOptions.config;
    if (request.headers['content-type'] !== undefined && !row?.upload && !row?.raw) {
      request.headers['content-type'] = 'application/json';
    }
    done();
  });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    ['application/json', '*'],
    { parseAs: 'buffer' },
    ({ routeOptions }, bytes, done) => {
      if (routeOptions.config.row?.direct) return done(null, bytes);
      try {
        done(null, parseJson(bytes.toString('utf8')));
      } catch (error) {
        done(error as Error);
      }
    },
  );
}

function addRoute(scope: FastifyInstance, row: Row, options: RegisterOptions): void {
  const { surface, router, hidden = false } = options;
  const facts = procedureFacts(row, router);
  const { meta } = facts;
  scope.route({
    method: row.method,
    // Waiting takes what comes, which somebody who asks for a head alone would lose.
    exposeHeadRoute: row.patienceMs === undefined && row.mjpeg === undefined,
    url: row.path.replace(/\{(\w+)\}/g, ':$1'),
    config: {
      row,
      takesUrlCredential: row.sse !== undefined || row.urlCredential || meta.guests === true,
    },
    // Strangers are sent away before their body is read.
    ...(meta.access !== 'public' && { onRequest: identifierOf(meta, options.createContext) }),
    validatorCompiler: (route) =>
      route.httpPart === 'body' ? bodyValidator(row) : validatorCompiler(route as never),
    schema: { hide: hidden, ...schemaOf(row, surface, facts) },
    handler: handlerOf(row, options),
  });
}

/** Finds out who is calling, and that they may. @throws DomainError `unauthenticated`, `forbidden`. */
function identifierOf(
  { access, audit: action, guests }: ProcedureMeta,
  createContext: CreateContext,
) {
  return async (request: FastifyRequest): Promise<void> => {
    const ctx = createContext(request);
    const principal = guests ? (await visitorOf(ctx)).principal : await ctx.authenticate();
    if (!principal) return;
    request.identity = { ctx, principal };
    if (access === 'public' || access === 'any') return;
    try {
      requireScope(principal, access);
    } catch (error) {
      const readInput = () => named(request.params);
      await recordRefusal({ ctx, action, principal, readInput }, error);
      throw error;
    }
  };
}
