import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createTRPCClient, createWSClient, wsLink } from '@trpc/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { AppRouter } from '../../src/routers/index.js';
import { startApp, type TestApp } from '../support/app.js';
import {
  describeEachDatabase,
  type TestDatabaseKind,
  testDatabases,
} from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { openSse } from '../support/sse.js';
import { until } from '../support/until.js';

const CAP_BYTES = 256 * 1_024;
const LOGS = '/api/v1/robots/r1/logs';
const TOO_SLOW = 'This reader is too slow for the stream; connect again to resume';

async function startWith(kind: Parameters<typeof startApp>[0], native_frames = true) {
  const clock = createStoppedClock();
  const config = { limits: { stream_buffer: CAP_BYTES }, realtime: { native_frames } };
  const app = await startApp(kind, { clock, config });
  await app.call('POST', '/api/v1/robots', { robot_id: 'r1', robot_type: 'x' });
  return { app, clock };
}

async function push(app: TestApp, count: number, length: number): Promise<void> {
  const logs = Array.from({ length: count }, () => ({ topic: 't', message: 'x'.repeat(length) }));
  const answer = await app.call('POST', `${LOGS}/batch`, { logs });
  expect(answer.json.data.stored).toBe(count);
}

async function subscribers(app: TestApp): Promise<number> {
  const { text } = await app.call('GET', '/metrics');
  return Number(/^fleetwire_stream_subscribers (\d+)$/m.exec(text)?.[1]);
}

/** Pushes little by little until the server has enough of its readers: the kernel takes some megabytes first. */
async function pushUntilNobodyReads(app: TestApp): Promise<void> {
  for (let pushed = 0; (await subscribers(app)) > 0; pushed += 1) {
    if (pushed === 2_000)
      throw new Error('60 MB were not too much for a reader that takes nothing');
    await push(app, 30, 1_000);
  }
}

async function storedIds(app: TestApp): Promise<number[]> {
  const ids: number[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const search: string = `?limit=1000${cursor && `&cursor=${cursor}`}`;
    const { data } = (await app.call('GET', `${LOGS}${search}`)).json;
    ids.push(...data.logs.map(({ id }: { id: number }) => id));
    cursor = data.next_cursor;
  }
  return ids.reverse();
}

/** A connection that asks for the stream and then reads no more. */
async function stalledSse(app: TestApp) {
  const socket = connectTcp(Number(new URL(app.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const head = `host: x\r\nauthorization: Bearer ${app.admin.token}\r\n\r\n`;
  socket.write(`GET ${LOGS}/subscribe?last_event_id=0 HTTP/1.0\r\n${head}`);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await until('the start', () => text.includes('\nid: 0\n\n'));
  socket.pause();
  return { socket, text: () => text };
}

function idsIn(text: string): number[] {
  return [...text.matchAll(/^id: (\d+)\ndata: /gm)].map(([, id]) => Number(id));
}

describeEachDatabase('a reader that takes nothing', (kind) => readersThatTakeNothing(kind, true));

describe('a reader that takes nothing, whose events go through the library', () =>
  readersThatTakeNothing(testDatabases[0]!, false));

function readersThatTakeNothing(kind: TestDatabaseKind, native_frames: boolean): void {
  it('is ended at the cap with the reason, and goes on from there: event stream', async () => {
    const { app } = await startWith(kind, native_frames);
    const { socket, text } = await stalledSse(app);
    await pushUntilNobodyReads(app);
    socket.resume();
    await once(socket, 'close');
    const first = idsIn(text());
    expect(text().endsWith(`event: end\ndata: {"reason":"${TOO_SLOW}"}\n\n`)).toBe(true);
    const stored = await storedIds(app);
    expect(first.length).toBeLessThan(stored.length);
    const reader = await openSse(`${app.url}${LOGS}/subscribe`, {
      authorization: `Bearer ${app.admin.token}`,
      'last-event-id': String(first.at(-1) ?? 0),
    });
    const rest = await reader.reach(stored.length - first.length);
    expect([...first, ...rest.map(({ id }) => id)]).toEqual(stored);
  });

  it('is ended at the cap with the reason, and its client goes on by itself: WebSocket', async () => {
    const { app } = await startWith(kind, native_frames);
    const opened: WebSocket[] = [];
    const closed: string[] = [];
    class Recorded extends WebSocket {
      constructor(url: string) {
        super(url);
        opened.push(this);
        this.on('close', (code, reason) => void closed.push(`${code} ${reason}`));
      }
    }
    const sockets = createWSClient({
      url: `${app.url.replace('http', 'ws')}/trpc`,
      WebSocket: Recorded as never,
      connectionParams: { token: app.admin.token },
      retryDelayMs: () => 0,
    });
    onTestFinished(() => sockets.close());
    const client = createTRPCClient<AppRouter>({ links: [wsLink({ client: sockets })] });
    const seen: number[] = [];
    const errors: unknown[] = [];
    let started = 0;
    const subscription = client.logs.live.subscribe(
      { lastEventId: '0' },
      {
        onData({ data }) {
          if (data.type === 'start') started += 1;
          if (data.type === 'log') seen.push(data.id);
        },
        onError: (error) => void errors.push(error),
      },
    );
    onTestFinished(() => subscription.unsubscribe());
    await until('the start', () => started === 1);
    opened[0]?.pause();
    await pushUntilNobodyReads(app);
    opened[0]?.resume();
    const stored = await storedIds(app);
    await until('everything', () => seen.length >= stored.length);
    expect(seen).toEqual(stored);
    expect(closed).toEqual([`1013 ${TOO_SLOW}`]);
    expect(errors).toEqual([]);
  });
}

describe('readers that take nothing', () => {
  it('are cut off when they do not take the reason either', async () => {
    const { app, clock } = await startWith(testDatabases[0]!);
    const { socket, text } = await stalledSse(app);
    await pushUntilNobodyReads(app);
    clock.advance(5_000);
    socket.resume();
    await once(socket, 'close');
    expect(text().includes('event: end')).toBe(false);
    expect(idsIn(text()).length).toBeGreaterThan(0);
  });

  it('cost no more than the cap, and go after a while that brings no progress', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const heapBytes = () => {
      gc();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const { app, clock } = await startWith(testDatabases[0]!);
    const readers: Awaited<ReturnType<typeof stalledSse>>[] = [];
    for (let n = 0; n < 20; n += 1) readers.push(await stalledSse(app));
    await push(app, 15, 65_000);
    const before = heapBytes();
    // Each push is more than the cap, so that the readers are given it from the database, if at all.
    for (let pushed = 0; pushed < 30; pushed += 1) await push(app, 15, 65_000);
    // Without a bound: 20 readers of 30 MB. What the pushes took is given back a moment later.
    const limitBytes = 20 * (CAP_BYTES + 300_000) + 5_000_000;
    await until('the memory', () => heapBytes() - before < limitBytes);
    expect(await subscribers(app)).toBe(20);
    clock.advance(30_000);
    await until('the end of them', async () => (await subscribers(app)) === 0);
    readers[0]!.socket.resume();
    await once(readers[0]!.socket, 'close');
    const last = readers[0]!.text().slice(-200);
    expect(last).toMatch(/\nevent: end\ndata: .*The reader took nothing for 30000 ms/);
  });
});
