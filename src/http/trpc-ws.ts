import { Socket } from 'node:net';
// Adds `hide` to the type of a route's schema.
import type {} from '@fastify/swagger';
import websocket from '@fastify/websocket';
import type { AnyRouter, inferRouterContext } from '@trpc/server';
import { getWSConnectionHandler } from '@trpc/server/adapters/ws';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { createAddressPlaces } from '../lib/address-places.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type { PressureSocket } from '../realtime/pressure.js';
import { errorLogger, shapeOf, toDoorError } from './trpc-errors.js';
import { createLedger, type Ledger } from './trpc-ws-ledger.js';
import { createEventFrames, portOf, takeHandovers } from './trpc-ws-native.js';
import type { Upgrades } from './upgrades.js';
import { pressureOf } from './ws-pressure.js';

/** What a context is made from, whichever tRPC door the call came through. */
export interface ContextSource {
  req: FastifyRequest;
  /** What the client sent first on its socket; `token` is a credential as good as the Authorization header. */
  connectionParams: Readonly<Record<string, string | undefined>> | null;
  /** The connection that the answers are written to; absent for injected requests. */
  socket: PressureSocket | undefined;
}

export interface TrpcDoorOptions<TRouter extends AnyRouter> {
  router: TRouter;
  /** HTTP: once per request. WebSocket: once per socket. */
  createContext: (
    source: ContextSource,
  ) => inferRouterContext<TRouter> | Promise<inferRouterContext<TRouter>>;
  log: Logger;
}

export interface TrpcWsLimits {
  payloadLimitBytes: number;
  socketsPerIp: number;
  subscriptionsPerSocket: number;
  /** Per socket; as many may be unanswered at any moment. */
  callsPerSecond: number;
  batchLimitCalls: number;
  /** Answers that may wait on a socket before its further calls are left unread. */
  bufferBytes: number;
}

export const DEFAULT_TRPC_WS_LIMITS: TrpcWsLimits = {
  payloadLimitBytes: 1_048_576,
  socketsPerIp: 100,
  subscriptionsPerSocket: 100,
  callsPerSecond: 200,
  batchLimitCalls: 100,
  bufferBytes: 1_048_576,
};

interface Connection {
  socket: WebSocket;
  ledger: Ledger;
}

const PATH = '/trpc';
const RECONNECT_NOTICE = '{"id":null,"method":"reconnect"}';
/** RFC 6455 registry: the server restarts; come back. */
const CLOSE_RESTART = 1_012;
const ANSWER_GRACE_MS = 1_000;
const CLOSE_GRACE_MS = 500;

/**
 * Serves `router` to WebSockets at `GET /trpc`. A socket above a limit gets an error that names it and stays; an address
 * with too many sockets is refused with 429 before the upgrade. When the app closes, `closeAll` runs first.
 */
export function mountTrpcWs<TRouter extends AnyRouter>(
  app: FastifyInstance,
  options: TrpcDoorOptions<TRouter> & {
    upgrades: Upgrades;
    limits?: Partial<TrpcWsLimits>;
    clock?: Clock;
    /** Whether events go past the library, which takes one that `passesHandovers`. By default they do. */
    nativeFrames?: boolean;
  },
): {
  /** Asks every client to reconnect, answers the calls in flight, and closes every socket within about 1.5 s. */
  closeAll(): Promise<void>;
  socketCount(): number;
} {
  const { router, createContext, log, clock = systemClock, nativeFrames = true } = options;
  const limits = { ...DEFAULT_TRPC_WS_LIMITS, ...options.limits };
  const onError = errorLogger(log);
  const frames = createEventFrames();
  const connections = new Set<Connection>();
  const places = createAddressPlaces(limits.socketsPerIp, 'sockets');
  let closing: Promise<void> | undefined;
  const upgrades = options.upgrades.at(PATH, () => closing !== undefined);

  function refuseUpgrade(req: FastifyRequest, reply: FastifyReply, done: () => void): void {
    if (closing) {
      refuse(
        reply,
        new DomainError('unavailable', 'The server is shutting down', { retryAfterMs: 1_000 }),
      );
      return;
    }
    try {
      places.assertFree(req.ip);
    } catch (error) {
      refuse(reply, error as DomainError);
      return;
    }
    done();
  }

  function refuse(reply: FastifyReply, error: DomainError): void {
    const retryAfterSeconds = Math.ceil((error.details.retryAfterMs ?? 0) / 1_000);
    void reply
      .code(error.code === 'rate_limited' ? 429 : 503)
      .header('retry-after', retryAfterSeconds)
      .send({ error: shapeOf(router, toDoorError(error)) });
  }

  function serve(socket: WebSocket, req: FastifyRequest): void {
    const { ip, raw } = req;
    const connection = raw.socket as Socket | undefined;
    // Each of many streams may wait for `drain` on this one connection.
    connection?.setMaxListeners(0);
    if (connection) upgrades.established(connection);
    const isPlain = connection instanceof Socket && socket.extensions === '';
    const pressure = connection && pressureOf(socket, connection, clock, nativeFrames && isPlain);
    const ledger = createLedger({
      router,
      clock,
      ...limits,
      send: (frame) => socket.send(frame),
      onMessage: () => pauseWhileFull(socket, connection, limits.bufferBytes),
    });
    const entry = { socket, ledger };
    connections.add(entry);
    socket.once('close', places.take(ip));
    socket.once('close', () => connections.delete(entry));
    const listen = getWSConnectionHandler<AnyRouter>({
      wss: app.websocketServer,
      router,
      createContext: ({ info }) =>
        createContext({ req, connectionParams: info.connectionParams, socket: pressure }),
      onError,
      keepAlive: { enabled: true, pingMs: 25_000, pongWaitMs: 20_000 },
      experimental_encoder: connection
        ? takeHandovers(ledger.encoder, { ws: socket, connection, frames })
        : ledger.encoder,
    });
    listen(portOf(socket), raw);
  }

  async function closeEverySocket(): Promise<void> {
    const open = [...connections];
    const closed = open.map(
      ({ socket }) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
    );
    for (const { socket } of open) socket.send(RECONNECT_NOTICE);
    await within(ANSWER_GRACE_MS, Promise.all(open.map(({ ledger }) => ledger.drain())));
    for (const { socket } of open) socket.close(CLOSE_RESTART, 'The server is shutting down');
    await within(CLOSE_GRACE_MS, Promise.all(closed));
    for (const { socket } of open) socket.terminate();
    await Promise.all(closed);
  }

  function closeAll(): Promise<void> {
    closing ??= closeEverySocket();
    return closing;
  }

  app.addHook('preClose', closeAll);
  app.register(websocket, {
    options: {
      server: upgrades.server,
      maxPayload: limits.payloadLimitBytes,
      perMessageDeflate: false,
    },
    errorHandler(error, socket) {
      log.debug({ err: error }, 'WebSocket error');
      socket.terminate();
    },
  });
  app.register(async (scope) => {
    scope.route({
      method: 'GET',
      url: PATH,
      schema: { hide: true },
      exposeHeadRoute: false,
      preHandler: (req, reply, done) => {
        if (req.ws) refuseUpgrade(req, reply, done);
        else done();
      },
      handler: (_req, reply) => {
        const error = new DomainError(
          'invalid_input',
          'This address takes WebSockets; calls go to /trpc/<procedure>',
        );
        void reply
          .code(426)
          .header('upgrade', 'websocket')
          .send({ error: shapeOf(router, toDoorError(error)) });
      },
      wsHandler: serve,
    });
  });
  return { closeAll, socketCount: () => connections.size };
}

/** Stops reading calls while the answers of earlier ones pile up: who does not read cannot ask either. */
function pauseWhileFull(socket: WebSocket, connection: Socket | undefined, capBytes: number): void {
  if (!connection || socket.isPaused) return;
  if (connection.writableLength <= Math.max(capBytes, connection.writableHighWaterMark)) return;
  socket.pause();
  connection.once('drain', () => socket.resume());
}

async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, deadline]);
  clearTimeout(timer);
}
