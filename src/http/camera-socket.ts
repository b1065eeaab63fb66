import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { createAddressPlaces } from '../lib/address-places.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type { Context } from '../routers/context.js';
import { requireScope } from '../routers/trpc.js';
import type { Services } from '../services/index.js';
import { sendFailure, sendFrames } from './robot-frames.js';
import { mountRobotSocket, robotIdOf } from './robot-route.js';
import type { Upgrades } from './upgrades.js';
import { createMeter, createSocketSet, keepWatch } from './ws-life.js';

export interface CameraSocketOptions {
  services: Services;
  upgrades: Upgrades;
  log: Logger;
  /** Where the API is served: before `/api/v1/…`. */
  prefixes: readonly string[];
  createContext: (request: FastifyRequest) => Context;
  socketsPerIp: number;
  clock?: Clock;
}

const ROUTE = '/api/v1/robots/:robotId/frames';
const PATH = /\/api\/v1\/robots\/[^/]+\/frames\/?$/;
const PING_MS = 10_000;
/** What is said of wrong frames; a camera sends the same mistake many times a second. */
const COMPLAINTS_PER_SECOND = 2;
/** A robot that reads nothing is told nothing. */
const UNREAD_LIMIT_BYTES = 65_536;
/** RFC 6455 registry: the server restarts; come back. */
const CLOSE_RESTART = 1_012;

interface Robot {
  ctx: Context;
  robotId: string;
  request: FastifyRequest;
}

/**
 * A camera's WebSocket: each binary message is a JPEG, of which the newest counts. What is wrong with one is answered with
 * `{error, code}`; whether anybody watches is told by `{type: "viewers", watching, viewers, timestamp}`.
 */
export function mountCameraSocket(app: FastifyInstance, options: CameraSocketOptions): void {
  const { services, log, createContext, clock = systemClock } = options;
  const sockets = createSocketSet();
  const places = createAddressPlaces(options.socketsPerIp, 'sockets');
  const path = options.upgrades.at(PATH, () => sockets.isClosing);

  async function identify(request: FastifyRequest): Promise<void> {
    places.assertFree(request.ip);
    const ctx = createContext(request);
    const principal = await ctx.authenticate();
    request.identity = { ctx, principal };
    requireScope(principal, 'video:publish');
    await services.robots.get(principal, robotIdOf(request));
  }

  function serve(ws: WebSocket, request: FastifyRequest): void {
    const { identity, raw } = request;
    if (!identity) throw new Error('A robot is served before it is known');
    path.established(raw.socket as Socket);
    sockets.add(ws);
    ws.once('close', places.take(request.ip));
    keepWatch(ws, { clock, pingMs: PING_MS });
    const { ctx, principal } = identity;
    const robotId = robotIdOf(request);
    listen(ws, { ctx, robotId, request });
    const gone = new AbortController();
    ws.once('close', () => gone.abort());
    const reader = { authenticate: ctx.authenticate, signal: gone.signal };
    void sendFrames(ws, request, services.robotVideo.notices(principal, robotId, reader));
  }

  /** One frame after the other; of those that come meanwhile the newest. */
  function listen(ws: WebSocket, robot: Robot): void {
    const mayComplain = createMeter(clock, COMPLAINTS_PER_SECOND);
    let newest: Buffer | undefined;
    let isBusy = false;

    function complain(error: unknown): void {
      if (mayComplain() !== 'none') return;
      sendFailure(ws, robot.request, error, UNREAD_LIMIT_BYTES);
    }
    async function drain(): Promise<void> {
      isBusy = true;
      while (newest) {
        const frame = newest;
        newest = undefined;
        await take(frame, robot).catch(complain);
      }
      isBusy = false;
    }
    ws.on('message', (data, isBinary) => {
      if (!isBinary) return complain(notBinary());
      newest = data as Buffer;
      if (!isBusy) void drain();
    });
  }

  async function take(frame: Buffer, { ctx, robotId }: Robot): Promise<void> {
    // The socket outlives a credential.
    const principal = await ctx.authenticate();
    requireScope(principal, 'video:publish');
    await services.robotCamera.push(principal, robotId, frame);
  }

  const closeAll = () =>
    sockets.closeAll((ws) => ws.close(CLOSE_RESTART, 'The server is shutting down'));

  mountRobotSocket(app, {
    ...{ identify, serve, closeAll, path, log },
    prefixes: options.prefixes,
    url: ROUTE,
    payloadLimitBytes: services.robotCamera.limitBytes,
    plainMessage: 'This address takes WebSockets and POST; GET …/snapshot is the newest',
  });
}

function notBinary(): DomainError {
  return new DomainError('invalid_input', 'Send each JPEG frame as one binary message');
}
