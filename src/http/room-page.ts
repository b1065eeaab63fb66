import { readFile } from 'node:fs/promises';
import type { FastifyInstance, FastifyReply } from 'fastify';

/** Beside src and dist alike. */
const FOLDER = new URL('../../public/room/', import.meta.url);
const FILES = [
  ['room.css', 'text/css; charset=utf-8'],
  ['room.mjs', 'text/javascript; charset=utf-8'],
  ['signalling.mjs', 'text/javascript; charset=utf-8'],
] as const;
/** Nothing from another host. Safari does not count WebSockets as `self`. */
const CONTENT_POLICY =
  "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob: mediastream:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/** The page of a room, `/room/:id`, for people who were sent its address. It asks for everything else as any client does. */
export async function mountRoomPage(
  app: FastifyInstance,
  prefixes: readonly string[],
): Promise<void> {
  const page = await readFile(new URL('room.html', FOLDER));
  for (const prefix of prefixes) {
    app.get(`${prefix}/room/:roomId`, { schema: { hide: true } }, (_request, reply) =>
      send(reply, page, 'text/html; charset=utf-8'),
    );
  }
  for (const [name, type] of FILES) {
    const file = await readFile(new URL(name, FOLDER));
    for (const prefix of prefixes) {
      app.get(`${prefix}/room-page/${name}`, { schema: { hide: true } }, (_request, reply) =>
        send(reply, file, type),
      );
    }
  }
}

/** Not kept by browsers, so that a page and its script are always of one version. */
function send(reply: FastifyReply, body: Buffer, type: string): FastifyReply {
  return reply
    .headers({
      'cache-control': 'no-cache',
      'content-security-policy': CONTENT_POLICY,
      'permissions-policy': 'camera=(self), microphone=(self), autoplay=(self)',
      // The address holds what lets one in.
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
    .type(type)
    .send(body);
}
