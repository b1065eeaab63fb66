import { callTRPCProcedure } from '@trpc/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import type { Principal } from '../contract/access.js';
import { requestLog } from '../lib/logger.js';
import type { Context } from '../routers/context.js';
import { appRouter } from '../routers/index.js';
import { type ProcedureMeta, requireScope } from '../routers/trpc.js';
import {
  type CreateContext,
  type DirectCall,
  JsonText,
  type ProcedurePath,
  type Row,
  type Surface,
} from './define.js';
import { failureOf } from './envelope.js';
import { jsonStreamBody, jsonTextBody } from './stream.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it was written. */
    bodyText: string;
    /** Who is calling, once that is known. */
    identity: Identity | undefined;
  }
  interface FastifyContextConfig {
    row?: Row;
  }
}

interface Identity {
  ctx: Context;
  principal: Principal;
}

export interface RegisterOptions {
  surface: Surface;
  createContext: CreateContext;
  /** Left out of the OpenAPI document. */
  hidden?: boolean;
}

const JSON_TYPE = 'application/json; charset=utf-8';

/** Makes a real Fastify route of each row. Call it inside a scope of its own: errors there take the surface's shape. */
export function registerSurface(scope: FastifyInstance, options: RegisterOptions): void {
  const { surface } = options;
  scope.setValidatorCompiler(validatorCompiler);
  scope.setSerializerCompiler(() => JSON.stringify);
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
  for (const row of surface.rows) addRoute(scope, row, options);
}

/** Clients of the original leave the content type out or get it wrong; every body is JSON all the same. */
function acceptJson(scope: FastifyInstance): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    if (request.headers['content-type'] !== undefined) {
      request.headers['content-type'] = 'application/json';
    }
    done();
  });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    ['application/json', '*'],
    { parseAs: 'string' },
    (request, text, done) => {
      request.bodyText = text as string;
      if (text === '') return done(null, undefined);
      try {
        done(null, JSON.parse(text as string));
      } catch {
        done(Object.assign(new Error('The body is not valid JSON'), { statusCode: 400 }));
      }
    },
  );
}

function addRoute(scope: FastifyInstance, row: Row, options: RegisterOptions): void {
  const { surface, hidden = false } = options;
  const { access, output } = procedureFacts(row);
  scope.route({
    method: row.method,
    url: row.path.replace(/\{(\w+)\}/g, ':$1'),
    config: { row },
    // Strangers are sent away before their body is read.
    ...(access !== 'public' && { onRequest: identifierOf(access, options.createContext) }),
    validatorCompiler: (route) =>
      route.httpPart === 'body' ? bodyValidator(row) : validatorCompiler(route as never),
    schema: {
      hide: hidden,
      summary: row.summary,
      tags: [row.tag],
      operationId: `${row.procedure}`,
      security: access === 'public' ? [] : [{ bearer: [] }],
      ...(row.params && { params: row.params }),
      ...(row.query && { querystring: row.query }),
      ...(row.body && { body: row.body }),
      response: {
        200: surface.successSchema(row.data ?? output),
        '4xx': surface.failureSchema,
        '5xx': surface.failureSchema,
      },
    },
    handler: handlerOf(row, options),
  });
}

/** Judges a body and leaves it as it was sent, because the procedure parses it again. A direct row judges by itself. */
function bodyValidator({ direct, body }: Row): (data: unknown) => true | { error: Error } {
  if (direct || !body) return () => true;
  const validate = validatorCompiler({ schema: body } as never);
  return (data) => {
    // Null is what Fastify makes of a body that is not there.
    const result = validate(data ?? undefined);
    return typeof result === 'object' && 'error' in result && result.error
      ? { error: result.error as Error }
      : true;
  };
}

interface ProcedureFacts {
  access: ProcedureMeta['access'];
  output: z.ZodType;
}

function procedureFacts(row: Row): ProcedureFacts {
  // Keyed by path at run time; tRPC types it as nested by router.
  const procedures = appRouter._def.procedures as unknown as Record<
    ProcedurePath,
    { _def: { meta: ProcedureMeta; output: z.ZodType } }
  >;
  const { meta, output } = procedures[row.procedure]._def;
  return { access: meta.access, output };
}

/** Finds out who is calling, and that they may. @throws DomainError `unauthenticated`, `forbidden`. */
function identifierOf(access: ProcedureMeta['access'], createContext: CreateContext) {
  return async (request: FastifyRequest): Promise<void> => {
    const ctx = createContext(request);
    const principal = await ctx.authenticate();
    if (access !== 'public' && access !== 'any') requireScope(principal, access);
    request.identity = { ctx, principal };
  };
}

function handlerOf(row: Row, options: RegisterOptions) {
  const { surface, createContext } = options;

  function callOf(request: FastifyRequest): DirectCall<never, never> {
    const { identity, params, query, body, bodyText } = request;
    // Its handler alone decides how long the body lives.
    request.body = undefined;
    if (!identity) throw new Error(`${row.path} is answered before its caller is known`);
    return { ...identity, params: params as never, query: query as never, body, bodyText };
  }
  const { direct, stream } = row;
  if (direct) {
    return async (request: FastifyRequest, reply: FastifyReply) =>
      send(reply, surface, await direct(callOf(request)));
  }
  if (stream) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const body = await jsonStreamBody(surface, await stream(callOf(request)));
      if (request.method !== 'HEAD') return reply.type(JSON_TYPE).send(body);
      body.destroy();
      return reply.type(JSON_TYPE).send();
    };
  }
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const { params, query, body } = request;
    const output = await callTRPCProcedure({
      router: appRouter,
      path: row.procedure,
      ctx: createContext(request),
      type: row.method === 'GET' ? 'query' : 'mutation',
      getRawInput: async () => row.toInput({ params, query, body }),
      signal: gone.signal,
      batchIndex: 0,
    });
    return send(reply, surface, row.toData(output));
  };
}

function send(reply: FastifyReply, surface: Surface, data: unknown): FastifyReply {
  const body =
    data instanceof JsonText ? jsonTextBody(surface, data) : JSON.stringify(surface.success(data));
  return reply.type(JSON_TYPE).send(body);
}
