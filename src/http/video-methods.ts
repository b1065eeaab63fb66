import type { FastifyInstance } from 'fastify';

const ENDPOINT = /^(\/compat\/kairoio)?\/wh[ie]p\/[^/?]+\/?(\?|$)/;
const NAMES = ['whip', 'whep'] as const;

/**
 * What WHIP and WHEP say of methods (RFC 9725 4.2 and 4.3): an OPTIONS tells what may be posted, and those that a
 * resource does not have are 405. Call it before CORS is mounted, which answers OPTIONS.
 */
export function mountVideoMethods(app: FastifyInstance, prefixes: readonly string[]): void {
  app.addHook('onRequest', (request, reply, done) => {
    if (request.method === 'OPTIONS' && ENDPOINT.test(request.url)) {
      reply.header('accept-post', 'application/sdp');
    }
    done();
  });
  for (const path of prefixes.flatMap((prefix) => NAMES.map((name) => `${prefix}/${name}`))) {
    refuse(`${path}/:robotId`, ['GET', 'PUT', 'PATCH', 'DELETE'], 'POST, OPTIONS');
    refuse(`${path}/:robotId/:sessionId`, ['GET', 'PUT', 'POST'], 'PATCH, DELETE, OPTIONS');
  }

  function refuse(url: string, methods: string[], allow: string): void {
    app.route({
      method: methods,
      url,
      schema: { hide: true },
      // Its body is of no matter.
      onRequest: async (request, reply) => {
        reply.header('allow', allow);
        const message = `${request.method} means nothing here; there is ${allow}`;
        throw Object.assign(new Error(message), { statusCode: 405 });
      },
      handler: () => {},
    });
  }
}
