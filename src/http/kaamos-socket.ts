import type { Socket } from 'node:net';
import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { RoomId } from '../contract/rooms.js';
import type { RoomRow } from '../db/repositories/rooms.js';
import { createAddressPlaces } from '../lib/address-places.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { type Logger, requestLog } from '../lib/logger.js';
import { failureOf } from '../rest-adapter/envelope.js';
import { kaamos } from '../rest-adapter/surfaces/kaamos.js';
import type { Context } from '../routers/context.js';
import { requireScope, visitorOf } from '../routers/trpc.js';
import type { Services } from '../services/index.js';
import { credentialIdOf } from '../services/rooms.js';
import { type RoomConnection, serveRoom } from './kaamos-session.js';
import type { RoomLimits } from './room-limits.js';
import type { Upgrades } from './upgrades.js';
import { createSocketSet, keepWatch } from './ws-life.js';
import { pressureOf } from './ws-pressure.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The room that a caller may enter. */
    room: AdmittedRoom | undefined;
  }
}

interface AdmittedRoom {
  row: RoomRow;
  /** Tells one credential from another; null without one. */
  credentialId: string | null;
}

export interface KaamosSocketOptions {
  services: Services;
  upgrades: Upgrades;
  log: Logger;
  prefixes: readonly string[];
  createContext: (request: FastifyRequest) => Context;
  roomLimits: RoomLimits;
  limits: { socketsPerIp: number; bufferBytes: number };
  /** Whether the limit of frames applies. */
  isLimited: boolean;
  clock?: Clock;
}

const PATH = /^(\/compat\/kaamos)?\/ws\/[^/]+\/?$/;
const FRAME_LIMIT_BYTES = 262_144;
const PING_MS = 30_000;
/** RFC 6455 registry: the server restarts; come back. */
const CLOSE_RESTART = 1_012;

/**
 * The WebSockets of rooms, `/ws/:room_id`. Who may not enter is answered before the upgrade as by REST; what comes after
 * is in kaamos-session.ts.
 */
export function mountKaamosSocket(app: FastifyInstance, options: KaamosSocketOptions): void {
  const { services, log, createContext, limits, clock = systemClock } = options;
  const sockets = createSocketSet();
  const places = createAddressPlaces(limits.socketsPerIp, 'sockets');
  const path = options.upgrades.at(PATH, () => sockets.isClosing);

  async function admit(request: FastifyRequest): Promise<void> {
    const { ip } = request;
    options.roomLimits.join(ip);
    places.assertFree(ip);
    const visitor = await visitorOf(createContext(request));
    const { principal } = visitor;
    if (principal) requireScope(principal, 'rooms:join');
    const row = await services.rooms.enter(visitor, roomIdOf(request));
    request.room = { row, credentialId: credentialIdOf(visitor) };
  }

  function serve(ws: WebSocket, request: FastifyRequest): void {
    const { room, raw } = request;
    if (!room) throw new Error('A caller is served before its room is known');
    const connection = raw.socket as Socket;
    path.established(connection);
    sockets.add(ws);
    ws.once('close', places.take(request.ip));
    keepWatch(ws, { clock, pingMs: PING_MS });
    serveRoom(connectionOf(ws, connection), {
      room: room.row,
      credentialId: room.credentialId,
      meetings: services.meetings,
      isLimited: options.isLimited,
      clock,
      log: requestLog(request.log, request.id),
    });
  }

  function connectionOf(ws: WebSocket, connection: Socket): RoomConnection {
    const pressure = pressureOf(ws, connection, clock);
    return {
      send(text) {
        if (ws.readyState !== ws.OPEN) return;
        if (ws.bufferedAmount > limits.bufferBytes) pressure.giveUp?.('You read too slowly');
        else ws.send(text);
      },
      onText: (listener) =>
        ws.on('message', (data) => {
          if (ws.readyState === ws.OPEN) listener(data.toString());
        }),
      onClose: (listener) => ws.once('close', listener),
      pause: () => ws.pause(),
      resume: () => ws.resume(),
      close: (code, reason) => ws.close(code, reason),
    };
  }

  const closeAll = () =>
    sockets.closeAll((ws) => ws.close(CLOSE_RESTART, 'The server is shutting down'));

  app.register(async (scope) => {
    scope.decorateRequest('room', undefined);
    scope.setErrorHandler((error, request, reply) => {
      const { retryAfterMs, ...failure } = failureOf(error, requestLog(request.log, request.id));
      if (retryAfterMs !== undefined) reply.header('retry-after', Math.ceil(retryAfterMs / 1_000));
      return reply.code(failure.status).send(kaamos.failure(failure));
    });
    await scope.register(websocket, {
      options: {
        server: path.server,
        maxPayload: FRAME_LIMIT_BYTES,
        perMessageDeflate: false,
      },
      preClose: (done) => void closeAll().then(() => done()),
      errorHandler: (error) => log.debug({ err: error }, 'WebSocket error'),
    });
    for (const prefix of options.prefixes) {
      scope.route({
        method: 'GET',
        url: `${prefix}/ws/:roomId`,
        schema: { hide: true },
        exposeHeadRoute: false,
        config: { takesUrlCredential: true },
        onRequest: admit,
        handler(_request, reply) {
          reply.header('upgrade', 'websocket');
          throw Object.assign(new Error('This address takes WebSockets'), { statusCode: 426 });
        },
        wsHandler: serve,
      });
    }
  });
}

function roomIdOf({ params }: FastifyRequest): string {
  const roomId = RoomId.safeParse((params as { roomId: unknown }).roomId);
  if (roomId.success) return roomId.data;
  throw new DomainError('invalid_input', 'invalid room slug');
}
