import type { FastifyReply, FastifyRequest } from 'fastify';
import { DomainError } from '../lib/errors.js';

/** What is taken of a refused body so that its sender, who reads only when all is sent, gets the answer. */
const DISCARD_LIMIT_BYTES = 64 * 2 ** 20;

/** Reads a body as bytes. @throws DomainError `too_large` naming the limit, `invalid_input` when it breaks off. */
export async function readBytes(
  { raw }: FastifyRequest,
  limit: { bytes: number; name: string },
): Promise<Buffer> {
  if (Number(raw.headers['content-length'] ?? 0) > limit.bytes) throw tooLarge(limit);
  const chunks: Buffer[] = [];
  let received = 0;
  return new Promise((resolve, reject) => {
    function finish(settle: () => void): void {
      raw.off('data', onData).off('end', onEnd).off('close', onClose);
      settle();
    }
    function onData(chunk: Buffer): void {
      received += chunk.length;
      if (received > limit.bytes) finish(() => reject(tooLarge(limit)));
      else chunks.push(chunk);
    }
    const onEnd = () => finish(() => resolve(Buffer.concat(chunks, received)));
    const onClose = () =>
      finish(() => reject(new DomainError('invalid_input', 'The body broke off')));
    if (raw.readableEnded) return resolve(Buffer.alloc(0));
    if (raw.destroyed) return onClose();
    raw.on('data', onData).once('end', onEnd).once('close', onClose);
  });
}

function tooLarge({ bytes, name }: { bytes: number; name: string }): DomainError {
  return new DomainError('too_large', `The body is too large: at most ${bytes} bytes (${name})`, {
    limit: name,
  });
}

/** Runs what reads a body; one that it leaves unread is out of the way of the next request, or there is none. */
export async function readingBody<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    // Nobody knows where the next request would begin.
    if (!(await discardRest(request))) reply.header('connection', 'close');
    throw error;
  }
}

/** Reads what is left of a body and forgets it. False when it does not end within reason. */
async function discardRest({ raw }: FastifyRequest): Promise<boolean> {
  if (raw.readableEnded) return true;
  if (raw.destroyed) return false;
  return new Promise((resolve) => {
    let discarded = 0;
    function count(chunk: Buffer): void {
      discarded += chunk.length;
      if (discarded > DISCARD_LIMIT_BYTES) finish(false);
    }
    const onEnd = () => finish(true);
    const onClose = () => finish(false);
    function finish(isWhole: boolean): void {
      raw.off('data', count).off('end', onEnd).off('close', onClose);
      resolve(isWhole);
    }
    raw.on('data', count).once('end', onEnd).once('close', onClose);
    raw.resume();
  });
}
