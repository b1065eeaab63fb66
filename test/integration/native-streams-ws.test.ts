import { once } from 'node:events';
import { createTRPCClient, createWSClient, TRPCClientError, wsLink } from '@trpc/client';
import { TRPC_ERROR_CODES_BY_KEY } from '@trpc/server/unstable-core-do-not-import';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import { passesHandovers } from '../../src/http/trpc-ws-check.js';
import { appRouter } from '../../src/routers/index.js';
import { type StreamDoor, type StreamRouter, startStreamDoor } from '../support/stream-door.js';
import { until } from '../support/until.js';

afterEach(() => void vi.restoreAllMocks());

/** The library's own client, unmodified. */
function connect({ url }: StreamDoor) {
  const sockets = createWSClient({
    url: `${url.replace('http', 'ws')}/trpc`,
    WebSocket: WebSocket as never,
    retryDelayMs: () => 0,
    connectionParams: { token: 'a token' },
  });
  onTestFinished(() => sockets.close());
  return createTRPCClient<StreamRouter>({ links: [wsLink({ client: sockets })] });
}

function follow(door: StreamDoor, input: { lastEventId?: string; even?: boolean } = {}) {
  const seen: number[] = [];
  const starts: string[] = [];
  const errors: unknown[] = [];
  const subscription = connect(door).lines.subscribe(input, {
    onData({ id, data }) {
      if ('n' in data) {
        expect(id).toBe(String(data.n));
        seen.push(data.n);
      } else starts.push(id);
    },
    onError: (error) => void errors.push(error),
  });
  return { seen, starts, errors, subscription };
}

/** A socket that speaks the wire format by hand, and the texts that came over it. */
async function rawSocket({ url }: Pick<StreamDoor, 'url'>) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/trpc`);
  const texts: string[] = [];
  socket.on('message', (data, isBinary) => {
    expect(isBinary).toBe(false);
    texts.push(String(data));
  });
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  const send = (message: object) => socket.send(JSON.stringify(message));
  return { socket, texts, send };
}

/** What is sent through `ws`, in this process, by whomever. */
function watchSends(): string[] {
  const texts: string[] = [];
  const { send } = WebSocket.prototype;
  vi.spyOn(WebSocket.prototype, 'send').mockImplementation(function (
    this: WebSocket,
    ...args: unknown[]
  ) {
    texts.push(String(args[0]));
    return Reflect.apply(send, this, args);
  });
  return texts;
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('unmodified clients of native streams', () => {
  it('get every event once and in order, though their sockets are killed and told to reconnect', async () => {
    const door = await startStreamDoor();
    for (let n = 1; n <= 50; n += 1) door.lines.append();
    const readers = [
      follow(door, { lastEventId: '0' }),
      follow(door, { lastEventId: '30' }),
      follow(door, { lastEventId: '0', even: true }),
    ];
    const all = () =>
      readers.every(({ seen }) => (seen.at(-1) ?? 0) >= door.lines.events.length - 1);
    for (let round = 0; round < 6; round += 1) {
      for (let n = 0; n < 40; n += 1) {
        door.lines.append('x'.repeat(n * 100));
        if (n % 3 === 0) await turn();
      }
      // In the middle of it, while some are still being replayed to.
      if (round % 2 === 0) for (const socket of door.sockets) socket.destroy();
      else {
        for (const ws of door.app.websocketServer.clients) {
          ws.send('{"id":null,"method":"reconnect"}');
        }
      }
      if (round % 3 === 2) await until('everything', all);
    }
    await until('everything', all);
    const last = door.lines.events.length;
    expect(readers.map(({ seen }) => seen)).toEqual([
      range(1, last),
      range(31, last),
      range(1, last).filter((n) => n % 2 === 0),
    ]);
    expect(readers.map(({ errors }) => errors)).toEqual([[], [], []]);
    for (const { starts } of readers) expect(starts.length).toBeGreaterThan(1);
  });

  it('leave nothing behind when they unsubscribe, and other streams of the socket go on', async () => {
    const door = await startStreamDoor();
    const client = connect(door);
    const seen: [number[], number[]] = [[], []];
    const subscriptions = seen.map((numbers) =>
      client.lines.subscribe(
        {},
        { onData: ({ data }) => void ('n' in data && numbers.push(data.n)) },
      ),
    );
    await until('both', () => door.hub.subscriberCount() === 2);
    await turn();
    door.lines.append();
    await until('the event', () => seen.every(({ length }) => length === 1));
    subscriptions[0]?.unsubscribe();
    await until('one', () => door.hub.subscriberCount() === 1);
    door.lines.append();
    await until('the event', () => seen[1].length === 2);
    expect(seen[0]).toEqual([1]);
    subscriptions[1]?.unsubscribe();
    await until('none', () => door.hub.subscriberCount() === 0);
    expect(await client.echo.query('still here')).toBe('still here');
  });

  it.each([false, true])('learn every error code, later: %s', async (later) => {
    const door = await startStreamDoor();
    const client = connect(door);
    for (const [code, number] of Object.entries(TRPC_ERROR_CODES_BY_KEY)) {
      const values: unknown[] = [];
      const error = await new Promise((resolve) => {
        client.fails.subscribe(
          { code, later },
          { onData: (value) => void values.push(value), onError: resolve },
        );
      });
      expect(error).toBeInstanceOf(TRPCClientError);
      expect(error).toMatchObject({
        message: `It is ${code}`,
        data: { code },
        shape: { code: number },
      });
      expect(values).toEqual(later ? ['first'] : []);
    }
  });

  it('may be slow to close in the middle of a replay, at no cost to others', async () => {
    const door = await startStreamDoor();
    for (let n = 1; n <= 1_000; n += 1) door.lines.append();
    const { socket, texts, send } = await rawSocket(door);
    const [server] = door.app.websocketServer.clients;
    const input = { lastEventId: '0' };
    send({ id: 1, method: 'subscription', params: { path: 'lines', input } });
    await until('the first line', () => texts.length > 2);
    // It does not answer the closing frame.
    socket.pause();
    server?.close();
    expect(server?.readyState).toBe(WebSocket.CLOSING);
    const other = follow(door, { lastEventId: '990' });
    await until('the lines of another', () => other.seen.length === 10);
    for (let n = 0; n < 5; n += 1) {
      door.lines.append();
      await turn();
    }
    await until('the new ones too', () => other.seen.length === 15);
    server?.terminate();
    await until('one reader', () => door.hub.subscriberCount() === 1);
  });

  it('are known by their connectionParams', async () => {
    const door = await startStreamDoor();
    const values: unknown[] = [];
    connect(door).token.subscribe(undefined, { onData: (value) => void values.push(value) });
    await until('the token', () => values.length === 1);
    expect(values).toEqual(['a token']);
  });
});

describe('native streams on the wire', () => {
  /** The same happenings at a server of its own; the texts of one socket with five subscriptions. */
  async function textsOf(nativeFrames: boolean): Promise<string[]> {
    const door = await startStreamDoor({ nativeFrames });
    for (let n = 1; n <= 3; n += 1) door.lines.append('replayed');
    const { texts, send } = await rawSocket(door);
    const subscribe = (id: number | string, path: string, input?: object, more?: object) =>
      send({ id, method: 'subscription', params: { path, input, ...more }, jsonrpc: '2.0' });
    subscribe(1, 'lines', { lastEventId: '1' });
    subscribe('two "2"', 'lines', { even: true }, { lastEventId: '0' });
    subscribe(3, 'poses');
    subscribe(4, 'lines', {});
    send({ id: 5, method: 'subscription', params: { path: 'lines', input: {} } });
    await until('the subscriptions', () => texts.length >= 5 + 4 + 2 + 1);
    await turn();
    await turn();
    const count = async (more: number, act: () => void) => {
      const before = texts.length;
      act();
      await until('what it sends', () => texts.length >= before + more);
    };
    await count(4, () => door.lines.append('ü \u2028 "quoted" \n\\ 🤖'));
    await count(3, () => door.lines.append(''));
    await count(1, () => door.pose('a'));
    await count(2, () => {
      door.pose('a');
      door.pose('b');
      door.pose('a');
    });
    await count(11, () => {
      for (let n = 0; n < 3; n += 1) door.lines.append('x'.repeat(60 * n));
    });
    send({ id: 1, method: 'subscription.stop' });
    await until('the end', () => texts.at(-1)?.includes('stopped') === true);
    return texts;
  }

  it('are to the letter what the library sends', async () => {
    const sends = watchSends();
    const [library, native] = [await textsOf(false), await textsOf(true)];
    // Subscriptions of one socket do not wait for one another.
    expect([...native].sort()).toEqual([...library].sort());
    for (const id of ['1', '"two \\"2\\""', '3', '4', '5']) {
      const own = (texts: string[]) => texts.filter((text) => text.startsWith(`{"id":${id},`));
      expect(own(native)).toEqual(own(library));
      expect(own(native).length).toBeGreaterThan(3);
    }
    // And they do not come from it: each event was sent by it to the subscriptions of one of the two servers alone.
    expect(sends.filter((text) => text.includes('quoted'))).toHaveLength(4);
  });

  it('stand whole beside answers, pings and what is replayed, whatever their lengths', async () => {
    const door = await startStreamDoor({ capBytes: 16_777_216 });
    const { socket, texts, send } = await rawSocket(door);
    let pings = 0;
    socket.on('ping', () => {
      pings += 1;
    });
    for (const id of [1, 2])
      send({ id, method: 'subscription', params: { path: 'lines', input: {} } });
    send({ id: 3, method: 'subscription', params: { path: 'poses' } });
    await until('the subscriptions', () => door.hub.subscriberCount() === 3 && texts.length === 5);
    await turn();
    const lengths = [0, 1, 20, 125, 126, 127, 5_000, 65_400, 65_535, 65_536, 70_000];
    const [server] = door.app.websocketServer.clients;
    for (let round = 0; round < 40; round += 1) {
      const text = 'x'.repeat(lengths[round % lengths.length]!);
      send({ id: 100 + round, method: 'query', params: { path: 'echo', input: text } });
      socket.send('PING');
      door.lines.append(text);
      server?.ping();
      door.pose(`robot ${round}`, text);
      await turn();
      door.lines.append(text);
      const input = { lastEventId: '0' };
      if (round % 10 === 9) {
        send({ id: 200 + round, method: 'subscription', params: { path: 'lines', input } });
      }
    }
    const messages = () => texts.filter((text) => text !== 'PONG').map((text) => JSON.parse(text));
    const numbers = (id: number) =>
      messages().flatMap((m) => (m.id === id ? (m.result?.data?.data?.n ?? []) : []));
    for (const id of [1, 2, 209, 219, 229, 239]) {
      await until('every line', () => numbers(id).length >= 80);
      expect(numbers(id)).toEqual(range(1, 80));
    }
    expect(messages().filter(({ id }) => id >= 100 && id < 200)).toHaveLength(40);
    expect(messages().filter(({ id }) => id === 3).length).toBe(41);
    await until('the pings', () => pings === 40);
    expect(texts.filter((text) => text === 'PONG')).toHaveLength(40);
  });
});

describe('the check of the library at the start', () => {
  it('finds it as it is known', async () => {
    expect(await passesHandovers(appRouter)).toBe(true);
  });

  it('finds a transformer that does not leave values alone', async () => {
    const copy = (value: unknown) => JSON.parse(JSON.stringify(value ?? null));
    const both = { serialize: (value: unknown) => ({ json: value }), deserialize: copy };
    const transformer = { input: both, output: both };
    const changed = { ...appRouter, _def: { ...appRouter._def, _config: { transformer } } };
    expect(await passesHandovers(changed as never)).toBe(false);
  });
});
