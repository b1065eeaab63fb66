import cors from '@fastify/cors';
import Fastify, { type FastifyInstance, LogController } from 'fastify';
import type { Config } from '../config.js';
import type { Logger } from '../lib/logger.js';
import type { Metrics } from '../lib/metrics.js';
import { failureOf } from '../rest-adapter/envelope.js';
import { registerOpenapi } from '../rest-adapter/openapi.js';
import { registerSurface } from '../rest-adapter/register.js';
import { kairoio } from '../rest-adapter/surfaces/kairoio.js';
import { appRouter } from '../routers/index.js';
import type { Services } from '../services/index.js';
import { createContexts } from './context.js';
import { readCredentials } from './credential.js';
import { mountDocs } from './docs.js';
import { mountOperations } from './operations.js';
import { createRateLimits } from './rate-limits.js';
import { mountTrpcHttp } from './trpc-http.js';
import { mountTrpcWs } from './trpc-ws.js';

export interface ServerDeps {
  config: Config;
  services: Services;
  metrics: Metrics;
  log: Logger;
  version: string;
}

/** Room for the names of a whole tRPC batch in one path segment. */
const PARAM_LENGTH = 5_000;
const SLOW_CLIENT_CHECK_MS = 1_000;

/** The Fastify app with every door mounted; it does not listen yet. Closing it ends all streams with a notice. */
export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { config, services, metrics, log, version } = deps;
  const { server } = config;
  let serving = true;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: server.trusted_proxies.length > 0 ? server.trusted_proxies : false,
    bodyLimit: server.body_limit,
    requestTimeout: server.read_timeout,
    connectionTimeout: server.write_timeout,
    keepAliveTimeout: server.idle_timeout,
    http: {
      headersTimeout: server.read_timeout,
      connectionsCheckingInterval: SLOW_CLIENT_CHECK_MS,
    },
    routerOptions: { maxParamLength: PARAM_LENGTH },
    forceCloseConnections: 'idle',
  }) as unknown as FastifyInstance;

  app.decorateRequest('bodyText', '');
  readCredentials(app);
  measure(app, metrics);
  app.addHook('preClose', async () => {
    serving = false;
  });
  await app.register(cors, {
    origin: server.cors_origins.includes('*') ? '*' : server.cors_origins,
    maxAge: 86_400,
  });
  const rateLimits = await createRateLimits(app, config);
  const contexts = createContexts(services, rateLimits);
  await registerOpenapi(app, version);

  const surface = { createContext: contexts.forRest, admit: rateLimits.hook };
  const atRoot = { ...kairoio, rows: kairoio.rows.filter(({ path }) => path !== '/health') };
  app.register(async (scope) => registerSurface(scope, { ...surface, surface: atRoot }));
  app.register(
    async (scope) => registerSurface(scope, { ...surface, surface: kairoio, hidden: true }),
    { prefix: `/compat/${kairoio.name}` },
  );

  const admitTrpc = rateLimits.hook(undefined);
  app.register(async (scope) => {
    const door = { router: appRouter, createContext: contexts.forTrpc, log };
    if (admitTrpc) scope.addHook('onRequest', admitTrpc);
    mountTrpcHttp(scope, door);
    mountTrpcWs(scope, {
      ...door,
      limits: {
        payloadLimitBytes: server.body_limit,
        socketsPerIp: config.limits.sockets_per_ip,
        bufferBytes: config.limits.stream_buffer,
      },
    });
  });
  mountOperations(app, { services, metrics, rateLimits, isServing: () => serving });
  await mountDocs(app);

  app.setNotFoundHandler({ preHandler: [] }, (request, reply) => {
    const message = `There is no ${request.method} ${request.url.split('?')[0]}; see /docs`;
    return reply.code(404).send(kairoio.failure({ status: 404, code: 'not_found', message }));
  });
  app.setErrorHandler((error, request, reply) => {
    const { retryAfterMs, ...failure } = failureOf(error, request.log);
    if (retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(retryAfterMs / 1_000));
    return reply.code(failure.status).send(kairoio.failure(failure));
  });
  await app.ready();
  return app;
}

function measure(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const status = String(reply.statusCode);
    metrics.httpRequest({ method: request.method, route, status }, reply.elapsedTime / 1_000);
    request.log.debug(
      { method: request.method, route, status, duration_ms: reply.elapsedTime },
      'request',
    );
    done();
  });
}
