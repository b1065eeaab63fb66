import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from '../config.js';
import { DomainError } from '../lib/errors.js';

/** The request rate limits of every door. Each method counts one, and throws DomainError `rate_limited` when it is one too many. */
export interface RateLimits {
  /** A call of any kind, by address and by credential. */
  call(request: FastifyRequest): Promise<void>;
  /** A try at a password or a code, by address. */
  login(request: FastifyRequest): Promise<void>;
}

const UNLIMITED: RateLimits = { call: async () => {}, login: async () => {} };

/** Counts every request of `app` from here on, whatever becomes of it. */
export async function createRateLimits(
  app: FastifyInstance,
  { limits, features }: Pick<Config, 'limits' | 'features'>,
): Promise<RateLimits> {
  if (!features.rate_limiting_enabled) return UNLIMITED;
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
  const login = counter('logins_per_minute', 60_000, ({ ip }) => ip);

  async function call(request: FastifyRequest): Promise<void> {
    await byAddress(request);
    if (request.credential !== undefined) await byCredential(request);
  }
  app.addHook('onRequest', call);
  return { call, login };
}
