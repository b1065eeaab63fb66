import type { Socket } from 'node:net';
import { initTRPC, TRPCError, tracked } from '@trpc/server';
import Fastify from 'fastify';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { mountTrpcHttp } from '../../src/http/trpc-http.js';
import { createTrpcSse } from '../../src/http/trpc-sse.js';
import { type ContextSource, mountTrpcWs } from '../../src/http/trpc-ws.js';
import { createUpgrades } from '../../src/http/upgrades.js';
import { type Clock, systemClock } from '../../src/lib/clock.js';
import { durable } from '../../src/realtime/durable.js';
import { StreamEvent } from '../../src/realtime/event.js';
import { Handover } from '../../src/realtime/handover.js';
import { createMemoryHub, type EventHub } from '../../src/realtime/hub.js';
import { latest } from '../../src/realtime/live.js';
import { createEventStreams } from '../../src/rest-adapter/sse.js';
import { payloadOf } from '../../src/routers/live.js';

export interface Line {
  n: number;
  text: string;
}

interface Context extends ContextSource {
  hub: EventHub;
  lines: ReturnType<typeof createLines>;
  capBytes: number;
}

const t = initTRPC.context<Context>().create({
  isDev: false,
  sse: { ping: { enabled: true, intervalMs: 5_000 } },
});

const router = t.router({
  echo: t.procedure.input(z.string()).query(({ input }) => input),
  /** Every line after the cursor, or the even ones. */
  lines: t.procedure
    .input(z.object({ lastEventId: z.string().nullish(), even: z.boolean().optional() }))
    .subscription(async function* ({ ctx, input: { lastEventId, even }, signal }) {
      const items = durable<Line>({
        ...{ hub: ctx.hub, topic: 'lines', capBytes: ctx.capBytes, signal, socket: ctx.socket },
        source: ctx.lines.source(even ?? false),
        after: lastEventId ? Number(lastEventId) : null,
        filter: even ? ({ n }) => n % 2 === 0 : undefined,
      });
      for await (const item of items) {
        if (item instanceof Handover) yield item as never;
        else yield tracked(String(item.cursor), payloadOf(item));
      }
    }),
  poses: t.procedure.subscription(({ ctx, signal }) =>
    latest<Line & { robot_id: string }>({
      ...{ hub: ctx.hub, topics: ['poses'], capBytes: ctx.capBytes, signal, socket: ctx.socket },
      snapshot: () => [],
    }),
  ),
  token: t.procedure.subscription(async function* ({ ctx }) {
    yield ctx.connectionParams?.token ?? 'none';
  }),
  fails: t.procedure
    .input(z.object({ code: z.string(), later: z.boolean() }))
    .subscription(async function* ({ input: { code, later } }) {
      if (later) yield 'first';
      throw new TRPCError({ code: code as never, message: `It is ${code}` });
    }),
});
export type StreamRouter = typeof router;

function createLines(hub: EventHub) {
  const events: StreamEvent<Line>[] = [];
  return {
    events,
    append(text = '') {
      const n = events.length + 1;
      const event = new StreamEvent({ payload: { n, text }, version: n, cursor: String(n) });
      events.push(event);
      hub.publish('lines', event);
      return n;
    },
    source: (even: boolean) => ({
      async read(after: number, limit: number) {
        const all = events.slice(after);
        return (even ? all.filter(({ version }) => version % 2 === 0) : all).slice(0, limit);
      },
      end: async () => events.length,
      horizon: async () => 0,
    }),
  };
}

/** Both tRPC doors over a log in memory and a topic of poses, until the test ends. */
export async function startStreamDoor({
  nativeFrames = true,
  capBytes = 1_048_576,
  clock = systemClock,
}: {
  nativeFrames?: boolean;
  capBytes?: number;
  clock?: Clock;
} = {}) {
  const hub = createMemoryHub();
  const lines = createLines(hub);
  const sockets = new Set<Socket>();
  const app = Fastify({
    routerOptions: { maxParamLength: 5_000 },
    forceCloseConnections: true,
  });
  app.server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const door = {
    router,
    log: pino({ level: 'silent' }),
    createContext: (source: ContextSource): Context => ({ ...source, hub, lines, capBytes }),
  };
  const streams = createEventStreams({ streamsPerIp: 100, clock, nativeFrames });
  const sse = nativeFrames ? createTrpcSse(door, streams) : undefined;
  mountTrpcHttp(app, { ...door, sse });
  mountTrpcWs(app, { ...door, upgrades: createUpgrades(app), nativeFrames });
  await app.listen({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => app.close());
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  let poses = 0;
  return {
    ...{ app, hub, lines, sockets },
    url: `http://127.0.0.1:${address.port}`,
    pose(robot_id: string, text = '') {
      poses += 1;
      const payload = { robot_id, n: poses, text };
      hub.publish('poses', new StreamEvent({ payload, key: robot_id, version: poses }));
    },
  };
}
export type StreamDoor = Awaited<ReturnType<typeof startStreamDoor>>;
