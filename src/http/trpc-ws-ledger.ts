import { type AnyRouter, transformTRPCResponse } from '@trpc/server';
import type { Encoder } from '@trpc/server/adapters/ws';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import { shapeOf, toDoorError } from './trpc-errors.js';

export interface LedgerOptions {
  router: AnyRouter;
  clock: Clock;
  subscriptionsPerSocket: number;
  callsPerSecond: number;
  batchLimitCalls: number;
  /** Sends one frame to the client. */
  send: (frame: string) => void;
  /** Called before a message is looked at. */
  onMessage: () => void;
}

export interface Ledger {
  /** JSON both ways; what the ledger refuses never reaches the library. */
  encoder: Encoder;
  /** From now on every call is refused; resolves when those in flight are answered (subscriptions do not count). */
  drain(): Promise<void>;
}

const CALL_METHODS: ReadonlySet<string | undefined> = new Set([
  'query',
  'mutation',
  'subscription',
]);

/** One well-formed message of the client; `{}` for anything else, which the library answers by itself. */
interface Message {
  id?: number | string;
  method?: string;
  path?: string;
}

/**
 * The book of one socket's calls. Sees every message in both directions, so it knows exactly what is open, and refuses
 * what is above the limits with an error that names the limit. An id can be in flight once: otherwise the answer to one
 * call could strike another from the book.
 */
export function createLedger(options: LedgerOptions): Ledger {
  const { router, clock, subscriptionsPerSocket, callsPerSecond, batchLimitCalls } = options;
  const inFlight = new Map<number | string, 'call' | 'subscription'>();
  let subscriptions = 0;
  let tokens = callsPerSecond;
  let refilledAt = clock.now();
  let onIdle: (() => void) | undefined;

  function takeToken(): boolean {
    const now = clock.now();
    const elapsedMs = Math.max(0, now - refilledAt);
    tokens = Math.min(callsPerSecond, tokens + (elapsedMs * callsPerSecond) / 1_000);
    refilledAt = now;
    if (tokens < 1) return false;
    tokens -= 1;
    return true;
  }

  function objection({ id, method }: Message): DomainError | undefined {
    const retryAfterMs = Math.ceil(1_000 / callsPerSecond);
    if (!takeToken()) {
      return new DomainError(
        'rate_limited',
        `At most ${callsPerSecond} calls a second on one socket`,
        {
          limit: 'calls_per_second_per_socket',
          retryAfterMs,
        },
      );
    }
    if (id === undefined) return undefined;
    if (onIdle)
      return new DomainError('unavailable', 'The server is shutting down', { retryAfterMs: 1_000 });
    if (inFlight.has(id))
      return new DomainError('invalid_input', `The id ${JSON.stringify(id)} is already in flight`);
    if (method === 'subscription' && subscriptions >= subscriptionsPerSocket) {
      return new DomainError(
        'rate_limited',
        `At most ${subscriptionsPerSocket} subscriptions on one socket`,
        {
          limit: 'subscriptions_per_socket',
        },
      );
    }
    if (inFlight.size - subscriptions >= callsPerSecond) {
      return new DomainError(
        'rate_limited',
        `At most ${callsPerSecond} unanswered calls on one socket`,
        {
          limit: 'calls_in_flight_per_socket',
          retryAfterMs,
        },
      );
    }
    return undefined;
  }

  function refuse({ id, path }: Message, error: DomainError): void {
    if (id === undefined) return;
    const shape = shapeOf(router, toDoorError(error), path) as never;
    options.send(JSON.stringify(transformTRPCResponse(router._def._config, { id, error: shape })));
  }

  function admit(raw: unknown): boolean {
    const message = readMessage(raw);
    if (message.method === 'subscription.stop') return true;
    const refused = objection(message);
    if (refused) {
      refuse(message, refused);
      return false;
    }
    const { id, method, path } = message;
    // The library answers a malformed call under no id, so it must not be booked under one.
    if (id === undefined || path === undefined || !CALL_METHODS.has(method)) return true;
    if (method === 'subscription') subscriptions += 1;
    inFlight.set(id, method === 'subscription' ? 'subscription' : 'call');
    return true;
  }

  function settle(raw: unknown): void {
    const { id, result, error } = raw as {
      id?: number | string;
      result?: { type?: string };
      error?: unknown;
    };
    if (id === undefined) return;
    const kind = inFlight.get(id);
    if (!kind || (kind === 'subscription' && !error && result?.type !== 'stopped')) return;
    inFlight.delete(id);
    if (kind === 'subscription') subscriptions -= 1;
    if (inFlight.size === subscriptions) onIdle?.();
  }

  const encoder: Encoder = {
    encode(message) {
      settle(message);
      return JSON.stringify(message);
    },
    decode(data) {
      options.onMessage();
      if (typeof data !== 'string') throw new Error('must be JSON in a text frame');
      const parsed: unknown = JSON.parse(data);
      if (!Array.isArray(parsed)) return admit(parsed) ? parsed : [];
      if (parsed.length <= batchLimitCalls) return parsed.filter(admit);
      const tooMany = new DomainError(
        'too_large',
        `At most ${batchLimitCalls} calls in one batch`,
        {
          limit: 'calls_per_batch',
        },
      );
      for (const raw of parsed) refuse(readMessage(raw), tooMany);
      return [];
    },
  };

  return {
    encoder,
    drain: () =>
      new Promise((resolve) => {
        onIdle = resolve;
        if (inFlight.size === subscriptions) resolve();
      }),
  };
}

function readMessage(raw: unknown): Message {
  if (typeof raw !== 'object' || raw === null) return {};
  const { id, method, params } = raw as {
    id?: unknown;
    method?: unknown;
    params?: { path?: unknown };
  };
  if (typeof id !== 'number' && typeof id !== 'string') return {};
  return {
    id,
    ...(typeof method === 'string' && { method }),
    ...(typeof params?.path === 'string' && { path: params.path }),
  };
}
