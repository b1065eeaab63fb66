import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** How long a sender that does not stop may take to notice the answer. */
const LINGER_MS = 2_000;

/** Lets every answer of `app` that ends its connection reach who is still sending. */
export function closeGently(app: FastifyInstance): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    if (reply.getHeader('connection') === 'close' && !request.raw.complete) linger(request.raw);
    done(null, payload);
  });
}

/**
 * Node closes a connection as soon as its last answer is out. What still comes in would then be answered with a reset,
 * and a sender that is reset may lose the answer (RFC 9112, section 9.6): so its body is read, and forgotten, until it
 * hangs up or the time is over. Call it before that answer.
 */
export function linger(request: IncomingMessage): void {
  const { socket } = request;
  socket.destroySoon = () => {
    const impatience = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(impatience));
    socket.end();
    request.resume();
  };
}
