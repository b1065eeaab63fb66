import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Context } from '../routers/context.js';
import { readBytes, readingBody } from './body.js';

/** A body that is no JSON, and the rest of its request, validated. */
export interface RawCall<Params, Query> {
  params: Params;
  query: Query;
  headers: FastifyRequest['headers'];
  bytes: Uint8Array;
}

export interface RawAnswer {
  status: number;
  headers: Readonly<Record<string, string>>;
  type?: string;
  body?: string;
}

/** What a row takes, and answers with, when that is no JSON. */
export interface RawSpec<Params, Query, Input, Output> {
  /** The content type of the body; any other is 415. */
  takes: string;
  limit: (ctx: Context) => { bytes: number; name: string };
  toInput: (call: RawCall<Params, Query>) => Input;
  /** By default JSON in the envelope. */
  toAnswer?: (output: Output, call: { params: Params; ctx: Context }) => RawAnswer;
  /** What `toAnswer` gives, for the document: the content type by status, null without a body. */
  answers?: Readonly<Record<number, string | null>>;
}

/** Makes `scope` leave bodies to `readRaw`. */
export function acceptRaw(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, _body, done) => done(null));
}

/** @throws status 415 for another content type; as `readBytes`. */
export async function readRaw(
  request: FastifyRequest,
  reply: FastifyReply,
  { takes, limit, toInput }: RawSpec<never, never, unknown, never>,
  ctx: Context,
): Promise<unknown> {
  const bytes = await readingBody(request, reply, async () => {
    const [type = ''] = request.headers['content-type']?.toLowerCase().split(';') ?? [];
    if (type.trim() === takes) return readBytes(request, limit(ctx));
    throw Object.assign(new Error(`Send a body of the content type ${takes}`), { statusCode: 415 });
  });
  const { params, query, headers } = request;
  return toInput({ params: params as never, query: query as never, headers, bytes });
}

export function sendRaw(reply: FastifyReply, { status, headers, type, body }: RawAnswer) {
  reply.code(status).headers(headers);
  return type === undefined ? reply.send() : reply.type(type).send(body);
}
