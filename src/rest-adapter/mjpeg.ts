import { randomBytes } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createAddressPlaces } from '../lib/address-places.js';
import { DomainError } from '../lib/errors.js';
import type { CameraReader, Frame } from '../services/robot-camera.js';

/** The streams of pictures that are open. */
export interface PictureStreams {
  /**
   * Answers with the frames of `open`, each in place of the last, until they or the connection end.
   * @throws DomainError `rate_limited` when the address has too many streams; what `open` throws.
   */
  serve(
    request: FastifyRequest,
    reply: FastifyReply,
    open: (reader: Pick<CameraReader, 'socket' | 'signal'>) => Promise<AsyncIterable<Frame>>,
  ): Promise<void>;
  closeAll(): void;
}

/** No JPEG holds it. */
const BOUNDARY = `frame-${randomBytes(12).toString('hex')}`;
/**
 * Begins a part. Chromium shows a picture when it has read the head of the next, so that one comes at once; the length of
 * what is not there yet cannot be in it.
 */
const PART = `--${BOUNDARY}\r\ncontent-type: image/jpeg\r\n\r\n`;
const HEADERS = {
  'content-type': `multipart/x-mixed-replace; boundary=${BOUNDARY}`,
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff',
  connection: 'close',
};
/** A viewer whose machine is gone is noticed even while its robot sends nothing. */
const KEEP_ALIVE_MS = 15_000;

export function createPictureStreams(streamsPerIp: number): PictureStreams {
  const places = createAddressPlaces(streamsPerIp, 'streams');
  const open = new Set<AbortController>();

  return {
    async serve(request, reply, source) {
      const response = reply.raw;
      places.assertFree(request.ip);
      // What is written before the answers ahead of it have gone out is held in memory without a bound.
      if (!response.socket) {
        throw new DomainError('invalid_input', 'A stream cannot be pipelined behind a request');
      }
      const gone = new AbortController();
      response.once('close', () => gone.abort());
      const frames = await source({ socket: response, signal: gone.signal });
      const leave = places.take(request.ip);
      open.add(gone);
      reply.hijack();
      response.socket.setTimeout(0).setKeepAlive(true, KEEP_ALIVE_MS);
      response.writeHead(200, { ...(reply.getHeaders() as OutgoingHttpHeaders), ...HEADERS });
      response.write(PART);
      try {
        for await (const { bytes } of frames) {
          response.write(bytes);
          response.write(`\r\n${PART}`);
        }
      } catch (error) {
        // Its credential has ended, or it took nothing for too long; the answer has begun and cannot say so.
        request.log.debug({ err: error }, 'a stream of pictures ended');
      } finally {
        leave();
        open.delete(gone);
        response.end();
      }
    },
    closeAll() {
      for (const gone of open) gone.abort();
    },
  };
}
