import { callTRPCProcedure } from '@trpc/server';
import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  onRequestAsyncHookHandler,
} from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import type { z } from 'zod';
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
  }
  interface FastifyContextConfig {
    row?: Row;
  }
}

export interface RegisterOptions {
  surface: Surface;
  createContext: CreateContext;
  /** Counts the request against its limits before anything else is done with it. */
  admit: (limit: Row['limit']) => onRequestAsyncHookHandler | undefined;
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
    const { retryAfterMs, ...failure } = failureOf(error, request.log, missing);
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
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', { parseAs: 'string' }, (request, text, done) => {
    request.bodyText = text as string;
    if (text === '') return done(null, undefined);
    try {
      done(null, JSON.parse(text as string));
    } catch {
      done(Object.assign(new Error('The body is not valid JSON'), { statusCode: 400 }));
    }
  });
}

function addRoute(scope: FastifyInstance, row: Row, options: RegisterOptions): void {
  const { surface, admit, hidden = false } = options;
  const { access, output } = procedureFacts(row);
  const onRequest = admit(row.limit);
  scope.route({
    method: row.method,
    url: row.path.replace(/\{(\w+)\}/g, ':$1'),
    config: { row },
    ...(onRequest && { onRequest }),
    // A direct row looks at its body by itself.
    ...(row.direct && {
      validatorCompiler: (route) =>
        route.httpPart === 'body' ? () => true : validatorCompiler(route as never),
    }),
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
    handler: handlerOf(row, access, options),
  });
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

function handlerOf(row: Row, access: ProcedureMeta['access'], options: RegisterOptions) {
  const { surface, createContext } = options;

  async function callOf(request: FastifyRequest): Promise<DirectCall<never, never>> {
    const ctx = createContext(request);
    const principal = await ctx.authenticate();
    if (access !== 'public' && access !== 'any') requireScope(principal, access);
    const { params, query, body, bodyText } = request;
    return { ctx, principal, params: params as never, query: query as never, body, bodyText };
  }
  const { direct, stream } = row;
  if (direct) {
    return async (request: FastifyRequest, reply: FastifyReply) =>
      send(reply, surface, await direct(await callOf(request)));
  }
  if (stream) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const body = await jsonStreamBody(surface, await stream(await callOf(request)));
      return reply.type(JSON_TYPE).send(body);
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
