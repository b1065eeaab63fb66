import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createAddressPlaces } from '../lib/address-places.js';
import type { Clock } from '../lib/clock.js';
import { DomainError } from '../lib/errors.js';
import type { Durable } from '../realtime/durable.js';
import { Handover } from '../realtime/handover.js';
import { createPressureGate } from '../realtime/pressure.js';
import { createSharedBytes } from '../realtime/shared-bytes.js';
import { payloadOf } from '../routers/live.js';
import type { SseMessage } from './define.js';
import { type EventConnection, encodeBlocks, openConnection } from './sse-connection.js';

/** The event streams that are open, over all rows and procedures. */
export interface EventStreams {
  /**
   * Answers with the messages of `open` until they or the connection end.
   * @throws DomainError `rate_limited` when the address has too many streams, and what comes in place of the first message.
   */
  serve(request: FastifyRequest, reply: FastifyReply, source: EventSource): Promise<void>;
  /** Ends every stream with a notice; their clients come back by themselves. */
  closeAll(): void;
}

export interface EventSource {
  open(connection: EventConnection): AsyncIterable<SseMessage>;
  /** The JSON for a failure that comes when the answer has begun. */
  failure(error: unknown): unknown;
  /** What keeps proxies from taking a silent stream for a dead one; a comment by default. */
  beat?: Beat;
}

interface Beat {
  text: string;
  everyMs: number;
}

export interface EventStreamsOptions {
  streamsPerIp: number;
  clock: Clock;
  /** Whether events are written past everything that makes messages. By default they are. */
  nativeFrames?: boolean;
}

const RETRY_MS = 1_000;
const COMMENT: Beat = { text: ':\n\n', everyMs: 15_000 };
const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
  connection: 'close',
};

export function createEventStreams({
  streamsPerIp,
  clock,
  nativeFrames: takesHandovers = true,
}: EventStreamsOptions): EventStreams {
  const connections = new Set<EventConnection>();
  const places = createAddressPlaces(streamsPerIp, 'streams');
  const blocks = createSharedBytes(encodeBlocks);
  let isClosing = false;

  function admit({ ip }: FastifyRequest, reply: FastifyReply): EventConnection {
    places.assertFree(ip);
    // What is written before the answers ahead of it have gone out is held in memory without a bound.
    const { socket } = reply.raw;
    if (!socket) {
      const message = 'An event stream cannot be pipelined behind another request';
      throw new DomainError('invalid_input', message);
    }
    const connection = openConnection(reply.raw, { clock, takesHandovers, blocks });
    connections.add(connection);
    socket.once('close', () => connection.close());
    return connection;
  }

  async function serve(request: FastifyRequest, reply: FastifyReply, source: EventSource) {
    const connection = admit(request, reply);
    const leave = places.take(request.ip);
    const messages = source.open(connection)[Symbol.asyncIterator]();
    try {
      const first = await messages.next();
      if (request.method === 'HEAD') return void (await reply.headers(HEADERS).send());
      reply.hijack();
      // Streams have their own rule for readers that take nothing.
      request.socket.setTimeout(0);
      connection.begin({ ...(reply.getHeaders() as OutgoingHttpHeaders), ...HEADERS }, RETRY_MS);
      if (isClosing) return connection.giveUp(CLOSING);
      await send(connection, messages, first, source.beat).catch((error: unknown) =>
        connection.end({ event: 'error', data: JSON.stringify(source.failure(error)) }),
      );
    } finally {
      connections.delete(connection);
      leave();
      await messages.return?.();
    }
  }

  async function send(
    connection: EventConnection,
    messages: AsyncIterator<SseMessage>,
    first: IteratorResult<SseMessage>,
    beat = COMMENT,
  ): Promise<void> {
    const { socket, signal } = connection;
    // Whatever the source's own bounds are, no more than what the connection asks for is queued on it.
    const gate = createPressureGate({ socket, signal, clock, capBytes: 0 });
    const stopBeat = clock.every(beat.everyMs, () => connection.beat(beat.text));
    try {
      for (let next = first; !next.done && !socket.destroyed; next = await messages.next()) {
        if (next.value instanceof Handover) next.value.begin(connection.sink);
        else connection.write(next.value);
        while (!gate.isOpen() && !signal.aborted) await gate.wait();
      }
      connection.end();
    } finally {
      stopBeat();
    }
  }

  return {
    serve,
    closeAll() {
      isClosing = true;
      for (const connection of connections) connection.giveUp(CLOSING);
    },
  };
}

const CLOSING = 'The server is shutting down; connect again to resume';

/** A durable stream as messages: `start` is only an id, `reset` an event of its own, all else the event's JSON. */
export async function* sseOf<T extends object>(
  items: AsyncIterable<Durable<T>>,
): AsyncGenerator<SseMessage> {
  for await (const item of items) {
    yield item instanceof Handover ? (item as never) : messageOf(item);
  }
}

function messageOf<T extends object>(item: Durable<T>): SseMessage {
  const id = String(item.cursor);
  switch (item.kind) {
    case 'start':
      return { id };
    case 'reset':
      return {
        id,
        event: 'reset',
        data: JSON.stringify(payloadOf(item)),
      };
    case 'event':
      return { id, data: item.event.json };
  }
}
