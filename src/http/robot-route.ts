import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { WebSocket } from 'ws';
import { RobotId } from '../contract/common.js';
import { DomainError } from '../lib/errors.js';
import type { Logger } from '../lib/logger.js';
import type { UpgradePath } from './upgrades.js';

export interface RobotSocketRoute {
  /** Where the API is served: before `url`. */
  prefixes: readonly string[];
  /** With `:robotId`. */
  url: string;
  path: UpgradePath;
  payloadLimitBytes: number;
  /** Refuses who may not, before the upgrade. */
  identify: (request: FastifyRequest) => Promise<void>;
  serve: (ws: WebSocket, request: FastifyRequest) => void;
  closeAll: () => Promise<void>;
  /** What a request that asks for no WebSocket is told. */
  plainMessage: string;
  log: Logger;
}

/** Mounts a WebSocket for robots; its address takes a credential, too. */
export function mountRobotSocket(app: FastifyInstance, route: RobotSocketRoute): void {
  const { closeAll, identify, log, serve } = route;
  app.register(async (scope) => {
    await scope.register(websocket, {
      options: {
        server: route.path.server,
        maxPayload: route.payloadLimitBytes,
        perMessageDeflate: false,
      },
      preClose: (done) => void closeAll().then(() => done()),
      errorHandler(error, socket) {
        log.debug({ err: error }, 'WebSocket error');
        socket.terminate();
      },
    });
    for (const prefix of route.prefixes) {
      scope.route({
        method: 'GET',
        url: `${prefix}${route.url}`,
        schema: { hide: true },
        exposeHeadRoute: false,
        config: { takesUrlCredential: true },
        onRequest: identify,
        handler(_request, reply) {
          reply.header('upgrade', 'websocket');
          throw Object.assign(new Error(route.plainMessage), { statusCode: 426 });
        },
        wsHandler: serve,
      });
    }
  });
}

/** The robot in the path of a route that has `:robotId`. @throws DomainError `invalid_input`. */
export function robotIdOf({ params }: FastifyRequest): string {
  const robotId = RobotId.safeParse((params as { robotId: unknown }).robotId);
  if (robotId.success) return robotId.data;
  const message = robotId.error.issues.map((issue) => issue.message).join('; ');
  throw new DomainError('invalid_input', `robotId: ${message}`, {
    issues: [{ path: 'robotId', message }],
  });
}
