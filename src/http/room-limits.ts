import { LRUCache } from 'lru-cache';
import type { Config } from '../config.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { networkOf } from '../lib/network.js';

/** What one address may do with rooms. Each counts one, and throws DomainError `rate_limited` when it is one too many. */
export interface RoomLimits {
  create(ip: string): void;
  read(ip: string): void;
  join(ip: string): void;
}

const ADDRESSES = 10_000;
const MINUTE_MS = 60_000;

export function createRoomLimits(
  { rooms, features }: Pick<Config, 'rooms' | 'features'>,
  clock: Clock,
): RoomLimits {
  if (!features.rate_limiting_enabled) {
    return { create: () => {}, read: () => {}, join: () => {} };
  }
  const { burst } = rooms;
  return {
    create: bucket('rooms.creates_per_minute', rooms.creates_per_minute, burst, clock),
    read: bucket('rooms.reads_per_minute', rooms.reads_per_minute, burst, clock),
    join: bucket('rooms.joins_per_minute', rooms.joins_per_minute, burst, clock),
  };
}

/** As many calls at once as `burst`, and `perMinute` in the long run. Those not seen for longest are forgotten first. */
function bucket(limit: string, perMinute: number, burst: number, clock: Clock) {
  const buckets = new LRUCache<string, { tokens: number; filledAt: number }>({ max: ADDRESSES });
  const perMs = perMinute / MINUTE_MS;
  return (ip: string): void => {
    const key = networkOf(ip);
    const now = clock.now();
    const found = buckets.get(key) ?? { tokens: burst, filledAt: now };
    const grown = Math.max(0, now - found.filledAt) * perMs;
    const tokens = Math.min(burst, found.tokens + grown);
    buckets.set(key, { tokens: tokens < 1 ? tokens : tokens - 1, filledAt: now });
    if (tokens >= 1) return;
    throw new DomainError('rate_limited', 'too many requests from this IP address', {
      limit,
      retryAfterMs: Math.ceil((1 - tokens) / perMs),
    });
  };
}
