import { callTRPCProcedure } from '@trpc/server';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { goneSignal } from '../lib/gone-signal.js';
import { requestLog } from '../lib/logger.js';
import type { AppRouter } from '../routers/index.js';
import { type CreateContext, type DirectCall, JsonText, type Row, type Surface } from './define.js';
import { failureOf } from './envelope.js';
import { sendFile } from './file.js';
import type { PictureStreams } from './mjpeg.js';
import { readRaw, sendRaw } from './raw.js';
import type { StreamQuery } from './row-schema.js';
import type { EventStreams } from './sse.js';
import { jsonStreamBody, jsonTextBody, textStreamBody } from './stream.js';
import { createUploadReader } from './upload.js';

/** What rows are answered with. */
export interface HandlerOptions {
  surface: Surface;
  /** Where the procedures behind the rows are. */
  router: AppRouter;
  createContext: CreateContext;
  streams: EventStreams;
  pictures: PictureStreams;
}

export const JSON_TYPE = 'application/json; charset=utf-8';

const NOTHING = Buffer.alloc(0);

/** Answers the requests for a row whose caller is known. */
export function handlerOf(row: Row, options: HandlerOptions) {
  const { surface, router, createContext } = options;

  function callOf(request: FastifyRequest): DirectCall<never, never> {
    const { identity, params, query, body } = request;
    // Its handler alone decides how long the body lives.
    request.body = undefined;
    if (!identity) throw new Error(`${row.path} is answered before its caller is known`);
    const bytes = Buffer.isBuffer(body) ? body : NOTHING;
    return { ...identity, params: params as never, query: query as never, bytes };
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
