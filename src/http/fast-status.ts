import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config.js';
import type { Arrivals } from './arrivals.js';
import { inFront } from './in-front.js';
import { createStatusAnswers, type StatusAnswerDeps } from './status-answer.js';
import { createStatusConnections } from './status-connections.js';
import { statusLane } from './status-lane.js';

interface FastStatusDeps extends StatusAnswerDeps {
  config: Config;
  arrivals: Arrivals;
  isServing: () => boolean;
}

/** The short ways for a single status: of a connection that carries nothing else, and of a request among others (ADR 8, 13). */
export function mountFastStatus(app: FastifyInstance, deps: FastStatusDeps): void {
  const { services, config, arrivals, isServing } = deps;
  const { body_limit, read_timeout, idle_timeout } = config.server;
  const answerStatus = createStatusAnswers(deps);
  const { server } = app;
  inFront(server, 'request', (next: RequestListener) =>
    statusLane({ services, answerStatus, bodyLimitBytes: body_limit, isServing }, next),
  );
  inFront(server, 'connection', (asHttp: (socket: Socket) => void) => {
    const connections = createStatusConnections({
      answerStatus,
      bodyLimitBytes: body_limit,
      readTimeoutMs: read_timeout,
      idleTimeoutMs: idle_timeout,
      handOver: asHttp,
      refuseSlow: (socket) => server.emit('clientError', new SlowRequest(), socket),
    });
    app.addHook('preClose', async () => connections.close());
    return (socket) => (arrivals.isBound(socket) ? asHttp(socket) : connections.accept(socket));
  });
}

/** As Node's own. */
class SlowRequest extends Error {
  readonly code = 'ERR_HTTP_REQUEST_TIMEOUT';
}
