import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { RawData, WebSocket } from 'ws';
import type { Principal } from '../contract/access.js';
import { Acknowledgement, CommandId } from '../contract/commands.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type { Context } from '../routers/context.js';
import { describeIssues, requireScope } from '../routers/trpc.js';
import type { Services } from '../services/index.js';
import { sendFailure, sendFrames } from './robot-frames.js';
import { mountRobotSocket, robotIdOf } from './robot-route.js';
import type { Upgrades } from './upgrades.js';
import { createMeter, createSocketSet, keepWatch } from './ws-life.js';
import { pressureOf } from './ws-pressure.js';

export interface CommandSocketOptions {
  services: Services;
  upgrades: Upgrades;
  log: Logger;
  /** Where the API is served: before `/api/v1/…`. */
  prefixes: readonly string[];
  createContext: (request: FastifyRequest) => Context;
  /** Whether the limit of messages applies. */
  isLimited: boolean;
  clock?: Clock;
}

const ROUTE = '/api/v1/robots/:robotId/commands';
const PATH = /\/api\/v1\/robots\/[^/]+\/commands\/?$/;
/** Room for a result of the largest size, and what stands around it. */
const PAYLOAD_LIMIT_BYTES = 131_072;
const MESSAGES_PER_SECOND = 50;
/** Messages that wait for the database before the robot's next ones are left unread. */
const WAITING_LIMIT = 32;
const PING_MS = 10_000;
const Message = Acknowledgement.extend({ command_id: CommandId });

/**
 * A robot's WebSocket: commands go to it as they come, and it says what became of them. Who may not is answered before the
 * upgrade as by REST. A message that is wrong is answered with `{error, code}` and changes nothing; a right one with
 * nothing. One socket a robot: a newer one ends the older. With `?notices=viewers` it is also told whether anybody watches
 * it, by `{type: "viewers", watching, viewers, timestamp}`.
 */
export function mountCommandSocket(app: FastifyInstance, options: CommandSocketOptions): void {
  const { services, log, createContext, isLimited, clock = systemClock } = options;
  const sockets = createSocketSet();
  const path = options.upgrades.at(PATH, () => sockets.isClosing);

  async function identify(request: FastifyRequest): Promise<void> {
    const ctx = createContext(request);
    const principal = await ctx.authenticate();
    request.identity = { ctx, principal };
    requireScope(principal, 'commands:receive');
    await services.robots.get(principal, robotIdOf(request));
  }

  function serve(ws: WebSocket, request: FastifyRequest): void {
    const { identity, raw } = request;
    if (!identity) throw new Error('A robot is served before it is known');
    const connection = raw.socket as Socket;
    path.established(connection);
    sockets.add(ws);
    const gone = new AbortController();
    ws.once('close', () => gone.abort());
    const robot = { ...identity, robotId: robotIdOf(request), request };
    listen(ws, robot);
    const { robotId } = robot;
    keepWatch(ws, { clock, pingMs: PING_MS, onSign: () => services.commands.heard(robotId) });
    const { ctx, principal } = identity;
    const reader = { authenticate: ctx.authenticate, signal: gone.signal };
    const socket = pressureOf(ws, connection, clock);
    const commands = services.commands.receive(principal, robotId, { ...reader, socket });
    void sendFrames(ws, request, commands);
    if (!wantsViewers(request)) return;
    void sendFrames(ws, request, services.robotVideo.notices(principal, robotId, reader));
  }

  interface Robot {
    ctx: Context;
    principal: Principal;
    robotId: string;
    request: FastifyRequest;
  }

  /** Takes one message after the other, so that what a robot says stays in its order. */
  function listen(ws: WebSocket, robot: Robot): void {
    const admit = createMeter(clock, MESSAGES_PER_SECOND);
    let waiting = 0;
    let last: Promise<void> = Promise.resolve();
    ws.on('message', (data) => {
      services.commands.heard(robot.robotId);
      const excess = isLimited ? admit() : 'none';
      if (excess !== 'none') {
        if (excess === 'first') tell(ws, robot, tooMany());
        return;
      }
      waiting += 1;
      if (waiting >= WAITING_LIMIT) ws.pause();
      last = last
        .then(() => take(data, robot))
        .catch((error: unknown) => tell(ws, robot, error))
        .then(() => {
          waiting -= 1;
          if (ws.isPaused && waiting < WAITING_LIMIT / 2) ws.resume();
        });
    });
  }

  async function take(data: RawData, { ctx, robotId }: Robot): Promise<void> {
    const message = Message.safeParse(parseJson(data.toString()));
    if (!message.success) {
      const issues = message.error.issues.map(({ path: where, message: what }) => ({
        path: where.join('.'),
        message: what,
      }));
      throw new DomainError('invalid_input', describeIssues(issues), { issues });
    }
    // The socket outlives a credential.
    const principal = await ctx.authenticate();
    requireScope(principal, 'commands:receive');
    await services.commands.ack(principal, { robot_id: robotId, ...message.data });
  }

  function tell(ws: WebSocket, { request }: Robot, error: unknown): void {
    sendFailure(ws, request, error, PAYLOAD_LIMIT_BYTES);
  }

  /** Each stream ends its socket with a notice. */
  const closeAll = () => {
    services.commands.disconnect();
    return sockets.closeAll(() => {});
  };

  mountRobotSocket(app, {
    ...{ identify, serve, closeAll, path, log },
    prefixes: options.prefixes,
    url: ROUTE,
    payloadLimitBytes: PAYLOAD_LIMIT_BYTES,
    plainMessage: 'This address takes WebSockets; GET …/control/next asks for one command',
  });
}

/** Robots that have not asked for it get nothing but commands. */
function wantsViewers({ query }: FastifyRequest): boolean {
  return (query as { notices?: unknown }).notices === 'viewers';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DomainError('invalid_input', 'The message is not valid JSON');
  }
}

function tooMany(): DomainError {
  return new DomainError(
    'rate_limited',
    `At most ${MESSAGES_PER_SECOND} messages a second; those above are dropped`,
    { limit: 'messages_per_second', retryAfterMs: 1_000 },
  );
}
