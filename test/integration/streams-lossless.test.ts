import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { EventSource } from 'eventsource';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { AppRouter } from '../../src/routers/index.js';
import { createRandom } from '../../src/simulator/random.js';
import { startApp, type TestApp } from '../support/app.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import {
  describeEachDatabase,
  type TestDatabaseKind,
  testDatabases,
} from '../support/databases.js';
import { openSse } from '../support/sse.js';
import { until } from '../support/until.js';

const PUSHERS = 4;
const PUSH_LINES = 5;
/** All pushers together: 1,000 lines a second. */
const PUSH_EVERY_MS = (1_000 * PUSHERS * PUSH_LINES) / 1_000;
/** Few enough that a client comes back many times within a page of replay, and enough that it gets on. */
const MOST_BYTES_A_CONNECTION = 20_000;

describeEachDatabase('a reader whose connections are cut 200 times', (kind) =>
  readersThatAreCut(kind, { cuts: 200, native_frames: true }),
);

describe('a reader whose events go through the library, cut 20 times', () =>
  readersThatAreCut(testDatabases[0]!, { cuts: 20, native_frames: false }));

function readersThatAreCut(
  kind: TestDatabaseKind,
  { cuts, native_frames }: { cuts: number; native_frames: boolean },
): void {
  const config = { realtime: { native_frames } };

  it('misses nothing that another server on its database has stored', async () => {
    const database = await kind.create();
    onTestFinished(database.dispose);
    const apps = [
      await startApp(database, { config }),
      await startApp(database, { config }),
    ] as const;
    await apps[0].call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
    const reader = await openSse(
      `${apps[0].url}/api/v1/robots/r1/logs/subscribe?token=${apps[0].admin.token}`,
    );
    await until('the start', () => reader.blocks.length === 2);
    const random = createRandom(3);
    const push = async (app: TestApp) => {
      const logs = Array.from({ length: 1 + Math.floor(random() * 5) }, () => ({
        ...{ topic: 't', message: 'm' },
      }));
      expect((await app.call('POST', '/api/v1/robots/r1/logs/batch', { logs })).status).toBe(200);
    };
    const { token } = apps[0].admin;
    await Promise.all(
      apps.map(async (app) => {
        for (let n = 0; n < 60; n += 1) await push(app);
      }),
    );
    await apps[0].call('POST', '/api/v1/robots/r1/logs', { topic: 't', message: 'last' }, token);
    const ids = await storedIds(apps[0], ['r1']);
    const events = await reader.reach(ids.length);
    expect(events.map(({ id }) => id)).toEqual(ids);
  });

  /** A server with lines coming in, and a way to it that is cut. */
  async function start(seed: number) {
    const app = await startApp(kind, { config });
    const robots = ['r1', 'r2'];
    for (const robot_id of robots) {
      await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
    }
    const random = createRandom(seed);
    const proxy = await startCuttingProxy(app.url, () =>
      proxy.cuts() < cuts
        ? Math.ceil(random() * MOST_BYTES_A_CONNECTION)
        : Number.POSITIVE_INFINITY,
    );
    return { app, robots, proxy, load: startPushing(app, robots) };
  }

  /** Pushes from several places at once until stopped. */
  function startPushing(app: TestApp, robots: readonly string[]) {
    let stored = 0;
    const pushers = Array.from({ length: PUSHERS }, (_, pusher) => {
      const path = `/api/v1/robots/${robots[pusher % robots.length]}/logs/batch`;
      const turns: Promise<void>[] = [];
      const push = async () => {
        const logs = Array.from({ length: PUSH_LINES }, (_, n) => ({
          ...{ topic: `pusher ${pusher}`, message: `line ${n} of push ${turns.length}` },
        }));
        expect((await app.call('POST', path, { logs })).json.data.stored).toBe(PUSH_LINES);
        stored += PUSH_LINES;
      };
      const timer = setInterval(() => turns.push(push()), PUSH_EVERY_MS);
      onTestFinished(() => clearInterval(timer));
      return {
        async stop() {
          clearInterval(timer);
          await Promise.all(turns);
        },
      };
    });
    return {
      async stop(): Promise<number> {
        for (const { stop } of pushers) await stop();
        return stored;
      },
    };
  }

  /** The ids of all lines, as the database has them. */
  async function storedIds({ call }: TestApp, robots: readonly string[]): Promise<number[]> {
    const ids: number[] = [];
    for (const robot of robots) {
      let cursor = '';
      do {
        const search = `?limit=1000${cursor && `&cursor=${cursor}`}`;
        const { data } = (await call('GET', `/api/v1/robots/${robot}/logs${search}`)).json;
        ids.push(...data.logs.map(({ id }: { id: number }) => id));
        cursor = data.next_cursor ?? '';
      } while (cursor !== '');
    }
    return ids.sort((a, b) => a - b);
  }

  it('has every row of the database, in order, none twice: the tRPC client', async () => {
    const { app, robots, proxy, load } = await start(1);
    const sockets = createWSClient({
      url: `${proxy.url.replace('http', 'ws')}/trpc`,
      WebSocket: WebSocket as never,
      connectionParams: { token: app.admin.token },
      retryDelayMs: () => 0,
    });
    onTestFinished(() => sockets.close());
    const client = createTRPCClient<AppRouter>({ links: [wsLink({ client: sockets })] });
    const seen: number[] = [];
    const errors: unknown[] = [];
    const subscription = client.logs.live.subscribe(
      { lastEventId: '0' },
      {
        onData({ data }) {
          if (data.type === 'reset') errors.push(data);
          if (data.type === 'log') seen.push(data.id);
        },
        onError: (error) => void errors.push(error),
      },
    );
    onTestFinished(() => subscription.unsubscribe());
    await until('the cuts', () => proxy.cuts() >= cuts, 100_000);
    const stored = await load.stop();
    const ids = await storedIds(app, robots);
    expect(ids).toHaveLength(stored);
    await until('the last line', () => seen.at(-1) === ids.at(-1));
    expect(seen).toEqual(ids);
    expect(errors).toEqual([]);
  });

  it('has every row of the database, in order, none twice: EventSource', async () => {
    const { app, robots, proxy, load } = await start(2);
    // It waits a second before it comes back, so that there are many, and each is cut as often as it takes.
    const readers = robots.flatMap((robot) =>
      Array.from({ length: 10 }, () => {
        const source = new EventSource(
          `${proxy.url}/api/v1/robots/${robot}/logs/subscribe?token=${app.admin.token}&last_event_id=0`,
        );
        onTestFinished(() => source.close());
        const seen: number[] = [];
        source.onmessage = ({ data, lastEventId }) => {
          const { id, robot_id } = JSON.parse(data);
          expect([robot_id, lastEventId]).toEqual([robot, String(id)]);
          seen.push(id);
        };
        source.addEventListener('reset', () => seen.push(Number.NaN));
        return { robot, seen };
      }),
    );
    await until('the cuts', () => proxy.cuts() >= cuts, 100_000);
    const stored = await load.stop();
    let total = 0;
    for (const robot of robots) {
      const ids = await storedIds(app, [robot]);
      total += ids.length;
      for (const { seen } of readers.filter((reader) => reader.robot === robot)) {
        await until('the last line', () => seen.at(-1) === ids.at(-1));
        expect(seen).toEqual(ids);
      }
    }
    expect(total).toBe(stored);
  }, 150_000);
}
