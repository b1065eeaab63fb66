import type { Socket } from 'node:net';
import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { RawData, WebSocket } from 'ws';
import { createAddressPlaces } from '../lib/address-places.js';
import { after, type Clock, systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { type Logger, requestLog } from '../lib/logger.js';
import { requireScope } from '../routers/trpc.js';
import type { Services } from '../services/index.js';
import { lobbyOf, type RelaySeat } from '../services/relay.js';
import { callerOf } from './credential.js';
import type { Upgrades } from './upgrades.js';
import { createMeter, createSocketSet, keepWatch } from './ws-life.js';
import { pressureOf } from './ws-pressure.js';

export interface RelaySocketOptions {
  services: Pick<Services, 'relay' | 'principals' | 'guests'>;
  upgrades: Upgrades;
  log: Logger;
  /** Whether the limit of frames applies. */
  isLimited: boolean;
  limits: { socketsPerIp: number; bufferBytes: number };
  clock?: Clock;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The lobby that a caller of the relay may enter. */
    lobby: string | undefined;
  }
}

const PATHS = ['/ws', '/compat/relay/ws'];
const UPGRADES = /^(\/compat\/relay)?\/ws\/?$/;
const FRAME_LIMIT_BYTES = 65_536;
const FRAMES_PER_SECOND = 100;
const ROOM_LIMIT_CHARS = 128;
const PING_MS = 30_000;
/** How long a caller that is asked whether it is still there has for its answer. */
const PROBE_MS = 2_000;
/** RFC 6455. */
const CLOSE_NOT_TEXT = 1_003;
const CLOSE_POLICY = 1_008;
const CLOSE_INTERNAL = 1_011;
const CLOSE_RESTART = 1_012;
const CLOSE_TRY_AGAIN = 1_013;
/** Codes that applications may choose. */
const CLOSE_FULL = 4_003;
const CLOSE_UNAUTHENTICATED = 4_401;

/**
 * The relay of two-party calls, `/ws`: a caller is told its id, and from then on every text frame goes to the other caller of
 * its lobby, unread. A third is closed with 4003. Nothing of what is said is kept or logged.
 */
export function mountRelaySocket(app: FastifyInstance, options: RelaySocketOptions): void {
  const { services, isLimited, log, limits, clock = systemClock } = options;
  const sockets = createSocketSet();
  const places = createAddressPlaces(limits.socketsPerIp, 'sockets');
  const path = options.upgrades.at(UPGRADES, () => sockets.isClosing);

  async function enter(request: FastifyRequest): Promise<void> {
    const { room, peerID } = request.query as Record<string, unknown>;
    if (peerID !== undefined) {
      throw new DomainError('not_found', 'The relay by peerID is not in this version');
    }
    const { credential } = request;
    if (credential === undefined) services.guests.admit(callerOf(request));
    const principal =
      credential === undefined ? null : await services.principals.resolve(credential);
    if (principal) requireScope(principal, 'rooms:join');
    places.assertFree(request.ip);
    request.lobby = lobbyOf(principal, roomName(room));
  }

  function serve(ws: WebSocket, request: FastifyRequest): void {
    const connection = request.raw.socket as Socket;
    path.established(connection);
    sockets.add(ws);
    ws.once('close', places.take(request.ip));
    keepWatch(ws, { clock, pingMs: PING_MS });
    watchCredential(ws, request);
    void relay(ws, request, connection).catch((error: unknown) => {
      const isKnown = error instanceof DomainError;
      if (!isKnown) requestLog(log, request.id).error({ err: error }, 'the relay failed');
      ws.resume();
      ws.close(isKnown ? CLOSE_TRY_AGAIN : CLOSE_INTERNAL, isKnown ? error.message : '');
    });
  }

  async function relay(ws: WebSocket, { lobby }: FastifyRequest, connection: Socket) {
    if (lobby === undefined) throw new Error('A caller is served before its lobby is known');
    let isGone = false;
    let seat: RelaySeat | undefined;
    ws.once('close', () => {
      isGone = true;
      seat?.leave();
    });
    // What it says before it has its place is left unread until then.
    ws.pause();
    const pressure = pressureOf(ws, connection, clock);
    seat = await services.relay.join(lobby, {
      send(frame) {
        if (ws.readyState !== ws.OPEN) return;
        if (ws.bufferedAmount > limits.bufferBytes) pressure.giveUp?.('You read too slowly');
        else ws.send(frame, { binary: false });
      },
      isAlive: () => isAlive(ws, clock),
      end: () => ws.terminate(),
    });
    if (isGone) return seat?.leave();
    if (!seat) {
      ws.resume();
      return ws.close(CLOSE_FULL, 'Two are in this call already');
    }
    ws.send(JSON.stringify({ type: 'client_id', data: seat.clientId }));
    listen(ws, seat);
    ws.resume();
  }

  function listen(ws: WebSocket, seat: RelaySeat): void {
    const admit = createMeter(clock, FRAMES_PER_SECOND);
    ws.on('message', (data: RawData, isBinary: boolean) => {
      if (ws.readyState !== ws.OPEN) return;
      if (isBinary) return ws.close(CLOSE_NOT_TEXT, 'Frames are text');
      if (isLimited && admit() !== 'none') {
        return ws.close(CLOSE_POLICY, `At most ${FRAMES_PER_SECOND} frames a second`);
      }
      // One piece, because that is the default of the library's `binaryType`.
      seat.forward(data as Buffer);
    });
  }

  /** A socket outlives a credential, but not for long. */
  function watchCredential(ws: WebSocket, { credential }: FastifyRequest): void {
    if (credential === undefined) return;
    const stop = clock.every(PING_MS, () => {
      services.principals.resolve(credential).catch((error: unknown) => {
        if (!(error instanceof DomainError)) return;
        ws.close(CLOSE_UNAUTHENTICATED, 'The key is no longer good');
      });
    });
    ws.once('close', stop);
  }

  const closeAll = () =>
    sockets.closeAll((ws) => ws.close(CLOSE_RESTART, 'The server is shutting down'));

  app.register(async (scope) => {
    scope.decorateRequest('lobby', undefined);
    await scope.register(websocket, {
      options: {
        server: path.server,
        maxPayload: FRAME_LIMIT_BYTES,
        perMessageDeflate: false,
      },
      preClose: (done) => void closeAll().then(() => done()),
      // The library has said goodbye with the reason by now, and cuts off who does not answer that.
      errorHandler: (error) => log.debug({ err: error }, 'WebSocket error'),
    });
    for (const url of PATHS) {
      scope.route({
        method: 'GET',
        url,
        schema: { hide: true },
        exposeHeadRoute: false,
        config: { takesUrlCredential: true },
        onRequest: enter,
        handler(_request, reply) {
          reply.header('upgrade', 'websocket');
          throw Object.assign(new Error('This address takes WebSockets'), { statusCode: 426 });
        },
        wsHandler: serve,
      });
    }
  });
}

/** Whether it answers a ping in time. */
function isAlive(ws: WebSocket, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    if (ws.readyState !== ws.OPEN) return resolve(false);
    const settle = (answer: boolean) => () => {
      stop();
      ws.off('pong', yes).off('close', no);
      resolve(answer);
    };
    const [yes, no] = [settle(true), settle(false)];
    const stop = after(clock, PROBE_MS, no);
    ws.once('pong', yes).once('close', no).ping();
  });
}

function roomName(room: unknown): string | undefined {
  if (room === undefined || room === '') return undefined;
  if (typeof room === 'string' && room.length <= ROOM_LIMIT_CHARS) return room;
  const message = `one name of at most ${ROOM_LIMIT_CHARS} characters`;
  throw new DomainError('invalid_input', `room: ${message}`, {
    issues: [{ path: 'room', message }],
  });
}
