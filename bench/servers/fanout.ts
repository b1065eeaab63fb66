import type { AddressInfo, Socket } from 'node:net';
import { initTRPC, tracked } from '@trpc/server';
import Fastify from 'fastify';
import { pino } from 'pino';
import { mountTrpcHttp } from '../../src/http/trpc-http.js';
import { createTrpcSse } from '../../src/http/trpc-sse.js';
import { type ContextSource, mountTrpcWs } from '../../src/http/trpc-ws.js';
import { createUpgrades } from '../../src/http/upgrades.js';
import { systemClock } from '../../src/lib/clock.js';
import { durable } from '../../src/realtime/durable.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { Handover } from '../../src/realtime/handover.js';
import { createMemoryHub } from '../../src/realtime/hub.js';
import type { PressureSocket } from '../../src/realtime/pressure.js';
import { createEventStreams, sseOf } from '../../src/rest-adapter/sse.js';
import { payloadOf } from '../../src/routers/live.js';
import { type EventPayload, serveBroadcasts } from './broadcast.js';

// The doors of the product over its hub and a log that holds nothing: what it takes to tell viewers, and nothing else.
// `library` has everything go through tRPC.
const nativeFrames = process.argv[2] === 'native';
const TOPIC = 'events';
const CAP_BYTES = 1_048_576;
const VIEWERS_LIMIT = 100_000;

let last = 1_000_000_000;
const hub = createMemoryHub();
const log = pino({ level: 'silent' });

function watch(socket: PressureSocket | undefined, signal: AbortSignal | undefined) {
  return durable<EventPayload>({
    ...{ hub, socket, signal },
    topic: TOPIC,
    after: null,
    capBytes: CAP_BYTES,
    source: { read: async () => [], end: async () => last, horizon: async () => 0 },
  });
}

const t = initTRPC.context<ContextSource>().create();
const router = t.router({
  events: t.procedure.subscription(async function* ({ ctx, signal }) {
    for await (const item of watch(ctx.socket, signal)) {
      if (item instanceof Handover) yield item as never;
      else yield tracked(String(item.cursor), payloadOf(item));
    }
  }),
});

const app = Fastify();
const sockets = new Set<Socket>();
app.server.on('connection', (socket) => {
  sockets.add(socket);
  socket.once('close', () => sockets.delete(socket));
});
const streams = createEventStreams({
  streamsPerIp: VIEWERS_LIMIT,
  ...{ clock: systemClock, nativeFrames },
});
app.get('/events', (request, reply) =>
  streams.serve(request, reply, {
    open: ({ socket, signal }) => sseOf(watch(socket, signal)),
    failure: String,
  }),
);
const door = { router, log, createContext: (source: ContextSource) => source };
const sse = nativeFrames ? createTrpcSse(door, streams) : undefined;
mountTrpcHttp(app, { ...door, sse });
mountTrpcWs(app, {
  ...{ ...door, nativeFrames },
  upgrades: createUpgrades(app),
  limits: { socketsPerIp: VIEWERS_LIMIT },
});
await app.listen({ host: '127.0.0.1', port: 0 });
serveBroadcasts((app.server.address() as AddressInfo).port, sockets, (payload) => {
  last += 1;
  hub.publish(TOPIC, new StreamEvent({ payload, version: last, cursor: String(last) }));
});
