import type { RequestListener } from 'node:http';
import cors from '@fastify/cors';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { Config } from '../config.js';
import type { Clock } from '../lib/clock.js';
import { DomainError, stopping } from '../lib/errors.js';
import { type Logger, requestLog } from '../lib/logger.js';
import type { Metrics } from '../lib/metrics.js';
import { failureOf } from '../rest-adapter/envelope.js';
import { createPictureStreams } from '../rest-adapter/mjpeg.js';
import { registerOpenapi } from '../rest-adapter/openapi.js';
import { registerSurface, schemaController } from '../rest-adapter/register.js';
import { createEventStreams } from '../rest-adapter/sse.js';
import { surfaceAt } from '../rest-adapter/surfaces/index.js';
import { kaamos } from '../rest-adapter/surfaces/kaamos.js';
import { kairoio } from '../rest-adapter/surfaces/kairoio.js';
import { compileIfSound } from '../routers/compiled-check.js';
import { appRouter } from '../routers/index.js';
import type { Services } from '../services/index.js';
import type { Arrivals } from './arrivals.js';
import { mountCameraSocket } from './camera-socket.js';
import { mountCommandSocket } from './command-socket.js';
import { createContexts } from './context.js';
import { readCredentials } from './credential.js';
import { mountDocs } from './docs.js';
import { mountFastStatus } from './fast-status.js';
import { closeGently } from './gentle-close.js';
import { inFront } from './in-front.js';
import { mountKaamosSocket } from './kaamos-socket.js';
import { mountOperations } from './operations.js';
import { answerProtocolErrors } from './protocol-errors.js';
import { createRateLimits } from './rate-limits.js';
import { mountRelaySocket } from './relay-socket.js';
import { createRoomLimits, type RoomLimits } from './room-limits.js';
import { mountRoomPage } from './room-page.js';
import { mountTrpcHttp } from './trpc-http.js';
import { createTrpcSse } from './trpc-sse.js';
import { mountTrpcWs } from './trpc-ws.js';
import { passesHandovers } from './trpc-ws-check.js';
import { createUpgrades } from './upgrades.js';
import { mountVideoMethods } from './video-methods.js';

export interface ServerDeps {
  config: Config;
  services: Services;
  metrics: Metrics;
  arrivals: Arrivals;
  log: Logger;
  clock: Clock;
  version: string;
}

/** Room for the names of a whole tRPC batch in one path segment. */
const PARAM_LENGTH = 5_000;
const SLOW_CLIENT_CHECK_MS = 1_000;

/** The Fastify app with every door mounted; it does not listen yet. Closing it ends all streams with a notice. */
export async function createServer(deps: ServerDeps): Promise<FastifyInstance> {
  const { config, services, metrics, arrivals, log, clock, version } = deps;
  const { server } = config;
  let serving = true;
  const app = Fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true }),
    // Request ids come with `requestLog`.
    childLoggerFactory: (logger) => logger,
    trustProxy: server.trusted_proxies.length > 0 ? server.trusted_proxies : false,
    bodyLimit: server.body_limit,
    requestTimeout: server.read_timeout,
    connectionTimeout: server.write_timeout,
    keepAliveTimeout: server.idle_timeout,
    http: {
      headersTimeout: server.read_timeout,
      connectionsCheckingInterval: SLOW_CLIENT_CHECK_MS,
    },
    schemaController,
    routerOptions: { maxParamLength: PARAM_LENGTH, ignoreTrailingSlash: true },
    forceCloseConnections: 'idle',
    // Its answer has a shape of its own.
    return503OnClosing: false,
    clientErrorHandler: answerProtocolErrors(kairoio.failure),
    frameworkErrors: (error, request, reply) => answerError(unreadable(error), request, reply),
  }) as unknown as FastifyInstance;

  // Before the first route: those that are there already keep Fastify's own.
  app.setErrorHandler(answerError);
  app.decorateRequest('identity', undefined);
  readCredentials(app, services.tickets, arrivals.keyOf);
  measure(app, metrics, log);
  closeGently(app);
  const isServing = () => serving;
  app.addHook('preClose', async () => {
    serving = false;
  });
  mountVideoMethods(app, ['', `/compat/${kairoio.name}`]);
  await app.register(cors, {
    origin: server.cors_origins.includes('*') ? '*' : server.cors_origins,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      ...['Retry-After', 'X-Next-Cursor'],
      ...['Location', 'ETag', 'Link', 'Accept-Post', 'Accept-Patch'],
    ],
    strictPreflight: false,
    maxAge: 86_400,
  });
  // After CORS, or a browser on another origin could not read it.
  refuseWhenStopping(app, isServing);
  const rateLimits = createRateLimits(app, config);
  const roomLimits = createRoomLimits(config, clock);
  const contexts = createContexts(services, rateLimits, roomLimits, server.public_url);
  registerOpenapi(app, version);

  refuseUnknownPaths(app, arrivals);
  const nativeFrames = await areFramesNative(config, log);
  const streams = createEventStreams({
    streamsPerIp: config.limits.sockets_per_ip,
    ...{ clock, nativeFrames },
  });
  app.addHook('preClose', async () => streams.closeAll());
  const pictures = createPictureStreams(config.limits.sockets_per_ip);
  app.addHook('preClose', async () => pictures.closeAll());
  const router = config.http.compiled_procedures ? await compileIfSound(appRouter, log) : appRouter;
  const surface = { router, createContext: contexts.forRest, streams, pictures };
  const atRoot = { ...kairoio, rows: kairoio.rows.filter(({ path }) => path !== '/health') };
  app.register(async (scope) => registerSurface(scope, { ...surface, surface: atRoot }));
  app.register(
    async (scope) => registerSurface(scope, { ...surface, surface: kairoio, hidden: true }),
    { prefix: `/compat/${kairoio.name}` },
  );

  const roomsAtRoot = { ...kaamos, rows: kaamos.rows.filter(({ path }) => path !== '/health') };
  app.register(async (scope) => {
    limitRooms(scope, roomLimits);
    registerSurface(scope, { ...surface, surface: roomsAtRoot });
  });
  app.register(
    async (scope) => {
      limitRooms(scope, roomLimits);
      registerSurface(scope, { ...surface, surface: kaamos, hidden: true });
    },
    { prefix: `/compat/${kaamos.name}` },
  );
  await mountRoomPage(app, ['', `/compat/${kaamos.name}`]);

  const upgrades = createUpgrades(app, arrivals.receive);
  mountKaamosSocket(app, {
    ...{ services, upgrades, log, roomLimits, clock },
    prefixes: ['', `/compat/${kaamos.name}`],
    createContext: contexts.forRest,
    isLimited: config.features.rate_limiting_enabled,
    limits: {
      socketsPerIp: config.limits.sockets_per_ip,
      bufferBytes: config.limits.stream_buffer,
    },
  });
  mountCommandSocket(app, {
    ...{ services, upgrades, log },
    prefixes: ['', `/compat/${kairoio.name}`],
    createContext: contexts.forRest,
    isLimited: config.features.rate_limiting_enabled,
  });
  mountCameraSocket(app, {
    ...{ services, upgrades, log },
    prefixes: ['', `/compat/${kairoio.name}`],
    createContext: contexts.forRest,
    socketsPerIp: config.limits.sockets_per_ip,
  });
  mountRelaySocket(app, {
    ...{ services, upgrades, log, clock },
    isLimited: config.features.rate_limiting_enabled,
    limits: {
      socketsPerIp: config.limits.sockets_per_ip,
      bufferBytes: config.limits.stream_buffer,
    },
  });
  app.register(async (scope) => {
    const door = { router, createContext: contexts.forTrpc, log };
    const sse = nativeFrames ? createTrpcSse(door, streams) : undefined;
    mountTrpcHttp(scope, { ...door, sse, fast: config.http.fast_trpc });
    mountTrpcWs(scope, {
      ...{ ...door, upgrades, nativeFrames },
      limits: {
        payloadLimitBytes: server.body_limit,
        socketsPerIp: config.limits.sockets_per_ip,
        bufferBytes: config.limits.stream_buffer,
      },
    });
  });
  mountOperations(app, { services, metrics, isServing });
  mountDocs(app);

  if (config.http.fast_status) {
    mountFastStatus(app, { services, rateLimits, metrics, log, config, arrivals, isServing });
  }
  inFront(app.server, 'request', (next: RequestListener): RequestListener => {
    return (request, response) => {
      arrivals.receive(request);
      next(request, response);
    };
  });
  await app.ready();
  return app;
}

/** Whether events go past the tRPC library (ADR 11): if they are to, and the library is as we know it. */
async function areFramesNative({ realtime }: Config, log: Logger): Promise<boolean> {
  if (!realtime.native_frames) return false;
  if (await passesHandovers(appRouter).catch(() => false)) return true;
  log.warn('This tRPC library is not as expected: events are sent the slow way, through it');
  return false;
}

/** A path that the router cannot read; its own message repeats the whole of it. */
function unreadable(error: FastifyError): FastifyError {
  const tooLong = error.statusCode === 414;
  error.message = tooLong ? 'A part of the path is too long' : 'The path is not encoded rightly';
  return error;
}

/** The answer to whatever goes wrong outside of every surface. */
function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const { retryAfterMs, ...failure } = failureOf(error, requestLog(request.log, request.id));
  if (retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(retryAfterMs / 1_000));
  void reply.code(failure.status).send(surfaceAt(request.url).failure(failure));
}

const HEALTH = /\/health(\/ready)?$/;

/** What comes over connections that are still open. Only who asks for the server's health is told, to the last. */
function refuseWhenStopping(app: FastifyInstance, isServing: () => boolean): void {
  app.addHook('onRequest', ({ routeOptions }, _reply, done) => {
    const isServed = isServing() || HEALTH.test(routeOptions.url ?? '');
    done(isServed ? undefined : stopping());
  });
}

/** Before their body is read, and after they were counted: a flood of them costs as little as any other. */
function refuseUnknownPaths(app: FastifyInstance, arrivals: Arrivals): void {
  app.addHook('onRequest', async (request) => {
    if (!request.is404) return;
    const path = arrivals.pathOf(request.raw);
    throw new DomainError('not_found', `There is no ${request.method} ${path}; see /docs`);
  });
}

/** Counted before their callers are known, as the rest is. */
function limitRooms(scope: FastifyInstance, limits: RoomLimits): void {
  scope.addHook('onRequest', async ({ ip, routeOptions }) => {
    const { row } = routeOptions.config;
    if (row?.procedure === 'rooms.create') limits.create(ip);
    if (row?.procedure === 'rooms.get') limits.read(ip);
  });
}

function measure(app: FastifyInstance, metrics: Metrics, log: Logger): void {
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    const status = String(reply.statusCode);
    metrics.httpRequest({ method: request.method, route, status }, reply.elapsedTime / 1_000);
    if (log.isLevelEnabled('debug')) {
      const fields = { method: request.method, route, status, duration_ms: reply.elapsedTime };
      requestLog(log, request.id).debug(fields, 'request');
    }
    done();
  });
}
