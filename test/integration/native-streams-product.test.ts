import { once } from 'node:events';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { startApp, type TestApp } from '../support/app.js';
import { testDatabases } from '../support/databases.js';
import { createStoppedClock } from '../support/identity.js';
import { describeWithWorker } from '../support/media.js';
import { openSse } from '../support/sse.js';
import { until } from '../support/until.js';

const ROBOT = '/api/v1/robots/r1';
const STREAMS = [
  'status.live',
  'robots.presence',
  'logs.live',
  'messages.live',
  'alerts.live',
  'commands.live',
] as const;
type Stream = (typeof STREAMS)[number];
const EVENTS = 3;

afterEach(() => void vi.restoreAllMocks());

async function start(native_frames = true) {
  const clock = createStoppedClock();
  const app = await startApp(testDatabases[0]!, { clock, config: { realtime: { native_frames } } });
  for (const robot_id of ['r1', 'r2']) {
    await app.call('POST', '/api/v1/robots', { robot_id, robot_type: 'x' });
  }
  const schema = { id: 'any', title: 'Anything', schema: {}, example: {} };
  expect((await app.call('POST', '/api/v1/schemas', schema)).status).toBe(200);
  return { app, clock };
}

/** Makes the `n`th event of every stream but presence, each of r1 and of r2. */
async function happen({ call }: TestApp, n: number): Promise<void> {
  for (const robot of ['r2', 'r1']) {
    const path = ROBOT.replace('r1', robot);
    for (const [rest, body] of [
      ['status', { status: { battery_level: 50 + n, note: 'ü "\u2028' } }],
      ['logs', { topic: 't', level: 'info', message: `line ${n}\n` }],
      ['messages/any', { payload: { n, deep: [{ n }] } }],
      ['alert', { alert_type: 'a', severity: 'info', message: `alert ${n}` }],
      ['control', { action: 'move_to', parameters: { x: n, y: 0 } }],
    ] as const) {
      const answer = await call('POST', `${path}/${rest}`, body);
      expect(answer.status, `${rest}: ${answer.text}`).toBe(200);
    }
  }
}

/** What the services yield to whoever iterates, in the words of the library. */
function iterate({ app: { services }, admin: { principal } }: TestApp, robot_ids?: string[]) {
  const gone = new AbortController();
  onTestFinished(() => gone.abort());
  const reader = { robot_ids, signal: gone.signal, authenticate: async () => principal };
  const sources: Record<Stream, AsyncIterable<object>> = {
    'status.live': services.statuses.live(principal, reader),
    'robots.presence': services.presences.live(principal, reader),
    'logs.live': services.logs.live(principal, reader, {}),
    'messages.live': services.messages.live(principal, reader),
    'alerts.live': services.alerts.live(principal, reader),
    'commands.live': services.commands.live(principal, reader),
  };
  const told = {} as Record<Stream, { cursor?: string; data: unknown }[]>;
  for (const stream of STREAMS) {
    const own: { cursor?: string; data: unknown }[] = [];
    told[stream] = own;
    void (async () => {
      for await (const item of sources[stream]) {
        if (!('kind' in item)) own.push({ data: item });
        else {
          const { cursor, kind, event } = item as unknown as {
            cursor: number;
            kind: string;
            event: { payload: unknown };
          };
          const data = kind === 'event' ? event.payload : { type: 'start', cursor: String(cursor) };
          own.push({ cursor: String(cursor), data });
        }
      }
    })();
  }
  return told;
}

/** One socket that watches all streams, under the ids 1 to 6, and the texts that came for each. */
async function watch(app: TestApp, robot_ids?: string[]) {
  const socket = new WebSocket(`${app.url.replace('http', 'ws')}/trpc`, {
    headers: { authorization: `Bearer ${app.admin.token}` },
  });
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  const texts: string[] = [];
  socket.on('message', (data) => void texts.push(String(data)));
  for (const [index, path] of STREAMS.entries()) {
    const params = { path, input: { robot_ids } };
    socket.send(JSON.stringify({ id: index + 1, method: 'subscription', params }));
  }
  const events = (stream: Stream) => {
    const opening = `{"id":${STREAMS.indexOf(stream) + 1},"result":{"type":"data",`;
    return texts.filter((text) => text.startsWith(opening));
  };
  return { socket, texts, events };
}

function onTheWire(stream: Stream, { cursor, data }: { cursor?: string; data: unknown }): string {
  const id = STREAMS.indexOf(stream) + 1;
  const result =
    cursor === undefined
      ? { type: 'data', data }
      : { type: 'data', data: { id: cursor, data }, id: cursor };
  return JSON.stringify({ id, result });
}

async function subscribers(app: TestApp): Promise<number> {
  const { text } = await app.call('GET', '/metrics');
  return Number(/^fleetwire_stream_subscribers (\d+)$/m.exec(text)?.[1]);
}

/** The texts that go the way of the library from now on, on all sockets of this process. */
function spyOnSend(): string[] {
  const sent: string[] = [];
  const { send } = WebSocket.prototype;
  vi.spyOn(WebSocket.prototype, 'send').mockImplementation(function (
    this: WebSocket,
    ...args: unknown[]
  ) {
    sent.push(String(args[0]));
    return Reflect.apply(send, this, args);
  });
  return sent;
}

describe('every stream of the product', () => {
  it.each([
    [true, undefined],
    [true, ['r1']],
    [false, undefined],
  ] as const)(
    'says to the letter what its service yields; native frames: %s, robots: %s',
    async (native_frames, robots) => {
      const { app, clock } = await start(native_frames);
      const robot_ids = robots && [...robots];
      const told = iterate(app, robot_ids);
      const { events } = await watch(app, robot_ids);
      const snapshot = robots?.length ?? 2;
      await until('the start', async () => (await subscribers(app)) === 2 * STREAMS.length);
      await until('the snapshot', () => events('robots.presence').length === snapshot);
      await until('the cursors', () =>
        STREAMS.slice(2).every((stream) => events(stream).length === 1),
      );
      const sent = spyOnSend();
      // The first event of a durable stream is looked up, because others may have been stored before it.
      for (let n = 0; n < EVENTS; n += 1) {
        if (n === 1) {
          const isTold = (stream: Stream) => events(stream).length === 1 + snapshot;
          await until('the first', () => STREAMS.slice(2).every(isTold));
          sent.length = 0;
        }
        await happen(app, n);
      }
      clock.advance(31_000);
      for (const stream of STREAMS) {
        const wanted = stream === 'robots.presence' ? 3 * snapshot : EVENTS * snapshot;
        const withStart = STREAMS.indexOf(stream) < 2 ? wanted : wanted + 1;
        await until(
          stream,
          () => told[stream].length >= withStart && events(stream).length >= withStart,
        );
        expect(events(stream)).toEqual(told[stream].map((item) => onTheWire(stream, item)));
      }
      const results = sent.filter((text) => text.includes('"result"'));
      if (native_frames) expect(results).toEqual([]);
      else expect(results.length).toBeGreaterThan(0);
    },
  );

  it.each([true, false])(
    'is the same text as server-sent events; native frames: %s',
    async (native_frames) => {
      const { app } = await start(native_frames);
      const authorization = `Bearer ${app.admin.token}`;
      const told = iterate(app, ['r1']);
      const readers = await Promise.all(
        [
          `${ROBOT}/logs/subscribe`,
          `/trpc/logs.live?input=${encodeURIComponent('{"robot_ids":["r1"]}')}`,
          '/api/v1/alerts/subscribe?robot_id=r1',
        ].map((path) => openSse(`${app.url}${path}`, { authorization })),
      );
      for (const reader of readers) await until('the start', () => reader.text().includes('id: '));
      for (let n = 0; n < EVENTS; n += 1) await happen(app, n);
      for (const [index, stream] of (
        ['logs.live', 'logs.live', 'alerts.live'] as const
      ).entries()) {
        const expected = () => told[stream].map(({ data }) => JSON.stringify(data)).slice(1);
        const seen = () =>
          readers[index]!.blocks.flatMap(({ data, id }) => (id && data ? data : [])).filter(
            (data) => !data.includes('"start"'),
          );
        await until('the events', () => seen().length === EVENTS && expected().length === EVENTS);
        expect(seen()).toEqual(expected());
      }
    },
  );

  it('ends soon after the credential of its reader, with the reason', async () => {
    const { app, clock } = await start();
    const { id, key } = (
      await app.call('POST', '/api/v1/keys', { name: 'k', scopes: ['logs:read'] })
    ).json.data;
    const { texts, socket } = await watch({ ...app, admin: { ...app.admin, token: key } }, ['r1']);
    await until('the start', () => texts.some((text) => text.includes('"start"')));
    await happen(app, 1);
    await happen(app, 2);
    await until('the events', () => texts.filter((text) => text.includes('line ')).length === 2);
    await app.call('DELETE', `/api/v1/keys/${id}`);
    clock.advance(1_000);
    await until('the end', () => texts.some((text) => text.includes('Invalid certification key')));
    await until('nobody', async () => (await subscribers(app)) === 0);
    const count = texts.length;
    await happen(app, 3);
    socket.send('PING');
    await until('the pong', () => texts.includes('PONG'));
    expect(texts.slice(count).filter((text) => text.includes('line '))).toEqual([]);
  });
});

describeWithWorker('the stream of a video session', () => {
  it('says what happens in a room, and when it is over', async () => {
    const app = await startApp(testDatabases[0]!, {
      config: { media: { rtc_port: 0, workers: 1, listen_ip: '127.0.0.1' } },
    });
    const { room_id } = (await app.call('POST', '/api/rooms/create')).json;
    const join = async (user_id: string): Promise<string> => {
      const { json } = await app.call('POST', '/trpc/media.join', { room_id, user_id });
      return json.result.data.session_id;
    };
    const session_id = await join('ann');
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/trpc`, {
      headers: { authorization: `Bearer ${app.admin.token}` },
    });
    onTestFinished(() => socket.terminate());
    await once(socket, 'open');
    const texts: string[] = [];
    socket.on('message', (data) => void texts.push(String(data)));
    const params = { path: 'media.events', input: { session_id } };
    socket.send(JSON.stringify({ id: 1, method: 'subscription', params }));
    await until('the state', () => texts.some((text) => text.includes('"type":"state"')));
    await until('the handover', async () => (await subscribers(app)) === 1);
    const sent = spyOnSend();
    const other = await join('bob');
    await until('who came', () => texts.some((text) => text.includes('"bob"')));
    await app.call('POST', '/trpc/media.leave', { session_id: other });
    await app.call('POST', '/trpc/media.leave', { session_id });
    await until('the end', () => texts.at(-1)?.includes('"stopped"') === true);
    expect(JSON.parse(texts.at(-2)!).result.data.data).toEqual({ type: 'ended', reason: 'left' });
    expect(sent.filter((text) => text.includes('"type":"data"'))).toEqual([]);
    expect(await subscribers(app)).toBe(0);
  });
});
