import {
  type AnyRouter,
  callTRPCProcedure,
  getTRPCErrorFromUnknown,
  isTrackedEnvelope,
} from '@trpc/server';
import { parseConnectionParamsFromString } from '@trpc/server/http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Handover } from '../realtime/handover.js';
import type { SseMessage } from '../rest-adapter/define.js';
import type { EventStreams } from '../rest-adapter/sse.js';
import { type EventConnection, textOf } from '../rest-adapter/sse-connection.js';
import { errorLogger, shapeOf } from './trpc-errors.js';
import type { ContextSource, TrpcDoorOptions } from './trpc-ws.js';

/** The door for subscriptions over server-sent events. */
export interface TrpcSse {
  /** Serves what `httpSubscriptionLink` asks for. @returns false for anything unusual, which is left to the library. */
  serve(request: FastifyRequest, reply: FastifyReply): Promise<boolean>;
}

interface Subscription {
  path: string;
  input: unknown;
  connectionParams: ContextSource['connectionParams'];
}

/** Subscriptions in the library's format, over the same connections as all other event streams. */
export function createTrpcSse<TRouter extends AnyRouter>(
  { router, createContext, log }: TrpcDoorOptions<TRouter>,
  streams: EventStreams,
): TrpcSse {
  const { sse = {}, transformer } = router._def._config;
  const onError = errorLogger(log);
  const isUsual = sse.enabled !== false && !sse.maxDurationMs && !sse.emitAndEndImmediately;
  const jsonOf = (value: unknown) => JSON.stringify(transformer.output.serialize(value));

  async function* messagesOf(
    req: FastifyRequest,
    { path, input, connectionParams }: Subscription,
    { socket, signal }: EventConnection,
  ): AsyncGenerator<SseMessage> {
    yield { event: 'connected', data: JSON.stringify(sse.client ?? {}) };
    try {
      const values = (await callTRPCProcedure({
        router,
        path,
        getRawInput: async () => input,
        ctx: await createContext({ req, connectionParams, socket }),
        type: 'subscription',
        signal,
        batchIndex: 0,
      })) as AsyncIterable<unknown>;
      for await (const value of values) yield messageOf(value);
      yield { event: 'return', data: '' };
    } catch (cause) {
      const error = getTRPCErrorFromUnknown(cause);
      onError({ error, path });
      yield { event: 'serialized-error', data: jsonOf(shapeOf(router, error, path)) };
    }
  }

  function messageOf(value: unknown): SseMessage {
    if (value instanceof Handover) return value as never;
    if (!isTrackedEnvelope(value)) return { data: jsonOf(value) };
    const [id, data] = value;
    return { id, data: jsonOf(data) };
  }

  /** What is asked for; undefined when that is unusual. */
  function subscriptionOf(req: FastifyRequest): Subscription | undefined {
    const { path } = req.params as { path: string };
    const query = req.query as Record<string, unknown>;
    const isOurs = isUsual && req.method === 'GET' && query.batch === undefined;
    if (!isOurs || !isSubscription(router, path)) return undefined;
    try {
      const { input, connectionParams } = query as Record<string, string | undefined>;
      return {
        path,
        input: withLastEventId(
          input === undefined ? undefined : transformer.input.deserialize(JSON.parse(input)),
          lastEventIdOf(req),
        ),
        connectionParams:
          connectionParams === undefined ? null : parseConnectionParamsFromString(connectionParams),
      };
    } catch {
      return undefined;
    }
  }

  return {
    async serve(request, reply) {
      const subscription = subscriptionOf(request);
      if (!subscription) return false;
      await streams.serve(request, reply, {
        open: (connection) => messagesOf(request, subscription, connection),
        failure: (error) => shapeOf(router, getTRPCErrorFromUnknown(error), subscription.path),
        ...(sse.ping?.enabled && { beat: { text: PING, everyMs: sse.ping.intervalMs ?? 1_000 } }),
      });
      return true;
    },
  };
}

const PING = textOf({ event: 'ping', data: '' });

function isSubscription(router: AnyRouter, path: string): boolean {
  const { procedures } = router._def as unknown as {
    procedures: Record<string, { _def: { type: string } } | undefined>;
  };
  return Object.hasOwn(procedures, path) && procedures[path]?._def.type === 'subscription';
}

/** On a reconnect a browser adds the header to the address that it was given at first. */
function lastEventIdOf({ headers, query }: FastifyRequest): string | undefined {
  const { lastEventId } = query as { lastEventId?: string };
  return headers['last-event-id']?.toString() ?? lastEventId;
}

/** As the library merges them. */
function withLastEventId(input: unknown, lastEventId: string | undefined): unknown {
  if (!lastEventId) return input;
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    return { ...input, lastEventId };
  }
  return input ?? { lastEventId };
}
