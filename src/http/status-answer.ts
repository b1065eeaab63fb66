import { type Logger, requestLog } from '../lib/logger.js';
import type { Metrics } from '../lib/metrics.js';
import { failureOf } from '../rest-adapter/envelope.js';
import { kairoio } from '../rest-adapter/surfaces/kairoio.js';
import { readStatusBody } from '../rest-adapter/surfaces/kairoio-status-body.js';
import { requireScope } from '../routers/trpc.js';
import type { Services } from '../services/index.js';
import type { RateLimits } from './rate-limits.js';

export interface StatusAnswerDeps {
  services: Services;
  rateLimits: RateLimits;
  metrics: Metrics;
  log: Logger;
}

/** A single status that somebody sends, by whichever short way it came. */
export interface StatusCall {
  ip: string;
  credential: string;
  robotId: string;
}

export interface StatusAnswer {
  status: number;
  body: string;
  retryAfterSeconds: number | undefined;
}

const ROUTE = { method: 'POST', route: '/api/v1/robots/:robotId/status' };

/** Counts a call, finds out who calls, stores the status and says what became of it, as the route does. It never throws. */
export function createStatusAnswers({ services, rateLimits, metrics, log }: StatusAnswerDeps) {
  const { principals, statuses } = services;
  let failures = 0;

  async function push(
    { robotId, ...counted }: StatusCall,
    body: Buffer | Promise<Buffer>,
  ): Promise<StatusAnswer> {
    rateLimits.call(counted);
    const { credential } = counted;
    const principal = principals.cached(credential) ?? (await principals.resolve(credential));
    requireScope(principal, 'status:write');
    const bytes = body instanceof Promise ? await body : body;
    const data = await statuses.push(principal, robotId, readStatusBody(bytes));
    const text = JSON.stringify(kairoio.success(data));
    return { status: 200, body: text, retryAfterSeconds: undefined };
  }

  function failed(error: unknown): StatusAnswer {
    failures += 1;
    const { retryAfterMs, ...failure } = failureOf(error, requestLog(log, `lane-${failures}`));
    return {
      status: failure.status,
      body: JSON.stringify(kairoio.failure(failure)),
      retryAfterSeconds: retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs / 1_000),
    };
  }

  return async (call: StatusCall, body: Buffer | Promise<Buffer>): Promise<StatusAnswer> => {
    const startMs = performance.now();
    const answer = await push(call, body).catch(failed);
    const labels = { ...ROUTE, status: String(answer.status) };
    metrics.httpRequest(labels, (performance.now() - startMs) / 1_000);
    return answer;
  };
}

export type AnswerStatus = ReturnType<typeof createStatusAnswers>;
