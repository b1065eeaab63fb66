import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** A body that is no JSON, and is read only when the client has not got it yet. */
export interface FileAnswer {
  contentType: string;
  /** What changes when the bytes do; no quotes. */
  tag: string;
  /** Null when it is not known before it is read. */
  sizeBytes: number | null;
  headers?: Readonly<Record<string, string>>;
  read: () => Promise<Uint8Array>;
}

/** Answers with the file, or with 304 when the client names its tag; a HEAD reads nothing. */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  file: FileAnswer,
): Promise<FastifyReply> {
  const etag = `"${file.tag}"`;
  reply.headers({
    etag,
    // It may be deleted, or its reader lose the right to it.
    'cache-control': 'private, no-cache',
    'x-content-type-options': 'nosniff',
    ...file.headers,
  });
  if (names(request.headers['if-none-match'], etag)) return reply.code(304).send();
  reply.type(file.contentType);
  if (request.method === 'HEAD') {
    if (file.sizeBytes !== null) reply.header('content-length', file.sizeBytes);
    return reply.send(Readable.from([]));
  }
  const bytes = await file.read();
  return reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
}

/** Whether an `If-None-Match` is about this tag; weak ones count, as they do for reading. */
function names(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etag);
}
