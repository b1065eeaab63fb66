import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest, onRequestAsyncHookHandler } from 'fastify';
import type { Config } from '../config.js';
import { DomainError } from '../lib/errors.js';

/** The request rate limits of every door. */
export interface RateLimits {
  /** Counts one call of a caller, by address and by credential. @throws DomainError `rate_limited`. */
  call(request: FastifyRequest): Promise<void>;
  /** The hook for a route; undefined while rate limiting is switched off. */
  hook(limit: 'login' | undefined): onRequestAsyncHookHandler | undefined;
}

export async function createRateLimits(
  app: FastifyInstance,
  { limits, features }: Pick<Config, 'limits' | 'features'>,
): Promise<RateLimits> {
  if (!features.rate_limiting_enabled) return { call: async () => {}, hook: () => undefined };
  await app.register(rateLimit, { global: false });

  function counter(
    name: keyof Config['limits'],
    timeWindow: number,
    keyGenerator: (request: FastifyRequest) => string,
  ) {
    const count = app.createRateLimit({ max: limits[name], timeWindow, keyGenerator });
    return async (request: FastifyRequest): Promise<void> => {
      const verdict = await count(request);
      if (verdict.isAllowed || !verdict.isExceeded) return;
      throw new DomainError('rate_limited', `Too many requests: limits.${name} is ${verdict.max}`, {
        limit: name,
        retryAfterMs: verdict.ttl,
      });
    };
  }
  const byAddress = counter('requests_per_second_per_ip', 1_000, ({ ip }) => ip);
  const byCredential = counter('requests_per_second', 1_000, ({ credential }) => credential ?? '');
  const logins = counter('logins_per_minute', 60_000, ({ ip }) => ip);

  async function call(request: FastifyRequest): Promise<void> {
    await byAddress(request);
    if (request.credential !== undefined) await byCredential(request);
  }
  return {
    call,
    hook: (limit) => (limit === 'login' ? logins : call),
  };
}
