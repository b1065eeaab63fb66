import Fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import { onDemand } from '../lib/on-demand.js';

/** Nothing from another host, and nothing turned into HTTPS: many a server in a workshop has no certificate. */
const CONTENT_POLICY =
  "default-src 'self'; base-uri 'none'; frame-ancestors 'self'; img-src 'self' data:; object-src 'none'";
const PAGES = ['/docs', '/docs/json', '/docs/yaml', '/docs/static/*'];

/** The document at `/openapi.json`, and a page to read and try it at `/docs`, served from the package alone. */
export function mountDocs(app: FastifyInstance): void {
  const document = onDemand(async () => JSON.stringify(await app.openapi()));
  const pages = onDemand(() => openPages(app));
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(await document()),
  );
  for (const url of PAGES) {
    app.get(url, { schema: { hide: true } }, async (request, reply) =>
      handOver(await pages(), request, reply),
    );
  }
}

/** An app of their own, made for the first who looks: its packages are a tenth of what a server would load. */
async function openPages(app: FastifyInstance): Promise<FastifyInstance> {
  const [{ default: swagger }, { default: swaggerUi }] = await Promise.all([
    import('@fastify/swagger'),
    import('@fastify/swagger-ui'),
  ]);
  const pages = Fastify({
    loggerInstance: app.log,
    logController: new LogController({ disableRequestLogging: true }),
    routerOptions: { ignoreTrailingSlash: true },
  }) as unknown as FastifyInstance;
  pages.setErrorHandler(app.errorHandler);
  const document = (await app.openapi()) as never;
  await pages.register(swagger, { mode: 'static', specification: { document } });
  await pages.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_POLICY,
    uiConfig: { url: '/openapi.json', docExpansion: 'list', persistAuthorization: true },
    theme: { title: 'Fleetwire API' },
  });
  await pages.ready();
  return pages;
}

/** From here on the other app answers, with the headers that ours has given already. */
function handOver(pages: FastifyInstance, request: FastifyRequest, reply: FastifyReply): void {
  reply.hijack();
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) reply.raw.setHeader(name, value);
  }
  pages.routing(request.raw, reply.raw);
}
