import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import type { Config } from '../config.js';
import { DomainError } from '../lib/errors.js';
import { networkOf } from '../lib/network.js';

/** The request rate limits of every door. Each method counts one, and throws DomainError `rate_limited` when it is one too many. */
export interface RateLimits {
  /** A call of any kind, by address and by credential. */
  call(request: Counted): void;
  /** A try at a password or a code, by address. */
  login(request: Counted): void;
}

/** What a request is counted by. */
export type Counted = Pick<FastifyRequest, 'ip' | 'credential'>;

const UNLIMITED: RateLimits = { call: () => {}, login: () => {} };

/** Counts every request of `app` from here on, whatever becomes of it. */
export function createRateLimits(
  app: FastifyInstance,
  { limits, features }: Pick<Config, 'limits' | 'features'>,
): RateLimits {
  if (!features.rate_limiting_enabled) return UNLIMITED;
  const byAddress = counter('requests_per_second_per_ip', limits, 1_000);
  const byCredential = counter('requests_per_second', limits, 1_000);
  const logins = counter('logins_per_minute', limits, 60_000);

  function call({ ip, credential }: Counted): void {
    byAddress(networkOf(ip));
    if (credential !== undefined) byCredential(credential);
  }
  app.addHook('onRequest', (request, _reply, done) => {
    call(request);
    done();
  });
  return { call, login: ({ ip }) => logins(networkOf(ip)) };
}

/** How many callers are counted at once; those who have not called for longest are forgotten first. */
const CALLERS = 10_000;

/**
 * Counts each key in windows of its own, in memory and at once: a library's counter that answers later costs the ingest
 * path a tenth of its time (docs/adr/0008).
 */
function counter(name: keyof Config['limits'], limits: Config['limits'], windowMs: number) {
  const max = limits[name];
  const windows = new LRUCache<string, { count: number; endMs: number }>({ max: CALLERS });
  return (key: string): void => {
    const nowMs = performance.now();
    let window = windows.get(key);
    if (!window || window.endMs <= nowMs) {
      window = { count: 0, endMs: nowMs + windowMs };
      windows.set(key, window);
    }
    window.count += 1;
    if (window.count <= max) return;
    throw new DomainError('rate_limited', `Too many requests: limits.${name} is ${max}`, {
      limit: name,
      retryAfterMs: Math.ceil(window.endMs - nowMs),
    });
  };
}
