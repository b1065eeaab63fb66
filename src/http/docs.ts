import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Nothing from another host, and nothing turned into HTTPS: many a server in a workshop has no certificate. */
const CONTENT_POLICY =
  "default-src 'self'; base-uri 'none'; frame-ancestors 'self'; img-src 'self' data:; object-src 'none'";

/** The document at `/openapi.json`, and a page to read and try it at `/docs`, served from the package alone. */
export async function mountDocs(app: FastifyInstance): Promise<void> {
  let text: string | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    text ??= JSON.stringify(app.swagger());
    return reply.type('application/json; charset=utf-8').send(text);
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_POLICY,
    uiConfig: { url: '/openapi.json', docExpansion: 'list', persistAuthorization: true },
    theme: { title: 'Fleetwire API' },
  });
}
