import { callTRPCProcedure } from '@trpc/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Principal } from '../contract/access.js';
import { goneSignal } from '../lib/gone-signal.js';
import { requestLog } from '../lib/logger.js';
import { recordRefusal } from '../routers/audit-trail.js';
import type { Context } from '../routers/context.js';
import type { AppRouter } from '../routers/index.js';
import { type ProcedureMeta, requireScope, visitorOf } from '../routers/trpc.js';
import {
  type CreateContext,
  type DirectCall,
  JsonText,
  named,
  type ProcedurePath,
  type Row,
  type Surface,
} from './define.js';
import { failureOf } from './envelope.js';
import { sendFile } from './file.js';
import type { PictureStreams } from './mjpeg.js';
import { acceptRaw, readRaw, sendRaw } from './raw.js';
import type { EventStreams } from './sse.js';
import { jsonStreamBody, jsonTextBody, textStreamBody } from './stream.js';
import { acceptUploads, createUploadReader } from './upload.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it was written. */
    bodyText: string;
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

export interface RegisterOptions {
  surface: Surface;
  /** Where the procedures behind the rows are. */
  router: AppRouter;
  createContext: CreateContext;
  streams: EventStreams;
  pictures: PictureStreams;
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
  const { surface, router, hidden = false } = options;
  const { meta, output } = procedureFacts(row, router);
  const { access } = meta;
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
    ...(access !== 'public' && { onRequest: identifierOf(meta, options.createContext) }),
    validatorCompiler: (route) =>
      route.httpPart === 'body' ? bodyValidator(row) : validatorCompiler(route as never),
    schema: {
      hide: hidden,
      summary: row.summary,
      tags: [row.tag],
      operationId: row.operation ?? `${row.procedure}`,
      security: securityOf(row, meta),
      ...(row.params && { params: row.params }),
      ...querySchema(row),
      ...bodySchema(row),
      ...(row.requestHeaders && { headers: row.requestHeaders }),
      response: {
        ...answerSchemas(row, surface, output),
        '4xx': surface.failureSchema,
        '5xx': surface.failureSchema,
      },
    },
    handler: handlerOf(row, options),
  });
}

function securityOf({ sse, urlCredential }: Row, { access, guests }: ProcedureMeta) {
  if (access === 'public') return [];
  if (guests) return [{}, { bearer: [] }, { token: [] }];
  return sse || urlCredential ? [{ bearer: [] }, { token: [] }, { ticket: [] }] : [{ bearer: [] }];
}

const StreamQuery = z.object({
  last_event_id: z.string().max(32).optional().meta({
    description:
      'Where to go on, as `Last-Event-ID`, which wins; empty begins with what comes from now on',
  }),
});

function querySchema({ query, sse }: Row) {
  if (!sse) return query ? { querystring: query } : {};
  const own = query instanceof z.ZodObject ? query.shape : {};
  return { querystring: StreamQuery.extend(own) };
}

function bodySchema({ body, upload, raw }: Row) {
  if (raw) return { body: BINARY, consumes: [raw.takes] };
  if (upload) return { body: upload.body, consumes: ['multipart/form-data'] };
  return body ? { body } : {};
}

const BINARY = z.string().meta({ format: 'binary' });

function answerSchemas(row: Row, surface: Surface, output: z.ZodType) {
  const { answers } = row.raw ?? {};
  if (!answers) return { 200: answerSchema(row, surface, output) };
  const schemas = Object.entries(answers).map(([status, type]): [string, object] => [
    status,
    type === null ? z.null() : { content: { [type]: { schema: BINARY } } },
  ]);
  return Object.fromEntries(schemas);
}

function answerSchema({ data, sse, file, text, mjpeg }: Row, surface: Surface, output: z.ZodType) {
  if (mjpeg) return { content: { 'multipart/x-mixed-replace': { schema: BINARY } } };
  if (text) return { content: { [text.type]: { schema: z.string() } } };
  if (file) {
    return { content: Object.fromEntries(file.types.map((type) => [type, { schema: BINARY }])) };
  }
  if (!sse) return surface.successSchema(data ?? output);
  const description = 'Server-sent events; each `data` is JSON of this form';
  return { description, content: { 'text/event-stream': { schema: data ?? output } } };
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
  meta: ProcedureMeta;
  output: z.ZodType;
}

function procedureFacts(row: Row, router: AppRouter): ProcedureFacts {
  // Keyed by path at run time; tRPC types it as nested by router.
  const procedures = router._def.procedures as unknown as Record<
    ProcedurePath,
    { _def: ProcedureFacts }
  >;
  return procedures[row.procedure]._def;
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

function handlerOf(row: Row, options: RegisterOptions) {
  const { surface, router, createContext } = options;

  function callOf(request: FastifyRequest): DirectCall<never, never> {
    const { identity, params, query, body, bodyText } = request;
    // Its handler alone decides how long the body lives.
    request.body = undefined;
    if (!identity) throw new Error(`${row.path} is answered before its caller is known`);
    return { ...identity, params: params as never, query: query as never, body, bodyText };
  }
  const { direct, stream, sse, file, text, mjpeg } = row;
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
  if (sse) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const call = callOf(request);
      await options.streams.serve(request, reply, {
        open: ({ socket, signal }) =>
          sse({
            ...call,
            reader: {
              cursor: cursorOf(request),
              authenticate: call.ctx.authenticate,
              ...{ socket, signal },
            },
          }),
        failure: (error) => surface.failure(failureOf(error, requestLog(request.log, request.id))),
      });
      return reply;
    };
  }
  if (mjpeg) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const call = callOf(request);
      const { authenticate } = call.ctx;
      await options.pictures.serve(request, reply, (reader) =>
        mjpeg({ ...call, reader: { ...reader, authenticate } }),
      );
      return reply;
    };
  }
  if (file) {
    return async (request: FastifyRequest, reply: FastifyReply) =>
      sendFile(request, reply, await file.open(callOf(request)));
  }
  if (text) {
    return async (request: FastifyRequest, reply: FastifyReply) => {
      const body = await textStreamBody(await text.open(callOf(request)));
      reply.type(`${text.type}; charset=utf-8`).headers({
        'content-disposition': `attachment; filename="${text.fileName}"`,
        'cache-control': 'private, no-store',
      });
      if (request.method !== 'HEAD') return reply.send(body);
      body.destroy();
      return reply.send();
    };
  }
  const readInput = inputReaderOf(row, createContext);
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const input = await readInput(request, reply);
    if (row.patienceMs !== undefined) request.socket.setTimeout(row.patienceMs);
    const output = await callTRPCProcedure({
      router,
      path: row.procedure,
      ctx: request.identity?.ctx ?? createContext(request),
      type: row.method === 'GET' ? 'query' : 'mutation',
      getRawInput: async () => input,
      signal: goneSignal(reply.raw),
      batchIndex: 0,
    });
    if (row.raw?.toAnswer) {
      const place = { params: request.params as never, ctx: createContext(request) };
      return sendRaw(reply, row.raw.toAnswer(output as never, place));
    }
    return send(reply.headers(row.toHeaders(output)), surface, row.toData(output));
  };
}

function inputReaderOf({ upload, raw, toInput }: Row, createContext: CreateContext) {
  if (raw) {
    return (request: FastifyRequest, reply: FastifyReply) =>
      readRaw(request, reply, raw, createContext(request));
  }
  if (!upload) {
    return ({ params, query, body, headers }: FastifyRequest, _reply: FastifyReply) =>
      toInput({ params, query, body, headers });
  }
  const read = createUploadReader(upload);
  return async (request: FastifyRequest, reply: FastifyReply) =>
    upload.toInput(await read(request, reply, createContext(request)));
}

/** On a reconnect a browser adds the header to the address that it was given at first. */
function cursorOf({ headers, query }: FastifyRequest): string | undefined {
  const { last_event_id } = query as z.output<typeof StreamQuery>;
  return headers['last-event-id']?.toString() || last_event_id || undefined;
}

function send(reply: FastifyReply, surface: Surface, data: unknown): FastifyReply {
  const body =
    data instanceof JsonText ? jsonTextBody(surface, data) : JSON.stringify(surface.success(data));
  return reply.type(JSON_TYPE).send(body);
}
